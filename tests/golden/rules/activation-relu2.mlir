module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.maximum %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.multiply %1, %1 : tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.constant dense<2.0> : tensor<2x3xf32> loc(#loc1)
    %4 = stablehlo.multiply %1, %3 : tensor<2x3xf32> loc(#loc1)
    %5 = stablehlo.multiply %arg1, %4 : tensor<2x3xf32> loc(#loc1)
    return %2, %5 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
