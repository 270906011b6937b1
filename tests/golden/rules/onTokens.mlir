module @onTokens {
  func.func public @vjp(%arg0: tensor<3x3xf32> loc("body.kernel"), %arg1: tensor<3xf32> loc("body.bias"), %arg2: tensor<2x2x3xf32> loc("x"), %arg3: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<3x3xf32>, tensor<3xf32>) {
    %0 = stablehlo.slice %arg2 [0:2, 0:1, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc0)
    %1 = stablehlo.reshape %0 : (tensor<2x1x3xf32>) -> tensor<2x3xf32> loc(#loc1)
    %2 = stablehlo.dot_general %1, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc1)
    %3 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.add %2, %3 : tensor<2x3xf32> loc(#loc1)
    %5 = stablehlo.reshape %4 : (tensor<2x3xf32>) -> tensor<2x1x3xf32> loc(#loc1)
    %6 = stablehlo.slice %arg2 [0:2, 1:2, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc0)
    %7 = stablehlo.concatenate %5, %6, dim = 1 : (tensor<2x1x3xf32>, tensor<2x1x3xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %8 = stablehlo.slice %arg3 [0:2, 0:1, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc2)
    %9 = stablehlo.reshape %8 : (tensor<2x1x3xf32>) -> tensor<2x3xf32> loc(#loc3)
    %10 = stablehlo.dot_general %9, %arg0, contracting_dims = [1] x [1], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32> loc(#loc3)
    %11 = stablehlo.dot_general %1, %9, contracting_dims = [0] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x3xf32> loc(#loc3)
    %12 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc3)
    %13 = stablehlo.reduce(%9 init: %12) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32> loc(#loc3)
    %14 = stablehlo.reshape %10 : (tensor<2x3xf32>) -> tensor<2x1x3xf32> loc(#loc3)
    %15 = stablehlo.slice %arg3 [0:2, 1:2, 0:3] : (tensor<2x2x3xf32>) -> tensor<2x1x3xf32> loc(#loc2)
    %16 = stablehlo.concatenate %14, %15, dim = 1 : (tensor<2x1x3xf32>, tensor<2x1x3xf32>) -> tensor<2x2x3xf32> loc(#loc2)
    return %7, %16, %11, %13 : tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<3x3xf32>, tensor<3xf32>
  }
}
#loc0 = loc("onTokens")
#loc1 = loc("onTokens.body")
#loc2 = loc("onTokens (vjp)")
#loc3 = loc("onTokens.body (vjp)")
