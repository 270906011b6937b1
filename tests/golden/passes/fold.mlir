module @example {
  func.func public @f(%arg0: tensor<1x4x4x1xf32> loc("x")) -> (tensor<4xf32>) {
    %0 = stablehlo.slice %arg0 [0:1, 0:3:2, 0:3:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %1 = stablehlo.slice %arg0 [0:1, 0:3:2, 1:4:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %2 = stablehlo.maximum %0, %1 : tensor<1x2x2x1xf32> loc(#loc0)
    %3 = stablehlo.slice %arg0 [0:1, 1:4:2, 0:3:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %4 = stablehlo.maximum %2, %3 : tensor<1x2x2x1xf32> loc(#loc0)
    %5 = stablehlo.slice %arg0 [0:1, 1:4:2, 1:4:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %6 = stablehlo.maximum %4, %5 : tensor<1x2x2x1xf32> loc(#loc0)
    %7 = stablehlo.exponential %6 : tensor<1x2x2x1xf32> loc(#loc0)
    %8 = stablehlo.constant dense<1.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %9 = stablehlo.constant dense<0.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %10 = stablehlo.constant dense<1.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %11 = stablehlo.add %6, %6 : tensor<1x2x2x1xf32> loc(#loc1)
    %12 = stablehlo.constant dense<1.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %13 = stablehlo.constant dense<0.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %14 = stablehlo.constant dense<1.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %15 = stablehlo.add %6, %6 : tensor<1x2x2x1xf32> loc(#loc1)
    %16 = stablehlo.multiply %11, %15 : tensor<1x2x2x1xf32> loc(#loc2)
    %17 = stablehlo.reshape %16 : (tensor<1x2x2x1xf32>) -> tensor<4xf32> loc(#loc2)
    %18 = stablehlo.broadcast_in_dim %17, dims = [1] : (tensor<4xf32>) -> tensor<65536x4xf32> loc(#loc2)
    %19 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc2)
    %20 = stablehlo.reduce(%18 init: %19) applies stablehlo.add across dimensions = [0] : (tensor<65536x4xf32>, tensor<f32>) -> tensor<4xf32> loc(#loc2)
    return %20 : tensor<4xf32>
  }
}
#loc0 = loc("pool")
#loc1 = loc("scale")
#loc2 = loc("sum")
