module @nearestUpsample {
  func.func public @vjp(%arg0: tensor<2x2x2x2xf32> loc("x"), %arg1: tensor<2x4x4x2xf32> loc("dy")) -> (tensor<2x4x4x2xf32>, tensor<2x2x2x2xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 3, 5] : (tensor<2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %1 = stablehlo.reshape %0 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %2 = stablehlo.reshape %arg1 : (tensor<2x4x4x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %3 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %4 = stablehlo.reduce(%2 init: %3) applies stablehlo.add across dimensions = [2, 4] : (tensor<2x2x2x2x2x2xf32>, tensor<f32>) -> tensor<2x2x2x2xf32> loc(#loc1)
    return %1, %4 : tensor<2x4x4x2xf32>, tensor<2x2x2x2xf32>
  }
}
#loc0 = loc("nearestUpsample")
#loc1 = loc("nearestUpsample (vjp)")
