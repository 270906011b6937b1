module @chain {
  func.func public @vjp(%arg0: tensor<3x2xf32> loc("first.kernel"), %arg1: tensor<2xf32> loc("first.bias"), %arg2: tensor<2x3xf32> loc("x"), %arg3: tensor<2x2xf32> loc("dy")) -> (tensor<2x2xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x2xf32> loc(#loc0)
    %3 = stablehlo.tanh %2 : tensor<2x2xf32> loc(#loc1)
    %4 = stablehlo.multiply %3, %3 : tensor<2x2xf32> loc(#loc2)
    %5 = stablehlo.constant dense<1.0> : tensor<2x2xf32> loc(#loc2)
    %6 = stablehlo.subtract %5, %4 : tensor<2x2xf32> loc(#loc2)
    %7 = stablehlo.multiply %arg3, %6 : tensor<2x2xf32> loc(#loc2)
    %8 = stablehlo.dot_general %7, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<3x2xf32>) -> tensor<2x3xf32> loc(#loc3)
    %9 = stablehlo.dot_general %arg2, %7, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<3x2xf32> loc(#loc3)
    %10 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc3)
    %11 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc3)
    %12 = "iree_tensor_ext.compute_barrier.start"(%11) : (tensor<f32>) -> tensor<f32> loc(#loc3)
    %13 = stablehlo.broadcast_in_dim %12, dims = [] : (tensor<f32>) -> tensor<2x2xf32> loc(#loc3)
    %14 = stablehlo.add %7, %13 : tensor<2x2xf32> loc(#loc3)
    %15 = stablehlo.reduce(%14 init: %10) applies stablehlo.add across dimensions = [0] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc3)
    return %3, %8, %9, %15 : tensor<2x2xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("chain.first")
#loc1 = loc("chain.activation1")
#loc2 = loc("chain.activation1 (vjp)")
#loc3 = loc("chain.first (vjp)")
