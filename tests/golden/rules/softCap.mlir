module @softCap {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.06666666666666667> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.tanh %1 : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.constant dense<15.0> : tensor<2x3xf32> loc(#loc0)
    %4 = stablehlo.multiply %2, %3 : tensor<2x3xf32> loc(#loc0)
    %5 = stablehlo.multiply %2, %2 : tensor<2x3xf32> loc(#loc1)
    %6 = stablehlo.constant dense<1.0> : tensor<2x3xf32> loc(#loc1)
    %7 = stablehlo.subtract %6, %5 : tensor<2x3xf32> loc(#loc1)
    %8 = stablehlo.multiply %arg1, %7 : tensor<2x3xf32> loc(#loc1)
    return %4, %8 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("softCap")
#loc1 = loc("softCap (vjp)")
