module @repeat {
  func.func public @vjp(%arg0: tensor<3x3xf32> loc("block0.kernel"), %arg1: tensor<3xf32> loc("block0.bias"), %arg2: tensor<3x3xf32> loc("block1.kernel"), %arg3: tensor<3xf32> loc("block1.bias"), %arg4: tensor<2x3xf32> loc("x"), %arg5: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<3x3xf32>, tensor<3xf32>, tensor<3x3xf32>, tensor<3xf32>) {
    %0 = stablehlo.dot_general %arg4, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.dot_general %2, %arg2, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.broadcast_in_dim %arg3, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc(#loc1)
    %5 = stablehlo.add %3, %4 : tensor<2x3xf32> loc(#loc1)
    %6 = stablehlo.dot_general %arg5, %arg2, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc2)
    %7 = stablehlo.dot_general %2, %arg5, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x3xf32> loc(#loc2)
    %8 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc2)
    %9 = stablehlo.reduce(%arg5 init: %8) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32> loc(#loc2)
    %10 = stablehlo.dot_general %6, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc3)
    %11 = stablehlo.dot_general %arg4, %6, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x3xf32> loc(#loc3)
    %12 = stablehlo.reduce(%6 init: %8) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32> loc(#loc3)
    return %5, %10, %11, %12, %7, %9 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<3x3xf32>, tensor<3xf32>, tensor<3x3xf32>, tensor<3xf32>
  }
}
#loc0 = loc("repeat.block0")
#loc1 = loc("repeat.block1")
#loc2 = loc("repeat.block1 (vjp)")
#loc3 = loc("repeat.block0 (vjp)")
