module @takeTokens {
  func.func public @vjp(%arg0: tensor<2x2x3xf32> loc("x"), %arg1: tensor<2x1x3xf32> loc("dy")) -> (tensor<2x1x3xf32>, tensor<2x2x3xf32>) {
    %0 = stablehlo.slice %arg0 [0:2, 0:1, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc0)
    %1 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %2 = stablehlo.pad %arg1, %1, low = [0, 0, 0], high = [0, 1, 0], interior = [0, 0, 0] : (tensor<2x1x3xf32>, tensor<f32>) -> tensor<2x2x3xf32> loc(#loc1)
    return %0, %2 : tensor<2x1x3xf32>, tensor<2x2x3xf32>
  }
}
#loc0 = loc("takeTokens")
#loc1 = loc("takeTokens (vjp)")
