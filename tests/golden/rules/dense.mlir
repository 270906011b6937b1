module @dense {
  func.func public @vjp(%arg0: tensor<3x2xf32> loc("kernel"), %arg1: tensor<2xf32> loc("bias"), %arg2: tensor<2x3xf32> loc("x"), %arg3: tensor<2x2xf32> loc("dy")) -> (tensor<2x2xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>) {
    %0 = stablehlo.dot_general %arg2, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x2xf32> loc(#loc0)
    %3 = stablehlo.constant dense<0.0> : tensor<2x2xf32> loc(#loc0)
    %4 = stablehlo.maximum %2, %3 : tensor<2x2xf32> loc(#loc0)
    %5 = stablehlo.compare GT, %4, %3, FLOAT : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xi1> loc(#loc1)
    %6 = stablehlo.select %5, %arg3, %3 : tensor<2x2xi1>, tensor<2x2xf32> loc(#loc1)
    %7 = stablehlo.dot_general %6, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x2xf32>, tensor<3x2xf32>) -> tensor<2x3xf32> loc(#loc1)
    %8 = stablehlo.dot_general %arg2, %6, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<3x2xf32> loc(#loc1)
    %9 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %10 = stablehlo.reduce(%6 init: %9) applies stablehlo.add across dimensions = [0] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc1)
    return %4, %7, %8, %10 : tensor<2x2xf32>, tensor<2x3xf32>, tensor<3x2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("dense")
#loc1 = loc("dense (vjp)")
