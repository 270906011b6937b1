module @identity {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    return %arg0, %arg1 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
