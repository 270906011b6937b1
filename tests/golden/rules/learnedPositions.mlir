module @learnedPositions {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("positions"), %arg1: tensor<2x2x3xf32> loc("x"), %arg2: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [1, 2] : (tensor<2x3xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %1 = stablehlo.add %arg1, %0 : tensor<2x2x3xf32> loc(#loc0)
    %2 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %3 = stablehlo.reduce(%arg2 init: %2) applies stablehlo.add across dimensions = [0] : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<2x3xf32> loc(#loc1)
    return %1, %arg2, %3 : tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("learnedPositions")
#loc1 = loc("learnedPositions (vjp)")
