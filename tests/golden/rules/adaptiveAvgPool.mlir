module @adaptiveAvgPool {
  func.func public @vjp(%arg0: tensor<2x4x4x2xf32> loc("x"), %arg1: tensor<2x3x2x2xf32> loc("dy")) -> (tensor<2x3x2x2xf32>, tensor<2x4x4x2xf32>) {
    %0 = stablehlo.constant dense<[[0.5, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.0, 0.0, 0.5, 0.5]]> : tensor<3x4xf32> loc(#loc0)
    %1 = stablehlo.constant dense<[[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]> : tensor<2x4xf32> loc(#loc0)
    %2 = stablehlo.dot_general %0, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<3x4xf32>, tensor<2x4x4x2xf32>) -> tensor<3x2x4x2xf32> loc(#loc0)
    %3 = "iree_tensor_ext.compute_barrier.start"(%2) : (tensor<3x2x4x2xf32>) -> tensor<3x2x4x2xf32> loc(#loc0)
    %4 = stablehlo.transpose %3, dims = [1, 0, 2, 3] : (tensor<3x2x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc0)
    %5 = stablehlo.dot_general %1, %4, contracting_dims = [1] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x4xf32>, tensor<2x3x4x2xf32>) -> tensor<2x2x3x2xf32> loc(#loc0)
    %6 = "iree_tensor_ext.compute_barrier.start"(%5) : (tensor<2x2x3x2xf32>) -> tensor<2x2x3x2xf32> loc(#loc0)
    %7 = stablehlo.transpose %6, dims = [1, 2, 0, 3] : (tensor<2x2x3x2xf32>) -> tensor<2x3x2x2xf32> loc(#loc0)
    %8 = stablehlo.dot_general %1, %arg1, contracting_dims = [0] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x4xf32>, tensor<2x3x2x2xf32>) -> tensor<4x2x3x2xf32> loc(#loc1)
    %9 = "iree_tensor_ext.compute_barrier.start"(%8) : (tensor<4x2x3x2xf32>) -> tensor<4x2x3x2xf32> loc(#loc1)
    %10 = stablehlo.transpose %9, dims = [1, 2, 0, 3] : (tensor<4x2x3x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc1)
    %11 = stablehlo.dot_general %0, %10, contracting_dims = [0] x [1], precision = [DEFAULT, DEFAULT] : (tensor<3x4xf32>, tensor<2x3x4x2xf32>) -> tensor<4x2x4x2xf32> loc(#loc1)
    %12 = "iree_tensor_ext.compute_barrier.start"(%11) : (tensor<4x2x4x2xf32>) -> tensor<4x2x4x2xf32> loc(#loc1)
    %13 = stablehlo.transpose %12, dims = [1, 0, 2, 3] : (tensor<4x2x4x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    return %7, %13 : tensor<2x3x2x2xf32>, tensor<2x4x4x2xf32>
  }
}
#loc0 = loc("adaptiveAvgPool")
#loc1 = loc("adaptiveAvgPool (vjp)")
