module @previousToken {
  func.func public @vjp(%arg0: tensor<2x2x3xf32> loc("x"), %arg1: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>) {
    %0 = stablehlo.slice %arg0 [0:2, 0:1, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc0)
    %1 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %2 = stablehlo.pad %0, %1, low = [0, 1, 0], high = [0, 0, 0], interior = [0, 0, 0] : (tensor<2x1x3xf32>, tensor<f32>) -> tensor<2x2x3xf32> loc(#loc0)
    %3 = stablehlo.slice %arg1 [0:2, 1:2, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc1)
    %4 = stablehlo.pad %3, %1, low = [0, 0, 0], high = [0, 1, 0], interior = [0, 0, 0] : (tensor<2x1x3xf32>, tensor<f32>) -> tensor<2x2x3xf32> loc(#loc1)
    return %2, %4 : tensor<2x2x3xf32>, tensor<2x2x3xf32>
  }
}
#loc0 = loc("previousToken")
#loc1 = loc("previousToken (vjp)")
