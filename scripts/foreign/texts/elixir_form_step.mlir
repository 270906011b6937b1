// In the form that Elixir's EXLA gives: masks are ui8 and turned into i1 for each select, integers are s64, a window's
// maximum is looked for with GT, reductions have regions, every parameter of an operation is written out.
module {
  func.func public @main(%arg0: tensor<2x3xf32>, %arg1: tensor<3xf32>, %arg2: tensor<6x4x2xf32>, %arg3: tensor<6xi64>)
      -> (tensor<f32>, tensor<2x3xf32>, tensor<3xf32>) {
    %0 = "stablehlo.constant"() <{value = dense<0.000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %1 = "stablehlo.constant"() <{value = dense<0xFF800000> : tensor<f32>}> : () -> tensor<f32>
    %2 = "stablehlo.constant"() <{value = dense<-1.000000e+00> : tensor<f32>}> : () -> tensor<f32>
    %3 = "stablehlo.constant"() <{value = dense<6> : tensor<i64>}> : () -> tensor<i64>
    %4 = "stablehlo.convert"(%3) : (tensor<i64>) -> tensor<f32>
    %5 = "stablehlo.dot_general"(%arg2, %arg0) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [0]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<6x4x2xf32>, tensor<2x3xf32>) -> tensor<6x4x3xf32>
    %6 = "stablehlo.broadcast_in_dim"(%arg1) <{broadcast_dimensions = array<i64: 2>}> : (tensor<3xf32>) -> tensor<6x4x3xf32>
    %7 = "stablehlo.add"(%5, %6) : (tensor<6x4x3xf32>, tensor<6x4x3xf32>) -> tensor<6x4x3xf32>
    %8 = "stablehlo.broadcast_in_dim"(%0) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<6x4x3xf32>
    %9 = "stablehlo.compare"(%7, %8) <{comparison_direction = #stablehlo<comparison_direction GT>, compare_type = #stablehlo<comparison_type FLOAT>}> : (tensor<6x4x3xf32>, tensor<6x4x3xf32>) -> tensor<6x4x3xi1>
    %10 = "stablehlo.convert"(%9) : (tensor<6x4x3xi1>) -> tensor<6x4x3xui8>
    %11 = "stablehlo.convert"(%10) : (tensor<6x4x3xui8>) -> tensor<6x4x3xi1>
    %12 = "stablehlo.select"(%11, %7, %8) : (tensor<6x4x3xi1>, tensor<6x4x3xf32>, tensor<6x4x3xf32>) -> tensor<6x4x3xf32>
    %13 = "stablehlo.reduce_window"(%12, %1) <{base_dilations = array<i64: 1, 1, 1>, padding = dense<0> : tensor<3x2xi64>, window_dilations = array<i64: 1, 1, 1>, window_dimensions = array<i64: 1, 4, 1>, window_strides = array<i64: 1, 4, 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.maximum"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x4x3xf32>, tensor<f32>) -> tensor<6x1x3xf32>
    %14 = "stablehlo.reshape"(%13) : (tensor<6x1x3xf32>) -> tensor<6x3xf32>
    %15 = "stablehlo.reduce"(%14, %1) <{dimensions = array<i64: 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.maximum"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x3xf32>, tensor<f32>) -> tensor<6xf32>
    %16 = "stablehlo.reshape"(%15) : (tensor<6xf32>) -> tensor<6x1xf32>
    %17 = "stablehlo.broadcast_in_dim"(%16) <{broadcast_dimensions = array<i64: 0, 1>}> : (tensor<6x1xf32>) -> tensor<6x3xf32>
    %18 = "stablehlo.subtract"(%14, %17) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %19 = "stablehlo.exponential"(%18) : (tensor<6x3xf32>) -> tensor<6x3xf32>
    %20 = "stablehlo.reduce"(%19, %0) <{dimensions = array<i64: 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.add"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x3xf32>, tensor<f32>) -> tensor<6xf32>
    %21 = "stablehlo.log"(%20) : (tensor<6xf32>) -> tensor<6xf32>
    %22 = "stablehlo.broadcast_in_dim"(%21) <{broadcast_dimensions = array<i64: 0>}> : (tensor<6xf32>) -> tensor<6x3xf32>
    %23 = "stablehlo.subtract"(%18, %22) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %24 = "stablehlo.iota"() <{iota_dimension = 1 : i64}> : () -> tensor<6x3xi64>
    %25 = "stablehlo.broadcast_in_dim"(%arg3) <{broadcast_dimensions = array<i64: 0>}> : (tensor<6xi64>) -> tensor<6x3xi64>
    %26 = "stablehlo.compare"(%24, %25) <{comparison_direction = #stablehlo<comparison_direction EQ>, compare_type = #stablehlo<comparison_type SIGNED>}> : (tensor<6x3xi64>, tensor<6x3xi64>) -> tensor<6x3xi1>
    %27 = "stablehlo.convert"(%26) : (tensor<6x3xi1>) -> tensor<6x3xui8>
    %28 = "stablehlo.convert"(%27) : (tensor<6x3xui8>) -> tensor<6x3xf32>
    %29 = "stablehlo.multiply"(%28, %23) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %30 = "stablehlo.reduce"(%29, %0) <{dimensions = array<i64: 0, 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.add"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x3xf32>, tensor<f32>) -> tensor<f32>
    %31 = "stablehlo.multiply"(%30, %2) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %32 = "stablehlo.divide"(%31, %4) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %33 = "stablehlo.broadcast_in_dim"(%20) <{broadcast_dimensions = array<i64: 0>}> : (tensor<6xf32>) -> tensor<6x3xf32>
    %34 = "stablehlo.divide"(%19, %33) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %35 = "stablehlo.subtract"(%34, %28) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %36 = "stablehlo.broadcast_in_dim"(%4) <{broadcast_dimensions = array<i64>}> : (tensor<f32>) -> tensor<6x3xf32>
    %37 = "stablehlo.divide"(%35, %36) : (tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<6x3xf32>
    %38 = "stablehlo.reshape"(%37) : (tensor<6x3xf32>) -> tensor<6x1x3xf32>
    %39 = "stablehlo.select_and_scatter"(%12, %38, %0) <{padding = dense<0> : tensor<3x2xi64>, window_dimensions = array<i64: 1, 4, 1>, window_strides = array<i64: 1, 4, 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.compare"(%arg4, %arg5) <{comparison_direction = #stablehlo<comparison_direction GT>, compare_type = #stablehlo<comparison_type FLOAT>}> : (tensor<f32>, tensor<f32>) -> tensor<i1>
      "stablehlo.return"(%50) : (tensor<i1>) -> ()
    }, {
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.add"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x4x3xf32>, tensor<6x1x3xf32>, tensor<f32>) -> tensor<6x4x3xf32>
    %40 = "stablehlo.select"(%11, %39, %8) : (tensor<6x4x3xi1>, tensor<6x4x3xf32>, tensor<6x4x3xf32>) -> tensor<6x4x3xf32>
    %41 = "stablehlo.dot_general"(%arg2, %40) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [0, 1], rhs_contracting_dimensions = [0, 1]>, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]}> : (tensor<6x4x2xf32>, tensor<6x4x3xf32>) -> tensor<2x3xf32>
    %42 = "stablehlo.reduce"(%40, %0) <{dimensions = array<i64: 0, 1>}> ({
    ^bb0(%arg4: tensor<f32>, %arg5: tensor<f32>):
      %50 = "stablehlo.add"(%arg4, %arg5) : (tensor<f32>, tensor<f32>) -> tensor<f32>
      "stablehlo.return"(%50) : (tensor<f32>) -> ()
    }) : (tensor<6x4x3xf32>, tensor<f32>) -> tensor<3xf32>
    "func.return"(%32, %41, %42) : (tensor<f32>, tensor<2x3xf32>, tensor<3xf32>) -> ()
  }
}
