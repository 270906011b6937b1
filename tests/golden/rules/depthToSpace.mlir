module @depthToSpace {
  func.func public @vjp(%arg0: tensor<2x2x1x4xf32> loc("x"), %arg1: tensor<2x4x2x1xf32> loc("dy")) -> (tensor<2x4x2x1xf32>, tensor<2x2x1x4xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x2x1x4xf32>) -> tensor<2x2x1x2x2x1xf32> loc(#loc0)
    %1 = stablehlo.transpose %0, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x1x2x2x1xf32>) -> tensor<2x2x2x1x2x1xf32> loc(#loc0)
    %2 = stablehlo.reshape %1 : (tensor<2x2x2x1x2x1xf32>) -> tensor<2x4x2x1xf32> loc(#loc0)
    %3 = stablehlo.reshape %arg1 : (tensor<2x4x2x1xf32>) -> tensor<2x2x2x1x2x1xf32> loc(#loc1)
    %4 = stablehlo.transpose %3, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x2x1x2x1xf32>) -> tensor<2x2x1x2x2x1xf32> loc(#loc1)
    %5 = stablehlo.reshape %4 : (tensor<2x2x1x2x2x1xf32>) -> tensor<2x2x1x4xf32> loc(#loc1)
    return %2, %5 : tensor<2x4x2x1xf32>, tensor<2x2x1x4xf32>
  }
}
#loc0 = loc("depthToSpace")
#loc1 = loc("depthToSpace (vjp)")
