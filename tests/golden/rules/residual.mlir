module @residual {
  func.func public @vjp(%arg0: tensor<3x3xf32> loc("body.kernel"), %arg1: tensor<3xf32> loc("body.bias"), %arg2: tensor<2x3xf32> loc("x"), %arg3: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<3x3xf32>, tensor<3xf32>) {
    %0 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.add %2, %arg2 : tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.dot_general %arg3, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc2)
    %5 = stablehlo.dot_general %arg2, %arg3, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x3xf32> loc(#loc2)
    %6 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc2)
    %7 = stablehlo.reduce(%arg3 init: %6) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32> loc(#loc2)
    %8 = stablehlo.add %4, %arg3 : tensor<2x3xf32> loc(#loc3)
    return %3, %8, %5, %7 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<3x3xf32>, tensor<3xf32>
  }
}
#loc0 = loc("residual.body")
#loc1 = loc("residual")
#loc2 = loc("residual.body (vjp)")
#loc3 = loc("residual (vjp)")
