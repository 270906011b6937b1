module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.logistic %arg0 : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.constant dense<1.0> : tensor<2x3xf32> loc(#loc1)
    %2 = stablehlo.subtract %1, %0 : tensor<2x3xf32> loc(#loc1)
    %3 = stablehlo.multiply %0, %2 : tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.multiply %arg1, %3 : tensor<2x3xf32> loc(#loc1)
    return %0, %4 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
