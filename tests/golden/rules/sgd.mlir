module @optimizer {
  func.func public @init() -> (tensor<2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2xf32> loc(#loc0)
    return %0 : tensor<2xf32>
  }
  func.func public @update(%arg0: tensor<2xf32> loc("p0"), %arg1: tensor<2xf32> loc("g0"), %arg2: tensor<2xf32> loc("kept0"), %arg3: tensor<f32> loc("lr")) -> (tensor<2xf32>, tensor<2xf32>) {
    %0 = stablehlo.constant dense<0.01> : tensor<2xf32> loc(#loc1)
    %1 = stablehlo.multiply %arg0, %0 : tensor<2xf32> loc(#loc1)
    %2 = stablehlo.add %arg1, %1 : tensor<2xf32> loc(#loc1)
    %3 = stablehlo.broadcast_in_dim %arg3, dims = [] : (tensor<f32>) -> tensor<2xf32> loc(#loc1)
    %4 = stablehlo.constant dense<0.9> : tensor<2xf32> loc(#loc1)
    %5 = stablehlo.multiply %arg2, %4 : tensor<2xf32> loc(#loc1)
    %6 = stablehlo.add %5, %2 : tensor<2xf32> loc(#loc1)
    %7 = stablehlo.multiply %6, %4 : tensor<2xf32> loc(#loc1)
    %8 = stablehlo.add %2, %7 : tensor<2xf32> loc(#loc1)
    %9 = stablehlo.multiply %8, %3 : tensor<2xf32> loc(#loc1)
    %10 = stablehlo.subtract %arg0, %9 : tensor<2xf32> loc(#loc1)
    return %10, %6 : tensor<2xf32>, tensor<2xf32>
  }
}
#loc0 = loc("init")
#loc1 = loc("update")
