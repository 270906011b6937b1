module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.maximum %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.constant dense<6.0> : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.minimum %1, %2 : tensor<2x3xf32> loc(#loc0)
    %4 = stablehlo.compare GT, %3, %0, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc1)
    %5 = stablehlo.compare LT, %3, %2, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc1)
    %6 = stablehlo.select %5, %arg1, %0 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    %7 = stablehlo.select %4, %6, %0 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    return %3, %7 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
