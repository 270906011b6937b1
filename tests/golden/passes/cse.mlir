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
    %9 = stablehlo.multiply %6, %8 : tensor<1x2x2x1xf32> loc(#loc1)
    %10 = stablehlo.constant dense<0.0> : tensor<1x2x2x1xf32> loc(#loc1)
    %11 = stablehlo.add %6, %10 : tensor<1x2x2x1xf32> loc(#loc1)
    %12 = stablehlo.multiply %11, %8 : tensor<1x2x2x1xf32> loc(#loc1)
    %13 = stablehlo.add %9, %12 : tensor<1x2x2x1xf32> loc(#loc1)
    %14 = stablehlo.multiply %13, %13 : tensor<1x2x2x1xf32> loc(#loc2)
    %15 = stablehlo.reshape %14 : (tensor<1x2x2x1xf32>) -> tensor<4xf32> loc(#loc2)
    %16 = stablehlo.broadcast_in_dim %15, dims = [1] : (tensor<4xf32>) -> tensor<65536x4xf32> loc(#loc2)
    %17 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc2)
    %18 = stablehlo.reduce(%16 init: %17) applies stablehlo.add across dimensions = [0] : (tensor<65536x4xf32>, tensor<f32>) -> tensor<4xf32> loc(#loc2)
    return %18 : tensor<4xf32>
  }
}
#loc0 = loc("pool")
#loc1 = loc("scale")
#loc2 = loc("sum")
