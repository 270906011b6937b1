module @windowMerge {
  func.func public @vjp(%arg0: tensor<2x16x2xf32> loc("x"), %arg1: tensor<2x3x4x2xf32> loc("dy")) -> (tensor<2x3x4x2xf32>, tensor<2x16x2xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x16x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %1 = stablehlo.transpose %0, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc0)
    %2 = stablehlo.reshape %1 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %3 = stablehlo.slice %2 [0:2, 3:4, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x1x4x2xf32> loc(#loc0)
    %4 = stablehlo.slice %2 [0:2, 0:3, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc0)
    %5 = stablehlo.concatenate %3, %4, dim = 1 : (tensor<2x1x4x2xf32>, tensor<2x3x4x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %6 = stablehlo.slice %5 [0:2, 0:4, 3:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x1x2xf32> loc(#loc0)
    %7 = stablehlo.slice %5 [0:2, 0:4, 0:3, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x3x2xf32> loc(#loc0)
    %8 = stablehlo.concatenate %6, %7, dim = 2 : (tensor<2x4x1x2xf32>, tensor<2x4x3x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %9 = stablehlo.slice %8 [0:2, 0:3, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc0)
    %10 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %11 = stablehlo.pad %arg1, %10, low = [0, 0, 0, 0], high = [0, 1, 0, 0], interior = [0, 0, 0, 0] : (tensor<2x3x4x2xf32>, tensor<f32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %12 = stablehlo.slice %11 [0:2, 1:4, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x3x4x2xf32> loc(#loc1)
    %13 = stablehlo.slice %11 [0:2, 0:1, 0:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x1x4x2xf32> loc(#loc1)
    %14 = stablehlo.concatenate %12, %13, dim = 1 : (tensor<2x3x4x2xf32>, tensor<2x1x4x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %15 = stablehlo.slice %14 [0:2, 0:4, 1:4, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x3x2xf32> loc(#loc1)
    %16 = stablehlo.slice %14 [0:2, 0:4, 0:1, 0:2] : (tensor<2x4x4x2xf32>) -> tensor<2x4x1x2xf32> loc(#loc1)
    %17 = stablehlo.concatenate %15, %16, dim = 2 : (tensor<2x4x3x2xf32>, tensor<2x4x1x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %18 = stablehlo.reshape %17 : (tensor<2x4x4x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %19 = stablehlo.transpose %18, dims = [0, 1, 3, 2, 4, 5] : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x2x2x2x2x2xf32> loc(#loc1)
    %20 = stablehlo.reshape %19 : (tensor<2x2x2x2x2x2xf32>) -> tensor<2x16x2xf32> loc(#loc1)
    return %9, %20 : tensor<2x3x4x2xf32>, tensor<2x16x2xf32>
  }
}
#loc0 = loc("windowMerge")
#loc1 = loc("windowMerge (vjp)")
