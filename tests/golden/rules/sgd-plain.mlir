module @optimizer {
  func.func public @init() -> () {
    return
  }
  func.func public @update(%arg0: tensor<2xf32> loc("p0"), %arg1: tensor<2xf32> loc("g0"), %arg2: tensor<f32> loc("lr")) -> (tensor<2xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<f32>) -> tensor<2xf32> loc(#loc0)
    %1 = stablehlo.multiply %arg1, %0 : tensor<2xf32> loc(#loc0)
    %2 = stablehlo.subtract %arg0, %1 : tensor<2xf32> loc(#loc0)
    return %2 : tensor<2xf32>
  }
}
#loc0 = loc("update")
