module @m {
  func.func public @f(%x: tensor<2x16xf32>) -> tensor<2x16xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %sum = stablehlo.reduce(%x init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<2x16xf32>, tensor<f32>) -> tensor<16xf32>
    %all = stablehlo.broadcast_in_dim %sum, dims = [1] : (tensor<16xf32>) -> tensor<2x16xf32>
    %off = stablehlo.subtract %x, %all : tensor<2x16xf32>
    return %off : tensor<2x16xf32>
  }
}
