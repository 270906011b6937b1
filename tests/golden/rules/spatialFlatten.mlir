module @spatialFlatten {
  func.func public @vjp(%arg0: tensor<2x4x4x2xf32> loc("x"), %arg1: tensor<2x16x2xf32> loc("dy")) -> (tensor<2x16x2xf32>, tensor<2x4x4x2xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x4x4x2xf32>) -> tensor<2x16x2xf32> loc(#loc0)
    %1 = stablehlo.reshape %arg1 : (tensor<2x16x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    return %0, %1 : tensor<2x16x2xf32>, tensor<2x4x4x2xf32>
  }
}
#loc0 = loc("spatialFlatten")
#loc1 = loc("spatialFlatten (vjp)")
