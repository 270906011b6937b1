module @spatialBroadcast {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x2x3x3xf32> loc("dy")) -> (tensor<2x2x3x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 3] : (tensor<2x3xf32>) -> tensor<2x2x3x3xf32> loc(#loc0)
    %1 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %2 = stablehlo.reduce(%arg1 init: %1) applies stablehlo.add across dimensions = [1, 2] : (tensor<2x2x3x3xf32>, tensor<f32>) -> tensor<2x3xf32> loc(#loc1)
    return %0, %2 : tensor<2x2x3x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("spatialBroadcast")
#loc1 = loc("spatialBroadcast (vjp)")
