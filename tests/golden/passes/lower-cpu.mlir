module @example {
  func.func public @f(%arg0: tensor<1x4x4x1xf32> loc("x")) -> (tensor<4xf32>) {
    %0 = stablehlo.slice %arg0 [0:1, 0:3:2, 0:3:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %1 = stablehlo.slice %arg0 [0:1, 0:3:2, 1:4:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %2 = stablehlo.maximum %0, %1 : tensor<1x2x2x1xf32> loc(#loc0)
    %3 = stablehlo.slice %arg0 [0:1, 1:4:2, 0:3:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %4 = stablehlo.maximum %2, %3 : tensor<1x2x2x1xf32> loc(#loc0)
    %5 = stablehlo.slice %arg0 [0:1, 1:4:2, 1:4:2, 0:1] : (tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> loc(#loc0)
    %6 = stablehlo.maximum %4, %5 : tensor<1x2x2x1xf32> loc(#loc0)
    %7 = stablehlo.add %6, %6 : tensor<1x2x2x1xf32> loc(#loc1)
    %8 = stablehlo.multiply %7, %7 : tensor<1x2x2x1xf32> loc(#loc2)
    %9 = stablehlo.reshape %8 : (tensor<1x2x2x1xf32>) -> tensor<4xf32> loc(#loc2)
    %10 = stablehlo.broadcast_in_dim %9, dims = [1] : (tensor<4xf32>) -> tensor<65536x4xf32> loc(#loc2)
    %11 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc2)
    %12 = stablehlo.reshape %10 : (tensor<65536x4xf32>) -> tensor<64x1024x4xf32> loc(#loc2)
    %13 = stablehlo.reduce(%12 init: %11) applies stablehlo.add across dimensions = [1] : (tensor<64x1024x4xf32>, tensor<f32>) -> tensor<64x4xf32> loc(#loc2)
    %14 = stablehlo.reduce(%13 init: %11) applies stablehlo.add across dimensions = [0] : (tensor<64x4xf32>, tensor<f32>) -> tensor<4xf32> loc(#loc2)
    return %14 : tensor<4xf32>
  }
}
#loc0 = loc("pool")
#loc1 = loc("scale")
#loc2 = loc("sum")
