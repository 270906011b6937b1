"""Targets and the compiler: words that are none, text that is none, and keys that tell everything apart."""

import re
import subprocess
from dataclasses import replace

import pytest

from netc.codegen.render import for_iree
from netc.netspec.errors import UserError
from netc.runtime import compile as module
from netc.runtime.compile import CompileError, check_pair, compile_cached, compile_text, host_cpu, key_of
from netc.runtime.target import TARGETS, parse_target

CPU = parse_target("cpu")
GOOD = """module @m {
  func.func public @f(%arg0: tensor<2xf32>) -> (tensor<2xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2xf32>
    return %0 : tensor<2xf32>
  }
}
"""


@pytest.mark.parametrize(
    "word", ["", "gpu", "CPU", "cuda", "cuda:", "cuda:sm_90", "cuda:80", "rocm", "rocm:1100", "rocm:gfx", "xla:cpu",
             "reference:x", "reference:", "xla:", "cpu:a b", "cpu:;rm", "vulkan:\n", "cuda:sm_80\n", " cpu", "cpu:é"],
)  # fmt: skip
def test_unknown_targets(word):
    with pytest.raises(UserError, match="--target wants ") as caught:
        parse_target(word)
    assert f"got {word!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("word", "engine", "family", "driver", "flag"),
    [
        ("cpu", "iree", "cpu", "local-task", "--iree-llvmcpu-target-cpu=host"),
        ("cpu:haswell", "iree", "cpu", "local-task", "--iree-llvmcpu-target-cpu=haswell"),
        ("cuda:sm_89", "iree", "gpu", "cuda", "--iree-cuda-target=sm_89"),
        ("rocm:gfx942", "iree", "gpu", "hip", "--iree-rocm-target=gfx942"),
        ("rocm:gfx1100", "iree", "gpu", "hip", "--iree-rocm-target=gfx1100"),
        ("vulkan", "iree", "gpu", "vulkan", "--iree-hal-target-device=vulkan"),
        ("vulkan:rdna3", "iree", "gpu", "vulkan", "--iree-vulkan-target=rdna3"),
        ("xla", "xla", "xla", "", None),
        ("reference", "reference", "cpu", "", None),
    ],
)  # fmt: skip
def test_targets(word, engine, family, driver, flag):
    target = parse_target(word)
    assert (target.word, target.engine, target.family, target.driver) == (word, engine, family, driver)
    assert (flag in target.flags) if flag else not target.flags
    assert word.partition(":")[0] in TARGETS


@pytest.mark.parametrize(
    "text",
    [
        "no module at all",
        GOOD[:-40],
        GOOD.replace("add", "adde"),
        GOOD.replace("%0 : tensor<2xf32>", "%0 : tensor<3xf32>"),
        GOOD.replace("%arg0, %arg0", "%arg0, %arg1"),
        "\x00\xff" * 50,
    ],
    ids=["words", "cut", "op", "types", "value", "binary"],
)
def test_invalid_text_is_one_line(text, tmp_path):
    output = tmp_path / "x.vmfb"
    with pytest.raises(CompileError, match=r"iree-compile for cpu failed: .+ \(exit code 1\)") as caught:
        compile_text(text, CPU, output)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


class Done:
    """What a compiler that crashed leaves."""

    def __init__(self, code, stderr=""):
        self.returncode, self.stderr = code, stderr


@pytest.mark.parametrize(
    ("code", "stderr", "sentence"),
    [
        (-11, "", "failed: no message (signal 11)"),
        (-6, "a\nLLVM ERROR: Cannot select: v2i16\nstack dump", "failed: LLVM ERROR: Cannot select: v2i16 (signal 6)"),
        (1, "/tmp/netc-x/m.mlir:3:4: error: what\nnote: more", "failed: error: what (exit code 1)"),
        (1, "error: missing GPU target in x\n", "missing GPU target in x (exit code 1)"),
        (0, "", "failed: no message (exit code 0)"),  # it says that all is well and writes nothing
        (1, "error: " + "x" * 9999, "x (exit code 1)"),
    ],
)
def test_what_the_compiler_says_is_one_line(code, stderr, sentence, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: Done(code, stderr))
    with pytest.raises(CompileError) as caught:
        compile_text(GOOD, CPU, tmp_path / "x.vmfb")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_cpu_that_llvm_does_not_know_says_what_to_write(tmp_path):
    with pytest.raises(
        CompileError, match=r"failed: Unknown CPU for .*; give a name that LLVM has, such as cpu:x86-64-v3"
    ):
        compile_text(GOOD, parse_target("cpu:znver99"), tmp_path / "x.vmfb")


def test_the_artefact_does_not_depend_on_the_compilers_checks(monkeypatch, tmp_path):
    compile_text(GOOD, CPU, tmp_path / "unchecked")
    monkeypatch.setattr(module, "UNCHECKED", "--verify=true")
    compile_text(GOOD, CPU, tmp_path / "checked")
    assert (tmp_path / "unchecked").read_bytes() == (tmp_path / "checked").read_bytes()


@pytest.mark.parametrize(
    ("word", "code", "checked", "said"),
    [
        ("cpu", -11, [False, True], r"error: invalid after pass z \(exit code 1\)"),
        ("cpu", -6, [False, True], r"error: invalid after pass z \(exit code 1\)"),
        ("cpu", -9, [False], r"error: first \(signal 9\)"),  # somebody ended it, or memory did
        ("cpu", 1, [False], r"error: first \(exit code 1\)"),
        ("cpu", 0, [False], r"error: first \(exit code 0\)"),
        ("cuda:sm_89", -11, [True], r"error: first \(signal 11\)"),
    ],
)
def test_a_crash_is_run_again_with_the_compilers_checks(word, code, checked, said, monkeypatch, tmp_path):
    commands = []

    def run(command, **kwargs):
        commands.append(command)
        return Done(code, "error: first") if len(commands) == 1 else Done(1, "error: invalid after pass z")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(CompileError, match=said):
        compile_text(GOOD, parse_target(word), tmp_path / "x.vmfb")
    assert ["--verify=false" not in c for c in commands] == checked


def test_a_hanging_compiler_is_stopped(monkeypatch, tmp_path):
    def hang(*args, timeout, **kwargs):
        raise subprocess.TimeoutExpired(args, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(CompileError, match="took more than 3600 s; try a smaller net"):
        compile_text(GOOD, CPU, tmp_path / "x.vmfb")


@pytest.mark.parametrize("word", ["xla", "reference"])
def test_only_iree_compiles_ahead(word, tmp_path):
    with pytest.raises(UserError, match=f"compile wants a target that IREE compiles, got '{word}'"):
        compile_text(GOOD, parse_target(word), tmp_path / "x")


def test_a_missing_compiler_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="wants the IREE compiler, got none; pip install iree-base-compiler=="):
        compile_text(GOOD, CPU, tmp_path / "x")


BARRIERS = """module @m {
  func.func public @f(%arg0: tensor<8x8xf32>) -> (tensor<8x8xf32>) {
    %0 = stablehlo.tanh %arg0 : tensor<8x8xf32>
    %1 = stablehlo.optimization_barrier %0 : tensor<8x8xf32>
    %2 = stablehlo.exponential %1 : tensor<8x8xf32>
    %3 = stablehlo.optimization_barrier %2 : tensor<8x8xf32>
    %4 = stablehlo.tanh %3 : tensor<8x8xf32>
    return %4 : tensor<8x8xf32>
  }
}
"""


@pytest.mark.parametrize("word", ["cpu", "vulkan"])
def test_barriers_keep_dispatches_apart_and_the_host_waits_for_none(word, tmp_path):
    target = parse_target(word)
    scheduled = replace(target, flags=(*target.flags, "--compile-to=stream"))
    compile_text(BARRIERS, scheduled, tmp_path / "x")
    text = (tmp_path / "x").read_text(errors="replace")
    assert text.count("stream.cmd.dispatch") == 3
    assert text.count("stream.cmd.execute") == 1
    compile_text(BARRIERS.replace("optimization_barrier", "abs"), scheduled, tmp_path / "x")
    assert (tmp_path / "x").read_text(errors="replace").count("stream.cmd.dispatch") == 1


BLOCKS = """module @m {
  func.func public @f(%arg0: tensor<64xf32>, %arg1: tensor<2xui32>) -> (tensor<64xf32>, tensor<2xui32>) {
    %0 = stablehlo.constant dense<0> : tensor<i32>
    %loop1_first = tensor.extract %0[] : tensor<i32>
    cf.br ^loop1(%loop1_first, %arg0, %arg1 : i32, tensor<64xf32>, tensor<2xui32>) loc(#loc0)
    ^loop1(%loop1_index: i32, %loop1_1: tensor<64xf32>, %loop1_2: tensor<2xui32>):
    %loop1_trips = arith.constant 8 : i32
    %loop1_more = arith.cmpi slt, %loop1_index, %loop1_trips : i32
    cf.cond_br %loop1_more, ^loop1_body, ^loop1_done
    ^loop1_body:
    %1 = stablehlo.tanh %loop1_1 : tensor<64xf32>
    %2 = stablehlo.add %loop1_2, %loop1_2 : tensor<2xui32>
    %loop1_one = arith.constant 1 : i32
    %loop1_next = arith.addi %loop1_index, %loop1_one : i32
    cf.br ^loop1(%loop1_next, %1, %2 : i32, tensor<64xf32>, tensor<2xui32>)
    ^loop1_done:
    return %loop1_1, %loop1_2 : tensor<64xf32>, tensor<2xui32>
  }
}
#loc0 = loc("there")
"""
FOR = """module @m {
  func.func public @f(%arg0: tensor<64xf32>, %arg1: tensor<8x64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
    %0 = arith.constant 0 : index
    %1 = arith.constant 1 : index
    %8 = arith.constant 8 : index
    %9 = stablehlo.tanh %arg1 : tensor<8x64xf32>
    %loop1_1, %loop1_2 = scf.for %loop1_turn = %0 to %8 step %1 iter_args(%held1 = %arg0, %held2 = %9) -> (X, Y) {
      %2 = stablehlo.tanh %held1 : tensor<64xf32>
      %3 = stablehlo.reshape %2 : (tensor<64xf32>) -> tensor<1x64xf32>
      %4 = arith.index_cast %loop1_turn : index to i32
      %5 = tensor.from_elements %4 : tensor<i32>
      %6 = stablehlo.constant dense<0> : tensor<i32>
      %7 = stablehlo.dynamic_update_slice %held2, %3, %5, %6 : (Y, tensor<1x64xf32>, tensor<i32>, tensor<i32>) -> Y
      scf.yield %2, %7 : X, Y
    }
    %10 = stablehlo.slice %loop1_2 [3:4, 0:64] : (tensor<8x64xf32>) -> tensor<1x64xf32>
    %11 = stablehlo.reshape %10 : (tensor<1x64xf32>) -> tensor<64xf32>
    %12 = stablehlo.tanh %11 : tensor<64xf32>
    return %loop1_1, %12 : tensor<64xf32>, tensor<64xf32>
  }
}
""".replace("X", "tensor<64xf32>").replace("Y", "tensor<8x64xf32>")  # fmt: skip


@pytest.mark.parametrize(("text", "mark", "rows"), [(BLOCKS, "_first", 0), (FOR, "_turn", 1)], ids=["blocks", "for"])
def test_what_a_loop_carries_is_not_copied_in_every_turn(text, mark, rows, tmp_path):
    target = parse_target("cpu")
    scheduled = replace(target, flags=(*target.flags, "--compile-to=stream"))

    def copies(module):
        """How often a row, or what is carried, is copied; and a whole buffer."""
        compile_text(module, scheduled, tmp_path / "x")
        sizes = re.findall(r"stream.cmd.copy .*, %c(\d+) :", (tmp_path / "x").read_text(errors="replace"))
        return sizes.count("256"), sizes.count("2048")

    assert copies(text) == (rows, 0)
    # IREE makes more of its own accord; where it no longer does, `for_iree` need not say where the values lie
    assert sum(copies(text.replace(mark, "_other"))) > rows


def test_what_loops_carry_is_placed_on_the_device_but_for_unsigned_integers():
    text = (
        "    cf.br ^loop2(%loop2_first, %arg0, %1#0 : i32, tensor<f32>, tensor<2xui32>) loc(#loc1)\n"
        "    %loop3_1 = scf.for %loop3_turn = %a to %b step %c iter_args(%loop3_held1 = %7#1) -> (tensor<4x2xbf16>) {\n"
        "    cf.br ^loop2(%loop2_next, %8, %9 : i32, tensor<f32>, tensor<2xui32>)\n"
    )
    where = "on #hal.device.promise<@__device_0>"
    assert for_iree(text).splitlines() == [
        f"    %loop2_placed0 = flow.tensor.barrier %arg0 : tensor<f32> {where}",
        "    cf.br ^loop2(%loop2_first, %loop2_placed0, %1#0 : i32, tensor<f32>, tensor<2xui32>) loc(#loc1)",
        f"    %loop3_placed0 = flow.tensor.barrier %7#1 : tensor<4x2xbf16> {where}",
        "    %loop3_1 = scf.for %loop3_turn = %a to %b step %c iter_args(%loop3_held1 = %loop3_placed0) "
        "-> (tensor<4x2xbf16>) {",
        text.splitlines()[2],
    ]


def test_only_barriers_on_one_value_are_respelled():
    text = (
        "%a0, %a1 = stablehlo.optimization_barrier %0, %1 : tensor<2xf32>, tensor<i32> loc(#loc1)\n"
        "%2 = stablehlo.optimization_barrier %a1 : tensor<i32> loc(#loc2)\n"
        "%3:2 = stablehlo.optimization_barrier %2, %0 : tensor<i32>, tensor<2xf32>\n"
    )
    lines = text.splitlines()
    lines[1] = "%2 = iree_tensor_ext.compute_barrier.start %a1 : tensor<i32> -> tensor<i32> loc(#loc2)"
    assert for_iree(text).splitlines() == lines


def test_no_barrier_on_several_values_stays_where_the_device_would_lose_memory():
    text = (
        "  %a0, %a1 = stablehlo.optimization_barrier %0, %1 : tensor<2xf32>, tensor<i32> loc(#loc1)\n"
        "  %b_in:2 = stablehlo.optimization_barrier %a0, %1 : tensor<2xf32>, tensor<i32>\n"
        "  %2 = stablehlo.tanh %3 : tensor<SIZExf32>\n"
        "  %4 = stablehlo.add %b_in#0, %b_in#0 : tensor<2xf32>\n"
    )
    for size in (32 << 18, (64 << 18) + 1):
        other = text.replace("SIZE", str(size))
        assert for_iree(other) == other
    lost = text.replace("SIZE", f"4x{64 << 16}")
    assert for_iree(lost).splitlines() == [
        "  %a0 = iree_tensor_ext.compute_barrier.start %0 : tensor<2xf32> -> tensor<2xf32> loc(#loc1)",
        "  %a1 = iree_tensor_ext.compute_barrier.start %1 : tensor<i32> -> tensor<i32> loc(#loc1)",
        "  %b_in_0 = iree_tensor_ext.compute_barrier.start %a0 : tensor<2xf32> -> tensor<2xf32>",
        "  %b_in_1 = iree_tensor_ext.compute_barrier.start %1 : tensor<i32> -> tensor<i32>",
        lost.splitlines()[2],
        "  %4 = stablehlo.add %b_in_0, %b_in_0 : tensor<2xf32>",
    ]


def test_two_versions_do_not_go_together(monkeypatch):
    monkeypatch.setattr(module, "version_of", lambda name: {module.COMPILER: "3.13.0", module.RUNTIME: "3.12.0"}[name])
    with pytest.raises(UserError, match=r"of one version, got 3.13.0 and 3.12.0; pip install iree-base"):
        check_pair()


def test_keys_tell_text_target_and_flags_apart():
    words = ("cpu", "cpu:haswell", "cuda:sm_80", "cuda:sm_89", "vulkan", "rocm:gfx942")
    keys = [key_of(text, parse_target(w), "label") for text in (GOOD, GOOD + "\n") for w in words]
    assert len({k.digest for k in keys}) == len(keys)
    assert key_of(GOOD, CPU, "one").digest == key_of(GOOD, CPU, "two").digest  # the label is for people
    # artefacts of texts as they were are none of these
    assert module.HANDED_OVER in key_of(GOOD, CPU, "one").flags
    assert any(host_cpu() in flag for flag in key_of(GOOD, CPU, "x").flags)
    assert not any("host=" in flag for flag in key_of(GOOD, parse_target("cpu:haswell"), "x").flags)


def test_the_second_time_is_a_hit_and_two_compiles_agree(compiled, tmp_path):
    first, second = (compile_cached(GOOD, CPU, "good", compiled) for _ in "12")
    assert not first.hit
    assert second.hit
    compile_text(GOOD, CPU, tmp_path / "again.vmfb")
    assert (tmp_path / "again.vmfb").read_bytes() == second.path.read_bytes()


def test_a_failed_compile_leaves_no_entry(compiled):
    before = len(compiled.entries())
    with pytest.raises(CompileError):
        compile_cached("nothing", CPU, "bad", compiled)
    assert len(compiled.entries()) == before
