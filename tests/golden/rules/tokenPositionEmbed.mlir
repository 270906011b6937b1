module @tokenPositionEmbed {
  func.func public @vjp(%arg0: tensor<5x3xf32> loc("tokens"), %arg1: tensor<2x3xf32> loc("positions"), %arg2: tensor<2x2xi32> loc("x"), %arg3: tensor<2x2x3xf32> loc("dy")) -> (tensor<2x2x3xf32>, tensor<2x2xf32>, tensor<5x3xf32>, tensor<2x3xf32>) {
    %0 = "stablehlo.gather"(%arg0, %arg2) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, slice_sizes = array<i64: 1, 3>, indices_are_sorted = false}> : (tensor<5x3xf32>, tensor<2x2xi32>) -> tensor<2x2x3xf32> loc(#loc0)
    %1 = stablehlo.broadcast_in_dim %arg1, dims = [1, 2] : (tensor<2x3xf32>) -> tensor<2x2x3xf32> loc(#loc0)
    %2 = stablehlo.add %0, %1 : tensor<2x2x3xf32> loc(#loc0)
    %3 = stablehlo.reshape %arg2 : (tensor<2x2xi32>) -> tensor<4xi32> loc(#loc1)
    %4 = stablehlo.constant dense<0> : tensor<4xi32> loc(#loc1)
    %5 = stablehlo.maximum %3, %4 : tensor<4xi32> loc(#loc1)
    %6 = stablehlo.constant dense<4> : tensor<4xi32> loc(#loc1)
    %7 = stablehlo.minimum %5, %6 : tensor<4xi32> loc(#loc1)
    %8 = stablehlo.reshape %arg3 : (tensor<2x2x3xf32>) -> tensor<4x3xf32> loc(#loc1)
    %9 = stablehlo.constant dense<0.0> : tensor<5x3xf32> loc(#loc1)
    %10 = "stablehlo.scatter"(%9, %7, %8) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false}> ({ ^bb0(%x: tensor<f32>, %y: tensor<f32>): %sum = stablehlo.add %x, %y : tensor<f32> stablehlo.return %sum : tensor<f32> }) : (tensor<5x3xf32>, tensor<4xi32>, tensor<4x3xf32>) -> tensor<5x3xf32> loc(#loc1)
    %11 = stablehlo.constant dense<0.0> : tensor<f32> loc(#loc1)
    %12 = stablehlo.reduce(%arg3 init: %11) applies stablehlo.add across dimensions = [0] : (tensor<2x2x3xf32>, tensor<f32>) -> tensor<2x3xf32> loc(#loc1)
    %13 = stablehlo.constant dense<0.0> : tensor<2x2xf32> loc(#loc1)
    return %2, %13, %10, %12 : tensor<2x2x3xf32>, tensor<2x2xf32>, tensor<5x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("tokenPositionEmbed")
#loc1 = loc("tokenPositionEmbed (vjp)")
