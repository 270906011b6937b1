module @huber {
  func.func public @vjp(%arg0: tensor<2x3x4xf32> loc("output"), %arg1: tensor<2x3x4xf32> loc("target")) -> (tensor<f32>, tensor<2x3x4xf32>, tensor<2xf32>) {
    %0 = stablehlo.subtract %arg0, %arg1 : tensor<2x3x4xf32> loc(#loc0)
    %1 = stablehlo.constant dense<1.0> : tensor<2x3x4xf32> loc(#loc0)
    %2 = stablehlo.minimum %0, %1 : tensor<2x3x4xf32> loc(#loc0)
    %3 = stablehlo.constant dense<-1.0> : tensor<2x3x4xf32> loc(#loc0)
    %4 = stablehlo.maximum %2, %3 : tensor<2x3x4xf32> loc(#loc0)
    %5 = stablehlo.constant dense<0.5> : tensor<2x3x4xf32> loc(#loc0)
    %6 = stablehlo.multiply %4, %5 : tensor<2x3x4xf32> loc(#loc0)
    %7 = stablehlo.subtract %0, %6 : tensor<2x3x4xf32> loc(#loc0)
    %8 = stablehlo.multiply %4, %7 : tensor<2x3x4xf32> loc(#loc0)
    %9 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %10 = stablehlo.reduce(%8 init: %9) applies stablehlo.add across dimensions = [1, 2] : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc0)
    %11 = stablehlo.constant dense<0.08333333333333333> : tensor<2xf32> loc(#loc0)
    %12 = stablehlo.multiply %10, %11 : tensor<2xf32> loc(#loc0)
    %13 = stablehlo.reduce(%12 init: %9) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32> loc(#loc0)
    %14 = stablehlo.constant dense<0.5> : tensor<f32> loc(#loc0)
    %15 = stablehlo.multiply %13, %14 : tensor<f32> loc(#loc0)
    %16 = stablehlo.constant dense<0.5> : tensor<2xf32> loc(#loc0)
    %17 = stablehlo.multiply %16, %11 : tensor<2xf32> loc(#loc0)
    %18 = stablehlo.broadcast_in_dim %17, dims = [0] : (tensor<2xf32>) -> tensor<2x3x4xf32> loc(#loc0)
    %19 = stablehlo.multiply %18, %4 : tensor<2x3x4xf32> loc(#loc0)
    %20 = stablehlo.constant dense<0.0> : tensor<2xf32> loc(#loc0)
    return %15, %19, %20 : tensor<f32>, tensor<2x3x4xf32>, tensor<2xf32>
  }
}
#loc0 = loc("vjp")
