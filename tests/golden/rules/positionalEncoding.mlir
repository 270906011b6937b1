module @positionalEncoding {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x12xf32> loc("dy")) -> (tensor<2x12xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<[3.141592653589793, 6.283185307179586]> : tensor<2xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %0, dims = [2] : (tensor<2xf32>) -> tensor<2x3x2xf32> loc(#loc0)
    %2 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1] : (tensor<2x3xf32>) -> tensor<2x3x2xf32> loc(#loc0)
    %3 = stablehlo.multiply %2, %1 : tensor<2x3x2xf32> loc(#loc0)
    %4 = stablehlo.sine %3 : tensor<2x3x2xf32> loc(#loc0)
    %5 = stablehlo.cosine %3 : tensor<2x3x2xf32> loc(#loc0)
    %6 = stablehlo.reshape %4 : (tensor<2x3x2xf32>) -> tensor<2x3x2x1xf32> loc(#loc0)
    %7 = stablehlo.reshape %5 : (tensor<2x3x2xf32>) -> tensor<2x3x2x1xf32> loc(#loc0)
    %8 = stablehlo.concatenate %6, %7, dim = 3 : (tensor<2x3x2x1xf32>, tensor<2x3x2x1xf32>) -> tensor<2x3x2x2xf32> loc(#loc0)
    %9 = stablehlo.reshape %8 : (tensor<2x3x2x2xf32>) -> tensor<2x12xf32> loc(#loc0)
    %10 = stablehlo.reshape %arg1 : (tensor<2x12xf32>) -> tensor<2x3x2x2xf32> loc(#loc1)
    %11 = stablehlo.slice %10 [0:2, 0:3, 0:2, 0:1] : (tensor<2x3x2x2xf32>) -> tensor<2x3x2x1xf32> loc(#loc1)
    %12 = stablehlo.reshape %11 : (tensor<2x3x2x1xf32>) -> tensor<2x3x2xf32> loc(#loc1)
    %13 = stablehlo.slice %10 [0:2, 0:3, 0:2, 1:2] : (tensor<2x3x2x2xf32>) -> tensor<2x3x2x1xf32> loc(#loc1)
    %14 = stablehlo.reshape %13 : (tensor<2x3x2x1xf32>) -> tensor<2x3x2xf32> loc(#loc1)
    %15 = stablehlo.multiply %12, %5 : tensor<2x3x2xf32> loc(#loc1)
    %16 = stablehlo.multiply %14, %4 : tensor<2x3x2xf32> loc(#loc1)
    %17 = stablehlo.subtract %15, %16 : tensor<2x3x2xf32> loc(#loc1)
    %18 = stablehlo.multiply %1, %17 : tensor<2x3x2xf32> loc(#loc1)
    %19 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %20 = stablehlo.reduce(%18 init: %19) applies stablehlo.add across dimensions = [2] : (tensor<2x3x2xf32>, tensor<f32>) -> tensor<2x3xf32> loc(#loc1)
    return %9, %20 : tensor<2x12xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("positionalEncoding")
#loc1 = loc("positionalEncoding (vjp)")
