module @spaceToDepth {
  func.func public @vjp(%arg0: tensor<2x3x4x2xf32> loc("x"), %arg1: tensor<2x2x2x8xf32> loc("dy")) -> (tensor<2x2x2x8xf32>, tensor<2x3x4x2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %1 = stablehlo.pad %arg0, %0, low = [0, 0, 0, 0], high = [0, 1, 0, 0], interior = [0, 0, 0, 0] : (tensor<2x3x4x2xf32>, tensor<f32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %2 = stablehlo.reshape %1 : (tensor<2x4x4x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %3 = stablehlo.transpose %2, dims = [0, 1, 3, 4, 2, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %4 = stablehlo.reshape %3 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x8xf32> loc(#loc0)
    %5 = stablehlo.reshape %arg1 : (tensor<2x2x2x8xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %6 = stablehlo.transpose %5, dims = [0, 1, 4, 2, 3, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %7 = stablehlo.reshape %6 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %8 = stablehlo.slice %7 [0:2, 0:3, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc1)
    return %4, %8 : tensor<2x2x2x8xf32>, tensor<2x3x4x2xf32>
  }
}
#loc0 = loc("spaceToDepth")
#loc1 = loc("spaceToDepth (vjp)")
