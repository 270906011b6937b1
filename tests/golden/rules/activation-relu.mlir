module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.maximum %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = stablehlo.compare GT, %1, %0, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1> loc(#loc1)
    %3 = stablehlo.select %2, %arg1, %0 : tensor<2x3xi1>, tensor<2x3xf32> loc(#loc1)
    return %1, %3 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
