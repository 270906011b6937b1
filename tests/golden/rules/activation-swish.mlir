module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.logistic %arg0 : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.constant dense<1.0> : tensor<2x3xf32> loc(#loc1)
    %3 = stablehlo.subtract %2, %0 : tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.multiply %1, %3 : tensor<2x3xf32> loc(#loc1)
    %5 = stablehlo.add %0, %4 : tensor<2x3xf32> loc(#loc1)
    %6 = stablehlo.multiply %arg1, %5 : tensor<2x3xf32> loc(#loc1)
    return %1, %6 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
