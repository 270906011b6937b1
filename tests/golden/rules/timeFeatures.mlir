module @timeFeatures {
  func.func public @vjp(%arg0: tensor<2x1xf32> loc("x"), %arg1: tensor<2x4xf32> loc("dy")) -> (tensor<2x4xf32>, tensor<2x1xf32>) {
    %0 = stablehlo.iota dim = 0 : tensor<2xf32> loc(#loc0)
    %1 = stablehlo.constant dense<-9.210340371976184> : tensor<2xf32> loc(#loc0)
    %2 = stablehlo.multiply %0, %1 : tensor<2xf32> loc(#loc0)
    %3 = stablehlo.exponential %2 : tensor<2xf32> loc(#loc0)
    %4 = stablehlo.broadcast_in_dim %3, dims = [1] : (tensor<2xf32>) -> tensor<2x2xf32> loc(#loc0)
    %5 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1] : (tensor<2x1xf32>) -> tensor<2x2xf32> loc(#loc0)
    %6 = stablehlo.multiply %5, %4 : tensor<2x2xf32> loc(#loc0)
    %7 = stablehlo.sine %6 : tensor<2x2xf32> loc(#loc0)
    %8 = stablehlo.cosine %6 : tensor<2x2xf32> loc(#loc0)
    %9 = stablehlo.concatenate %7, %8, dim = 1 : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x4xf32> loc(#loc0)
    %10 = stablehlo.slice %arg1 [0:2, 0:2] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc1)
    %11 = stablehlo.slice %arg1 [0:2, 2:4] : (tensor<2x4xf32>) -> tensor<2x2xf32> loc(#loc1)
    %12 = stablehlo.multiply %10, %8 : tensor<2x2xf32> loc(#loc1)
    %13 = stablehlo.multiply %11, %7 : tensor<2x2xf32> loc(#loc1)
    %14 = stablehlo.subtract %12, %13 : tensor<2x2xf32> loc(#loc1)
    %15 = stablehlo.multiply %14, %4 : tensor<2x2xf32> loc(#loc1)
    %16 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %17 = stablehlo.reduce(%15 init: %16) applies stablehlo.add across dimensions = [1] : (tensor<2x2xf32>, tensor<f32>) -> tensor<2xf32> loc(#loc1)
    %18 = stablehlo.reshape %17 : (tensor<2xf32>) -> tensor<2x1xf32> loc(#loc1)
    return %9, %18 : tensor<2x4xf32>, tensor<2x1xf32>
  }
}
#loc0 = loc("timeFeatures")
#loc1 = loc("timeFeatures (vjp)")
