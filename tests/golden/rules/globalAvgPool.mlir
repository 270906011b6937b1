module @globalAvgPool {
  func.func public @vjp(%arg0: tensor<2x4x4x2xf32> loc("x"), %arg1: tensor<2x2xf32> loc("dy")) -> (tensor<2x2xf32>, tensor<2x4x4x2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %1 = stablehlo.reduce(%arg0 init: %0) applies stablehlo.add across dimensions = [1, 2] : (tensor<2x4x4x2xf32>, tensor<f32>) -> tensor<2x2xf32> loc(#loc0)
    %2 = stablehlo.constant dense<0.0625> : tensor<2x2xf32> loc(#loc0)
    %3 = stablehlo.multiply %1, %2 : tensor<2x2xf32> loc(#loc0)
    %4 = stablehlo.multiply %arg1, %2 : tensor<2x2xf32> loc(#loc1)
    %5 = stablehlo.broadcast_in_dim %4, dims = [0, 3] : (tensor<2x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    return %3, %5 : tensor<2x2xf32>, tensor<2x4x4x2xf32>
  }
}
#loc0 = loc("globalAvgPool")
#loc1 = loc("globalAvgPool (vjp)")
