module @avgPool {
  func.func public @vjp(%arg0: tensor<2x4x4x2xf32> loc("x"), %arg1: tensor<2x4x4x2xf32> loc("dy")) -> (tensor<2x4x4x2xf32>, tensor<2x4x4x2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc0)
    %1 = stablehlo.pad %arg0, %0, low = [0, 0, 0, 0], high = [0, 1, 1, 0], interior = [0, 0, 0, 0] : (tensor<2x4x4x2xf32>, tensor<f32>) -> tensor<2x5x5x2xf32> loc(#loc0)
    %2 = stablehlo.slice %1 [0:2, 0:4, 0:4, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %3 = stablehlo.slice %1 [0:2, 0:4, 1:5, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %4 = stablehlo.add %2, %3 : tensor<2x4x4x2xf32> loc(#loc0)
    %5 = stablehlo.slice %1 [0:2, 1:5, 0:4, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %6 = stablehlo.add %4, %5 : tensor<2x4x4x2xf32> loc(#loc0)
    %7 = stablehlo.slice %1 [0:2, 1:5, 1:5, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %8 = stablehlo.add %6, %7 : tensor<2x4x4x2xf32> loc(#loc0)
    %9 = stablehlo.constant dense<[[0.25, 0.25, 0.25, 0.5], [0.25, 0.25, 0.25, 0.5], [0.25, 0.25, 0.25, 0.5], [0.5, 0.5, 0.5, 1.0]]> : tensor<4x4xf32> loc(#loc0)
    %10 = stablehlo.broadcast_in_dim %9, dims = [1, 2] : (tensor<4x4xf32>) -> tensor<2x4x4x2xf32> loc(#loc0)
    %11 = stablehlo.multiply %8, %10 : tensor<2x4x4x2xf32> loc(#loc0)
    %12 = stablehlo.multiply %arg1, %10 : tensor<2x4x4x2xf32> loc(#loc1)
    %13 = stablehlo.pad %12, %0, low = [0, 1, 1, 0], high = [0, 0, 0, 0], interior = [0, 0, 0, 0] : (tensor<2x4x4x2xf32>, tensor<f32>) -> tensor<2x5x5x2xf32> loc(#loc1)
    %14 = "iree_tensor_ext.compute_barrier.start"(%13) : (tensor<2x5x5x2xf32>) -> tensor<2x5x5x2xf32> loc(#loc1)
    %15 = stablehlo.slice %14 [0:2, 1:5, 1:5, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %16 = stablehlo.slice %14 [0:2, 1:5, 0:4, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %17 = stablehlo.add %15, %16 : tensor<2x4x4x2xf32> loc(#loc1)
    %18 = stablehlo.slice %14 [0:2, 0:4, 1:5, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %19 = stablehlo.add %17, %18 : tensor<2x4x4x2xf32> loc(#loc1)
    %20 = stablehlo.slice %14 [0:2, 0:4, 0:4, 0:2] : (tensor<2x5x5x2xf32>) -> tensor<2x4x4x2xf32> loc(#loc1)
    %21 = stablehlo.add %19, %20 : tensor<2x4x4x2xf32> loc(#loc1)
    return %11, %21 : tensor<2x4x4x2xf32>, tensor<2x4x4x2xf32>
  }
}
#loc0 = loc("avgPool")
#loc1 = loc("avgPool (vjp)")
