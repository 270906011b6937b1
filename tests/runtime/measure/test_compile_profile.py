"""Where a compile's time goes: until the kernels are known, and each kernel at its layer."""

import shutil
from pathlib import Path

import pytest

from netc.cli.views import compile_profile as view
from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.text import text_of
from netc.netspec.types import TensorType
from netc.runtime.compile import UNCHECKED, CompileError
from netc.runtime.measure import compile_profile as measured
from netc.runtime.measure.compile_profile import CompileProfile, KernelCompile, compile_profile
from netc.runtime.target import parse_target

CPU = parse_target("cpu")


def test_each_kernel_is_compiled_by_itself_and_named_by_its_place():
    b = Builder("f")
    x = b.parameter("x", TensorType((4, 6)))
    b.place("a.sum")
    s = b.op("barrier", b.sum(x, (1,)))
    b.place("b (vjp)")
    module = Module("m", (b.finish([("y", b.unary("exp", s))]),))
    said = []
    found = compile_profile(text_of(module, "cpu"), module, CPU, said.append)
    assert [k.loc for k in found.kernels] == ["a.sum", "b (vjp)"] and found.front > 0
    assert min(k.seconds for k in found.kernels) == 0  # all beyond the quickest
    assert said == ["joining operations into kernels", "kernel 1 of 2", "kernel 2 of 2"]


def test_what_iree_refuses_is_said_in_its_words():
    with pytest.raises(CompileError, match=r"part of the program: .*error"):
        compile_profile("module {", Module("m", ()), CPU)


def test_a_part_that_takes_too_long_is_ended(monkeypatch, tmp_path):
    monkeypatch.setattr(measured, "LONGEST_COMPILE", 0.1)
    monkeypatch.setattr(measured, "compiler_path", lambda: Path(shutil.which("sleep")))
    with pytest.raises(CompileError, match=r"more than 0\.1 s"):
        measured._seconds(["60"], tmp_path)


@pytest.mark.parametrize(("word", "unchecked"), [("cpu", True), ("vulkan", False)])
def test_a_part_is_checked_where_the_whole_is(monkeypatch, word, unchecked):
    def seconds(words, folder):
        assert (UNCHECKED in words) == unchecked
        (folder / "program").write_text("")
        return 1.0

    monkeypatch.setattr(measured, "_seconds", seconds)
    assert compile_profile("", Module("m", ()), parse_target(word)).front == 1.0


def test_the_tables_have_layers_in_the_forward_order_and_the_slowest_kernels_first(capsys):
    kernels = (KernelCompile("k0", "a", 1.0), KernelCompile("k1", "b", 0.5), KernelCompile("k2", "a (vjp)", 2.0))
    view.show(CompileProfile(1.5, kernels))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a", "2", "3.00", "60.0", "%"] in lines and ["b", "1", "0.50", "10.0", "%"] in lines
    assert [line[0] for line in lines[-3:]] == ["k2", "k0", "k1"]
