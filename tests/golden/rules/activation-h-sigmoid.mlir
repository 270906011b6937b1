module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<3.0> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.add %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.constant dense<0.0> : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.maximum %1, %2 : tensor<2x3xf32> loc(#loc0)
    %4 = stablehlo.constant dense<6.0> : tensor<2x3xf32> loc(#loc0)
    %5 = stablehlo.minimum %3, %4 : tensor<2x3xf32> loc(#loc0)
    %6 = stablehlo.constant dense<0.16666666666666666> : tensor<2x3xf32> loc(#loc0)
    %7 = stablehlo.multiply %5, %6 : tensor<2x3xf32> loc(#loc0)
    %8 = stablehlo.compare LT, %5, %4, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc1)
    %9 = stablehlo.multiply %arg1, %6 : tensor<2x3xf32> loc(#loc1)
    %10 = stablehlo.select %8, %9, %2 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    %11 = stablehlo.compare GT, %5, %2, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc1)
    %12 = stablehlo.select %11, %10, %2 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    return %7, %12 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
