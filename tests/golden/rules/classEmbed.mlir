module @classEmbed {
  func.func public @vjp(%arg0: tensor<3x2xf32> loc("table"), %arg1: tensor<2x1xf32> loc("x"), %arg2: tensor<2x2xf32> loc("dy")) -> (tensor<2x2xf32>, tensor<2x1xf32>, tensor<3x2xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<2x1xf32> loc(#loc0)
    %1 = stablehlo.maximum %arg1, %0 : tensor<2x1xf32> loc(#loc0)
    %2 = stablehlo.constant dense<2.0> : tensor<2x1xf32> loc(#loc0)
    %3 = stablehlo.minimum %1, %2 : tensor<2x1xf32> loc(#loc0)
    %4 = stablehlo.constant dense<0.5> : tensor<2x1xf32> loc(#loc0)
    %5 = stablehlo.add %3, %4 : tensor<2x1xf32> loc(#loc0)
    %6 = stablehlo.convert %5 : (tensor<2x1xf32>) -> tensor<2x1xi32> loc(#loc0)
    %7 = stablehlo.reshape %6 : (tensor<2x1xi32>) -> tensor<2xi32> loc(#loc0)
    %8 = "stablehlo.gather"(%arg0, %7) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 2>, indices_are_sorted = false}> : (tensor<3x2xf32>, tensor<2xi32>) -> tensor<2x2xf32> loc(#loc0)
    %9 = stablehlo.constant dense<0> : tensor<2xi32> loc(#loc1)
    %10 = stablehlo.maximum %7, %9 : tensor<2xi32> loc(#loc1)
    %11 = stablehlo.constant dense<2> : tensor<2xi32> loc(#loc1)
    %12 = stablehlo.minimum %10, %11 : tensor<2xi32> loc(#loc1)
    %13 = stablehlo.constant dense<0.0> : tensor<3x2xf32> loc(#loc1)
    %14 = "stablehlo.scatter"(%13, %12, %arg2) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false}> ({ ^bb0(%x: tensor<f32>, %y: tensor<f32>): %sum = stablehlo.add %x, %y : tensor<f32> stablehlo.return %sum : tensor<f32> }) : (tensor<3x2xf32>, tensor<2xi32>, tensor<2x2xf32>) -> tensor<3x2xf32> loc(#loc1)
    return %8, %0, %14 : tensor<2x2xf32>, tensor<2x1xf32>, tensor<3x2xf32>
  }
}
#loc0 = loc("classEmbed")
#loc1 = loc("classEmbed (vjp)")
