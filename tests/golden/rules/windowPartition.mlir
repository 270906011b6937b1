module @windowPartition {
  func.func public @vjp(%arg0: tensor<2x3x4x2xf32> loc("x"), %arg1: tensor<2x16x2xf32> loc("dy")) -> (tensor<2x16x2xf32>, tensor<2x3x4x2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %1 = stablehlo.pad %arg0, %0, low = [0, 0, 0, 0], high = [0, 1, 0, 0], interior = [0, 0, 0, 0] : (tensor<2x3x4x2xf32>, tensor<f32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %2 = stablehlo.slice %1 [0:2, 1:4, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc0)
    %3 = stablehlo.slice %1 [0:2, 0:1, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x1x4x2xf32> loc(#loc0)
    %4 = stablehlo.concatenate %2, %3, dim = 1 : (tensor<2x3x4x2xf32>, tensor<2x1x4x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %5 = stablehlo.slice %4 [0:2, 0:4, 1:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x3x2xf32> loc(#loc0)
    %6 = stablehlo.slice %4 [0:2, 0:4, 0:1, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x1x2xf32> loc(#loc0)
    %7 = stablehlo.concatenate %5, %6, dim = 2 : (tensor<2x4x3x2xf32>, tensor<2x4x1x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %8 = stablehlo.reshape %7 : (tensor<2x4x4x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %9 = stablehlo.transpose %8, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %10 = stablehlo.reshape %9 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x16x2xf32> loc(#loc0)
    %11 = stablehlo.reshape %arg1 : (tensor<2x16x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %12 = stablehlo.transpose %11, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %13 = stablehlo.reshape %12 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %14 = stablehlo.slice %13 [0:2, 3:4, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x1x4x2xf32> loc(#loc1)
    %15 = stablehlo.slice %13 [0:2, 0:3, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc1)
    %16 = stablehlo.concatenate %14, %15, dim = 1 : (tensor<2x1x4x2xf32>, tensor<2x3x4x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %17 = stablehlo.slice %16 [0:2, 0:4, 3:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x1x2xf32> loc(#loc1)
    %18 = stablehlo.slice %16 [0:2, 0:4, 0:3, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x3x2xf32> loc(#loc1)
    %19 = stablehlo.concatenate %17, %18, dim = 2 : (tensor<2x4x1x2xf32>, tensor<2x4x3x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %20 = stablehlo.slice %19 [0:2, 0:3, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc1)
    return %10, %20 : tensor<2x16x2xf32>, tensor<2x3x4x2xf32>
  }
}
#loc0 = loc("windowPartition")
#loc1 = loc("windowPartition (vjp)")
