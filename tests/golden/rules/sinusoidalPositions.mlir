module @sinusoidalPositions {
  func.func public @vjp(%arg0: tensor<2x2x3xf32> loc("x"), %arg1: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>) {
    %0 = stablehlo.iota dim = 1 : tensor<2x3xi32> loc(#loc0)
    %1 = stablehlo.constant dense<1> : tensor<2x3xi32> loc(#loc0)
    %2 = stablehlo.and %0, %1 : tensor<2x3xi32> loc(#loc0)
    %3 = stablehlo.xor %0, %2 : tensor<2x3xi32> loc(#loc0)
    %4 = stablehlo.convert %3 : (tensor<2x3xi32>) -> tensor<2x3xf32> loc(#loc0)
    %5 = stablehlo.constant dense<-3.0701134573253945> : tensor<2x3xf32> loc(#loc0)
    %6 = stablehlo.multiply %4, %5 : tensor<2x3xf32> loc(#loc0)
    %7 = stablehlo.iota dim = 0 : tensor<2x3xf32> loc(#loc0)
    %8 = stablehlo.exponential %6 : tensor<2x3xf32> loc(#loc0)
    %9 = stablehlo.multiply %7, %8 : tensor<2x3xf32> loc(#loc0)
    %10 = stablehlo.compare EQ, %0, %3, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1> loc(#loc0)
    %11 = stablehlo.sine %9 : tensor<2x3xf32> loc(#loc0)
    %12 = stablehlo.cosine %9 : tensor<2x3xf32> loc(#loc0)
    %13 = stablehlo.select %10, %11, %12 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc0)
    %14 = stablehlo.broadcast_in_dim %13, dims = [1, 2] : (tensor<2x3xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %15 = stablehlo.add %arg0, %14 : tensor<2x2x3xf32> loc(#loc0)
    return %15, %arg1 : tensor<2x2x3xf32>, tensor<2x2x3xf32>
  }
}
#loc0 = loc("sinusoidalPositions")
