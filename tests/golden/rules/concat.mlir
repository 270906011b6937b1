module @concat {
  func.func public @vjp(%arg0: tensor<3x2xf32> loc("dense1.kernel"), %arg1: tensor<2xf32> loc("dense1.bias"), %arg2: tensor<2x3xf32> loc("x"), %arg3: tensor<2x5xf32> loc("dy")) -> (tensor<2x5xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x2xf32> loc(#loc0)
    %3 = stablehlo.concatenate %arg2, %2, dim = 1 : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x5xf32> loc(#loc1)
    %4 = stablehlo.slice %arg3 [0:2, 0:3] : (tensor<2x5xf32>) -> tensor<2x3xf32> loc(#loc2)
    %5 = stablehlo.slice %arg3 [0:2, 3:5] : (tensor<2x5xf32>) -> tensor<2x2xf32> loc(#loc2)
    %6 = stablehlo.dot_general %5, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<3x2xf32>) -> tensor<2x3xf32> loc(#loc3)
    %7 = stablehlo.dot_general %arg2, %5, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<3x2xf32> loc(#loc3)
    %8 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc3)
    %9 = stablehlo.reduce(%5 init: %8) applies stablehlo.add across dimensions = [0] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc3)
    %10 = stablehlo.add %4, %6 : tensor<2x3xf32> loc(#loc2)
    return %3, %10, %7, %9 : tensor<2x5xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("concat.dense1")
#loc1 = loc("concat")
#loc2 = loc("concat (vjp)")
#loc3 = loc("concat.dense1 (vjp)")
