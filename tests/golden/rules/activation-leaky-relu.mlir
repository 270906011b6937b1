module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.compare GT, %arg0, %0, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc0)
    %2 = stablehlo.constant dense<0.01> : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.multiply %arg0, %2 : tensor<2x3xf32> loc(#loc0)
    %4 = stablehlo.select %1, %arg0, %3 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc0)
    %5 = stablehlo.multiply %arg1, %2 : tensor<2x3xf32> loc(#loc1)
    %6 = stablehlo.select %1, %arg1, %5 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    return %4, %6 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
