module @split {
  func.func public @vjp(%arg0: tensor<2x2xf32> loc("dense1.kernel"), %arg1: tensor<2xf32> loc("dense1.bias"), %arg2: tensor<2x4xf32> loc("x"), %arg3: tensor<2x4xf32> loc("dy")) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.slice %arg2 [0:2, 0:2] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc0)
    %1 = stablehlo.slice %arg2 [0:2, 2:4] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc0)
    %2 = stablehlo.dot_general %1, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc(#loc1)
    %3 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<2x2xf32> loc(#loc1)
    %4 = stablehlo.add %2, %3 : tensor<2x2xf32> loc(#loc1)
    %5 = stablehlo.concatenate %0, %4, dim = 1 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x4xf32> loc(#loc0)
    %6 = stablehlo.slice %arg3 [0:2, 0:2] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc2)
    %7 = stablehlo.slice %arg3 [0:2, 2:4] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc2)
    %8 = stablehlo.dot_general %7, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc(#loc3)
    %9 = stablehlo.dot_general %1, %7, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc(#loc3)
    %10 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc3)
    %11 = stablehlo.reduce(%7 init: %10) applies stablehlo.add across dimensions = [0] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc3)
    %12 = stablehlo.concatenate %6, %8, dim = 1 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x4xf32> loc(#loc2)
    return %5, %12, %9, %11 : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("split")
#loc1 = loc("split.dense1")
#loc2 = loc("split (vjp)")
#loc3 = loc("split.dense1 (vjp)")
