module @layerScale {
  func.func public @vjp(%arg0: tensor<2xf32> loc("gamma"), %arg1: tensor<2x4x4x2xf32> loc("x"), %arg2: tensor<2x4x4x2xf32> loc("dy")) -> (tensor<2x4x4x2xf32>, tensor<2x4x4x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [3] : (tensor<2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %1 = stablehlo.multiply %arg1, %0 : tensor<2x4x4x2xf32> loc(#loc0)
    %2 = stablehlo.multiply %arg2, %arg1 : tensor<2x4x4x2xf32> loc(#loc1)
    %3 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %4 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %5 = "iree_tensor_ext.compute_barrier.start"(%4) : (tensor<f32>) -> tensor<f32> loc(#loc1)
    %6 = stablehlo.broadcast_in_dim %5, dims = [] : (tensor<f32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %7 = stablehlo.add %2, %6 : tensor<2x4x4x2xf32> loc(#loc1)
    %8 = stablehlo.reduce(%7 init: %3) applies stablehlo.add across dimensions = [0, 1, 2] : (tensor<2x4x4x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc1)
    %9 = stablehlo.multiply %arg2, %0 : tensor<2x4x4x2xf32> loc(#loc1)
    return %1, %9, %8 : tensor<2x4x4x2xf32>, tensor<2x4x4x2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("layerScale")
#loc1 = loc("layerScale (vjp)")
