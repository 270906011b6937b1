module @spatialUnflatten {
  func.func public @vjp(%arg0: tensor<2x2x3xf32> loc("x"), %arg1: tensor<2x1x2x3xf32> loc("dy")) -> (tensor<2x1x2x3xf32>, tensor<2x2x3xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x2x3xf32>) -> tensor<2x1x2x3xf32> loc(#loc0)
    %1 = stablehlo.reshape %arg1 : (tensor<2x1x2x3xf32>) -> tensor<2x2x3xf32> loc(#loc1)
    return %0, %1 : tensor<2x1x2x3xf32>, tensor<2x2x3xf32>
  }
}
#loc0 = loc("spatialUnflatten")
#loc1 = loc("spatialUnflatten (vjp)")
