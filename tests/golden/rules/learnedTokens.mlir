module @learnedTokens {
  func.func public @vjp(%arg0: tensor<1x3xf32> loc("tokens"), %arg1: tensor<2x2x3xf32> loc("x"), %arg2: tensor<2x3x3xf32> loc("dy")) -> (tensor<2x3x3xf32>, tensor<2x2x3xf32>, tensor<1x3xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [1, 2] : (tensor<1x3xf32>) -> tensor<2x1x3xf32> loc(#loc0)
    %1 = stablehlo.concatenate %0, %arg1, dim = 1 : (tensor<2x1x3xf32>, tensor<2x2x3xf32>) -> tensor<2x3x3xf32> loc(#loc0)
    %2 = stablehlo.slice %arg2 [0:2, 0:1, 0:3] : (tensor<2x3x3xf32>) -> tensor<2x1x3xf32> loc(#loc1)
    %3 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %4 = stablehlo.reduce(%2 init: %3) applies stablehlo.add across dimensions = [0] : (tensor<2x1x3xf32>, tensor<f32>) -> tensor<1x3xf32> loc(#loc1)
    %5 = stablehlo.slice %arg2 [0:2, 1:3, 0:3] : (tensor<2x3x3xf32>) -> tensor<2x2x3xf32> loc(#loc1)
    return %1, %5, %4 : tensor<2x3x3xf32>, tensor<2x2x3xf32>, tensor<1x3xf32>
  }
}
#loc0 = loc("learnedTokens")
#loc1 = loc("learnedTokens (vjp)")
