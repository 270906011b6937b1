module @halfProduct {
  func.func public @vjp(%arg0: tensor<2x4x4x2xf32> loc("x"), %arg1: tensor<2x4x4x1xf32> loc("dy")) -> (tensor<2x4x4x1xf32>, tensor<2x4x4x2xf32>) {
    %0 = stablehlo.slice %arg0 [0:2, 0:4, 0:4, 0:1] : (tensor<2x4x4x2xf32>) -> tensor<2x4x4x1xf32> loc(#loc0)
    %1 = stablehlo.slice %arg0 [0:2, 0:4, 0:4, 1:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x4x1xf32> loc(#loc0)
    %2 = stablehlo.multiply %0, %1 : tensor<2x4x4x1xf32> loc(#loc0)
    %3 = stablehlo.multiply %arg1, %1 : tensor<2x4x4x1xf32> loc(#loc1)
    %4 = stablehlo.multiply %arg1, %0 : tensor<2x4x4x1xf32> loc(#loc1)
    %5 = stablehlo.concatenate %3, %4, dim = 3 : (tensor<2x4x4x1xf32>, tensor<2x4x4x1xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    return %2, %5 : tensor<2x4x4x1xf32>, tensor<2x4x4x2xf32>
  }
}
#loc0 = loc("halfProduct")
#loc1 = loc("halfProduct (vjp)")
