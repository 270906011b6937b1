module @meanSquaredError {
  func.func public @vjp(%arg0: tensor<2x3x4xf32> loc("output"), %arg1: tensor<2x3x4xf32> loc("target")) -> (tensor<f32>, tensor<2x3x4xf32>, tensor<2xf32>) {
    %0 = stablehlo.subtract %arg0, %arg1 : tensor<2x3x4xf32> loc(#loc0)
    %1 = stablehlo.multiply %0, %0 : tensor<2x3x4xf32> loc(#loc0)
    %2 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %3 = stablehlo.reduce(%1 init: %2) applies stablehlo.add across dimensions = [1, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc0)
    %4 = stablehlo.constant dense<0.08333333333333333> : tensor<2xf32> loc(#loc0)
    %5 = stablehlo.multiply %3, %4 : tensor<2xf32> loc(#loc0)
    %6 = stablehlo.reduce(%5 init: %2) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32> loc(#loc0)
    %7 = stablehlo.constant dense<0.5> : tensor<f32> loc(#loc0)
    %8 = stablehlo.multiply %6, %7 : tensor<f32> loc(#loc0)
    %9 = stablehlo.constant dense<0.5> : tensor<2xf32> loc(#loc0)
    %10 = stablehlo.constant dense<2.0> : tensor<2xf32> loc(#loc0)
    %11 = stablehlo.multiply %9, %10 : tensor<2xf32> loc(#loc0)
    %12 = stablehlo.multiply %11, %4 : tensor<2xf32> loc(#loc0)
    %13 = stablehlo.broadcast_in_dim %12, dims = [0] : (tensor<2xf32>) -> tensor<2x3x4xf32> loc(#loc0)
    %14 = stablehlo.multiply %13, %0 : tensor<2x3x4xf32> loc(#loc0)
    %15 = stablehlo.constant dense<0.0> : tensor<2xf32> loc(#loc0)
    return %8, %14, %15 : tensor<f32>, tensor<2x3x4xf32>, tensor<2xf32>
  }
}
#loc0 = loc("vjp")
