  util.func public @init(%arg0: !hal.buffer_view) -> (!hal.b ..
    %2 = stream.cmd.execute on(#hal.device.affinity<@__devic ..
      stream.cmd.dispatch @init_dispatch_0::@embedded_elf_x86_64::@init_dispatch_0_elementwise {
      } loc(callsite("init" at "module.mlir":2:3))
      stream.cmd.dispatch @init_dispatch_1::@embedded_elf_x86_64::@init_dispatch_1_elementwise_broadcast_288_i32xi32xi32xf32 {
      } loc(callsite("init" at "module.mlir":2:3))
      stream.cmd.concurrent {
        stream.cmd.dispatch @init_dispatch_2::@embedded_elf_x86_64::@init_dispatch_2_elementwise_broadcast_12_i32xi32xi32xf32 {
        } loc(callsite("init" at "module.mlir":2:3))
        stream.cmd.dispatch @init_dispatch_3::@embedded_elf_x86_64::@init_dispatch_3_elementwise_144_f32 {
        } loc(callsite("init" at "module.mlir":2:3))
        stream.cmd.dispatch @init_dispatch_4::@embedded_elf_x86_64::@init_dispatch_4_elementwise_144_f32 {
        } loc(callsite("init" at "module.mlir":2:3))
        func.func @train_step_dispatch_0_slow_memcpy() {
        }
        func.func @train_step_dispatch_1_conv_2x8x8x4x3x3x4_f32() {
          %10 = linalg.fill ins(%cst : f32) outs(%9 : tensor<2x8x8x4xf32>) -> tensor<2x8x8x4xf32> loc(callsite("first" at "module.mlir":434:3))
          %11 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %15 : f32 loc(callsite(unknown at "module.mlir":434:3))
          } -> tensor<2x8x8x4xf32> loc(callsite("first" at "module.mlir":434:3))
          %12:2 = linalg.generic {indexing_maps = [affine_ma .. {
            linalg.yield %15, %15 : f32, f32 loc(callsite("second (vjp)" at "module.mlir":434:3))
          } -> (tensor<2x8x8x4xf32>, tensor<4x2x8x8xf32>) loc(callsite("second (vjp)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_3_conv_2x8x8x4x3x3x4_f32() {
          %9 = linalg.fill ins(%cst : f32) outs(%8 : tensor<2x8x8x4xf32>) -> tensor<2x8x8x4xf32> loc(callsite("first" at "module.mlir":434:3))
          %10 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %12 : f32 loc(callsite(unknown at "module.mlir":434:3))
          } -> tensor<2x8x8x4xf32> loc(callsite("second" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_4_reduction_2x4x64_f32() {
          %7 = linalg.fill ins(%cst : f32) outs(%6 : tensor<2x4xf32>) -> tensor<2x4xf32> loc(callsite("pool" at "module.mlir":434:3))
          %9 = linalg.generic {indexing_maps = [affine_map<( .. {
            linalg.yield %13 : f32 loc(callsite("second" at "module.mlir":434:3))
          } -> tensor<2x64x4xf32> loc(callsite("second" at "module.mlir":434:3))
          %10 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %12 : f32 loc(callsite("pool" at "module.mlir":434:3))
          } -> tensor<2x4xf32> loc(callsite("pool" at "module.mlir":434:3))
          %11 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%10 : tensor<2x4xf32>) outs(%6 : tensor<2x4xf32>) {
            linalg.yield %12 : f32 loc(callsite("pool" at "module.mlir":434:3))
          } -> tensor<2x4xf32> loc(callsite("pool" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_5_matmul_like_2x3x4_f32() {
          %17 = linalg.fill ins(%cst : f32) outs(%16 : tenso ..  loc(callsite("head" at "module.mlir":434:3))
          %18 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %22 : f32 loc(callsite(unknown at "module.mlir":434:3))
          } -> tensor<2x3xf32, #iree_encoding.encoding<operand_index = 2 : index, op_type = matmul, element_types = [f32, f32, f32], user_indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iteration_sizes = [2, 3, 4]>> loc(callsite("head" at "module.mlir":434:3))
          %19 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %21 : f32 loc(callsite("head" at "module.mlir":434:3))
          } -> tensor<2x3xf32, #iree_encoding.encoding<operand_index = 2 : index, op_type = matmul, element_types = [f32, f32, f32], user_indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iteration_sizes = [2, 3, 4]>> loc(callsite("head" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_6_reduction_2x3_f32xf32xi32() {
          %6 = linalg.fill ins(%c3_i32 : i32) outs(%4 : tensor<2xi32>) -> tensor<2xi32> loc(callsite("loss" at "module.mlir":434:3))
          %7 = linalg.fill ins(%cst : f32) outs(%5 : tensor<2xf32>) -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
          %8 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%3 : tensor<2x3xf32>) outs(%7 : tensor<2xf32>) {
            linalg.yield %10 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
          %9 = linalg.generic {indexing_maps = [affine_map<( .. {
            %10 = linalg.index 1 : index loc(callsite("loss" at "module.mlir":434:3))
            linalg.yield %14 : i32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2xi32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_7_matvec_like_2x3_f32() {
          %11 = linalg.fill ins(%cst_0 : f32) outs(%9 : tensor<2xf32>) -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
          %12 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%6 : tensor<2xi32>) outs(%10 : tensor<2x3xf32>) {
            %15 = linalg.index 1 : index loc(callsite("loss" at "module.mlir":434:3))
            linalg.yield %18 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2x3xf32> loc(callsite("loss" at "module.mlir":434:3))
          %13 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %15 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2x3xf32> loc(callsite("loss" at "module.mlir":434:3))
          %14 = linalg.generic {indexing_maps = [affine_map< .. {
            linalg.yield %16 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_8_reduction_2x3_f32() {
          %9 = linalg.fill ins(%cst : f32) outs(%8 : tensor<2xf32>) -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
          %10 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%7 : tensor<2x3xf32>) outs(%9 : tensor<2xf32>) {
            linalg.yield %12 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<2xf32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_9_reduction_2_f32() {
          %6 = linalg.fill ins(%cst : f32) outs(%5 : tensor<f32>) -> tensor<f32> loc(callsite("loss" at "module.mlir":434:3))
          %7 = linalg.generic {indexing_maps = [affine_map<( .. {
            linalg.yield %10 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<f32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_10_elementwise() {
          %4 = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%2 : tensor<f32>) outs(%3 : tensor<f32>) {
            linalg.yield %5 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<f32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_11_reduction_2_i32xi32xf32() {
          %6 = linalg.fill ins(%cst : f32) outs(%5 : tensor<f32>) -> tensor<f32> loc(callsite("loss" at "module.mlir":434:3))
          %7 = linalg.generic {indexing_maps = [affine_map<( .. {
            linalg.yield %10 : f32 loc(callsite("loss" at "module.mlir":434:3))
          } -> tensor<f32> loc(callsite("loss" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_12_softmax_2x3xf32_generic() {
          %6 = linalg.softmax dimension(1) ins(%3 : tensor<2x3xf32>) outs(%5 : tensor<2x3xf32>) -> tensor<2x3xf32> loc(callsite("loss (vjp)" at "module.mlir":434:3))
          %7 = linalg.generic {indexing_maps = [affine_map<( .. {
            linalg.yield %9 : f32 loc(callsite("loss (vjp)" at "module.mlir":434:3))
          } -> tensor<2x3xf32> loc(callsite("loss (vjp)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_78_elementwise_144_f32() {
          %16:2 = linalg.generic {indexing_maps = [affine_ma .. {
            linalg.yield %18, %20 : f32, f32 loc(callsite("first.kernel (update)" at "module.mlir":434:3))
          } -> (tensor<144xf32>, tensor<144xf32>) loc(callsite("first.kernel (update)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_79_elementwise_4_f32() {
          %16:2 = linalg.generic {indexing_maps = [affine_ma .. {
            linalg.yield %18, %20 : f32, f32 loc(callsite("first.bias (update)" at "module.mlir":434:3))
          } -> (tensor<4xf32>, tensor<4xf32>) loc(callsite("first.bias (update)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_82_elementwise_12_f32() {
          %11:2 = linalg.generic {indexing_maps = [affine_ma .. {
            linalg.yield %13, %15 : f32, f32 loc(callsite("head.kernel (update)" at "module.mlir":434:3))
          } -> (tensor<12xf32>, tensor<12xf32>) loc(callsite("head.kernel (update)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_83_elementwise_3_f32() {
          %11:2 = linalg.generic {indexing_maps = [affine_ma .. {
            linalg.yield %13, %15 : f32, f32 loc(callsite("head.bias (update)" at "module.mlir":434:3))
          } -> (tensor<3xf32>, tensor<3xf32>) loc(callsite("head.bias (update)" at "module.mlir":434:3))
        }
        func.func @train_step_dispatch_84_elementwise() {
          %4 = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%2 : tensor<i32>) outs(%3 : tensor<i32>) {
            linalg.yield %5 : i32 loc(callsite("train_step" at "module.mlir":434:3))
          } -> tensor<i32> loc(callsite("train_step" at "module.mlir":434:3))
        }
  util.func public @train_step(%arg0: !hal.buffer_view, %arg ..
    %17 = stream.cmd.execute on(#hal.device.affinity<@__devi ..
      stream.cmd.dispatch @train_step_dispatch_0::@embedded_elf_x86_64::@train_step_dispatch_0_slow_memcpy(%c0_i32, %c0_i32 : i32, i32) {
      } loc(callsite("first" at "module.mlir":434:3))
      stream.cmd.concurrent {
        stream.cmd.dispatch @train_step_dispatch_1::@embedded_elf_x86_64::@train_step_dispatch_1_conv_2x8x8x4x3x3x4_f32 {
        } loc(callsite("first" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_0::@embedded_elf_x86_64::@train_step_dispatch_0_slow_memcpy(%c3200_i32, %c13440_i32 : i32, i32) {
      } loc(callsite("second" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_3::@embedded_elf_x86_64::@train_step_dispatch_3_conv_2x8x8x4x3x3x4_f32(%c13440_i32 : i32) {
      } loc(callsite("second" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_4::@embedded_elf_x86_64::@train_step_dispatch_4_reduction_2x4x64_f32 {
      } loc(callsite("pool" at "module.mlir":434:3))
      stream.cmd.concurrent {
        stream.cmd.dispatch @_encoding_0::@embedded_elf_x86_64::@_encoding_0_encode_2x4xf32_to_2x4xf32 {
        } loc(callsite("head" at "module.mlir":434:3))
        stream.cmd.dispatch @_encoding_1::@embedded_elf_x86_64::@_encoding_1_encode_4x3xf32_to_4x3xf32(%c64_i32 : i32) {
        } loc(callsite("head" at "module.mlir":434:3))
        stream.cmd.dispatch @_encoding_2::@embedded_elf_x86_64::@_encoding_2_encode_3xf32_to_3xf32(%c320_i32 : i32) {
        } loc(callsite("head" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_5::@embedded_elf_x86_64::@train_step_dispatch_5_matmul_like_2x3x4_f32(%c0_i32, %c64_i32, %c320_i32, %c18752_i32 : i32, i32, i32, i32) {
      } loc(callsite("head" at "module.mlir":434:3))
    %23 = stream.cmd.execute on(#hal.device.affinity<@__devi ..
      stream.cmd.dispatch @train_step_dispatch_6::@embedded_elf_x86_64::@train_step_dispatch_6_reduction_2x3_f32xf32xi32 {
      } loc(callsite("loss" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_7::@embedded_elf_x86_64::@train_step_dispatch_7_matvec_like_2x3_f32 {
      } loc(callsite("loss" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_8::@embedded_elf_x86_64::@train_step_dispatch_8_reduction_2x3_f32(%c192_i32, %c64_i32 : i32, i32) {
      } loc(callsite("loss" at "module.mlir":434:3))
      stream.cmd.dispatch @train_step_dispatch_9::@embedded_elf_x86_64::@train_step_dispatch_9_reduction_2_f32 {
      } loc(callsite("loss" at "module.mlir":434:3))
      stream.cmd.concurrent {
        stream.cmd.dispatch @train_step_dispatch_10::@embedded_elf_x86_64::@train_step_dispatch_10_elementwise {
        } loc(callsite("loss" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_11::@embedded_elf_x86_64::@train_step_dispatch_11_reduction_2_i32xi32xf32 {
        } loc(callsite("loss" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_12::@embedded_elf_x86_64::@train_step_dispatch_12_softmax_2x3xf32_generic {
        } loc(callsite("loss (vjp)" at "module.mlir":434:3))
    %45 = stream.cmd.execute on(#hal.device.affinity<@__devi ..
      stream.cmd.concurrent {
        stream.cmd.dispatch @train_step_dispatch_78::@embedded_elf_x86_64::@train_step_dispatch_78_elementwise_144_f32(%c0_i32, %c576_i32 : i32, i32) {
        } loc(callsite("first.kernel (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_79::@embedded_elf_x86_64::@train_step_dispatch_79_elementwise_4_f32(%c1152_i32, %c1216_i32 : i32, i32) {
        } loc(callsite("first.bias (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_78::@embedded_elf_x86_64::@train_step_dispatch_78_elementwise_144_f32(%c1280_i32, %c1856_i32 : i32, i32) {
        } loc(callsite("second.kernel (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_79::@embedded_elf_x86_64::@train_step_dispatch_79_elementwise_4_f32(%c2432_i32, %c2496_i32 : i32, i32) {
        } loc(callsite("second.bias (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_82::@embedded_elf_x86_64::@train_step_dispatch_82_elementwise_12_f32 {
        } loc(callsite("head.kernel (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_83::@embedded_elf_x86_64::@train_step_dispatch_83_elementwise_3_f32 {
        } loc(callsite("head.bias (update)" at "module.mlir":434:3))
        stream.cmd.dispatch @train_step_dispatch_84::@embedded_elf_x86_64::@train_step_dispatch_84_elementwise {
        } loc(callsite("train_step" at "module.mlir":434:3))
