module @rmsNorm {
  func.func public @vjp(%arg0: tensor<3xf32> loc("scale"), %arg1: tensor<2x2x3xf32> loc("x"), %arg2: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<3xf32>) {
    %0 = stablehlo.multiply %arg1, %arg1 : tensor<2x2x3xf32> loc(#loc0)
    %1 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %2 = stablehlo.reduce(%0 init: %1) applies stablehlo.add across dimensions = [2] : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<2x2xf32> loc(#loc0)
    %3 = stablehlo.constant dense<0.3333333333333333> : tensor<2x2xf32> loc(#loc0)
    %4 = stablehlo.multiply %2, %3 : tensor<2x2xf32> loc(#loc0)
    %5 = stablehlo.constant dense<1.0e-06> : tensor<2x2xf32> loc(#loc0)
    %6 = stablehlo.add %4, %5 : tensor<2x2xf32> loc(#loc0)
    %7 = stablehlo.rsqrt %6 : tensor<2x2xf32> loc(#loc0)
    %8 = stablehlo.broadcast_in_dim %7, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %9 = stablehlo.multiply %arg1, %8 : tensor<2x2x3xf32> loc(#loc0)
    %10 = stablehlo.broadcast_in_dim %arg0, dims = [2] : (tensor<3xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %11 = stablehlo.multiply %9, %10 : tensor<2x2x3xf32> loc(#loc0)
    %12 = stablehlo.multiply %arg2, %9 : tensor<2x2x3xf32> loc(#loc1)
    %13 = stablehlo.reduce(%12 init: %1) applies stablehlo.add across dimensions = [0, 1] : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<3xf32> loc(#loc1)
    %14 = stablehlo.multiply %arg2, %10 : tensor<2x2x3xf32> loc(#loc1)
    %15 = stablehlo.multiply %14, %9 : tensor<2x2x3xf32> loc(#loc1)
    %16 = stablehlo.reduce(%15 init: %1) applies stablehlo.add across dimensions = [2] : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<2x2xf32> loc(#loc1)
    %17 = stablehlo.multiply %16, %3 : tensor<2x2xf32> loc(#loc1)
    %18 = stablehlo.broadcast_in_dim %17, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x3xf32> loc(#loc1)
    %19 = stablehlo.multiply %9, %18 : tensor<2x2x3xf32> loc(#loc1)
    %20 = stablehlo.subtract %14, %19 : tensor<2x2x3xf32> loc(#loc1)
    %21 = stablehlo.multiply %8, %20 : tensor<2x2x3xf32> loc(#loc1)
    return %11, %21, %13 : tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<3xf32>
  }
}
#loc0 = loc("rmsNorm")
#loc1 = loc("rmsNorm (vjp)")
