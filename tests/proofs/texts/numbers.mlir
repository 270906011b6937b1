module @jit__lambda attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<3x3x4xf32>, %arg1: tensor<3x3xi32>) -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<3x3x4xf32> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.iota dim = 0 : tensor<3xi32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0] : (tensor<3xi32>) -> tensor<3x1xi32>
    %2 = stablehlo.iota dim = 0 : tensor<3xi32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [1] : (tensor<3xi32>) -> tensor<1x3xi32>
    %4 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<3x1xi32>) -> tensor<3x3xi32>
    %5 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<1x3xi32>) -> tensor<3x3xi32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %6 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %7 = stablehlo.compare LT, %4, %6, SIGNED : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi1>
    %c_0 = stablehlo.constant dense<3> : tensor<i32>
    %8 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %9 = stablehlo.add %4, %8 : tensor<3x3xi32>
    %10 = stablehlo.select %7, %9, %4 : tensor<3x3xi1>, tensor<3x3xi32>
    %c_1 = stablehlo.constant dense<0> : tensor<i32>
    %11 = stablehlo.broadcast_in_dim %c_1, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %12 = stablehlo.compare LT, %5, %11, SIGNED : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi1>
    %c_2 = stablehlo.constant dense<3> : tensor<i32>
    %13 = stablehlo.broadcast_in_dim %c_2, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %14 = stablehlo.add %5, %13 : tensor<3x3xi32>
    %15 = stablehlo.select %12, %14, %5 : tensor<3x3xi1>, tensor<3x3xi32>
    %c_3 = stablehlo.constant dense<0> : tensor<i32>
    %16 = stablehlo.broadcast_in_dim %c_3, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %17 = stablehlo.compare LT, %arg1, %16, SIGNED : (tensor<3x3xi32>, tensor<3x3xi32>) -> tensor<3x3xi1>
    %c_4 = stablehlo.constant dense<4> : tensor<i32>
    %18 = stablehlo.broadcast_in_dim %c_4, dims = [] : (tensor<i32>) -> tensor<3x3xi32>
    %19 = stablehlo.add %arg1, %18 : tensor<3x3xi32>
    %20 = stablehlo.select %17, %19, %arg1 : tensor<3x3xi1>, tensor<3x3xi32>
    %21 = stablehlo.broadcast_in_dim %10, dims = [0, 1] : (tensor<3x3xi32>) -> tensor<3x3x1xi32>
    %22 = stablehlo.broadcast_in_dim %15, dims = [0, 1] : (tensor<3x3xi32>) -> tensor<3x3x1xi32>
    %23 = stablehlo.broadcast_in_dim %20, dims = [0, 1] : (tensor<3x3xi32>) -> tensor<3x3x1xi32>
    %24 = stablehlo.concatenate %21, %22, %23, dim = 2 : (tensor<3x3x1xi32>, tensor<3x3x1xi32>, tensor<3x3x1xi32>) -> tensor<3x3x3xi32>
    %25 = "stablehlo.gather"(%arg0, %24) <{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [0, 1, 2], start_index_map = [0, 1, 2], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 1, 1>}> : (tensor<3x3x4xf32>, tensor<3x3x3xi32>) -> tensor<3x3xf32>
    %26 = stablehlo.multiply %25, %25 : tensor<3x3xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %27 = stablehlo.reduce(%26 init: %cst) applies stablehlo.add across dimensions = [0, 1] : (tensor<3x3xf32>, tensor<f32>) -> tensor<f32>
    %cst_5 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %28 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<3x3xf32>
    %29 = stablehlo.multiply %25, %28 : tensor<3x3xf32>
    %30 = stablehlo.multiply %28, %25 : tensor<3x3xf32>
    %31 = stablehlo.add %29, %30 : tensor<3x3xf32>
    %cst_6 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %32 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<f32>) -> tensor<3x3x4xf32>
    %33 = "stablehlo.scatter"(%32, %24, %31) <{indices_are_sorted = false, scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0, 1, 2], scatter_dims_to_operand_dims = [0, 1, 2], index_vector_dim = 2>, unique_indices = false}> ({
    ^bb0(%arg2: tensor<f32>, %arg3: tensor<f32>):
      %34 = stablehlo.add %arg2, %arg3 : tensor<f32>
      stablehlo.return %34 : tensor<f32>
    }) : (tensor<3x3x4xf32>, tensor<3x3x3xi32>, tensor<3x3xf32>) -> tensor<3x3x4xf32>
    return %27, %33 : tensor<f32>, tensor<3x3x4xf32>
  }
}
