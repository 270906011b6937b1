"""How far iree-compile is: told while it works, and without a trace in what it makes."""

import pytest

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.text import text_of
from netc.netspec.types import TensorType
from netc.runtime import compile_watch
from netc.runtime.compile import compile_text
from netc.runtime.compile_guess import OTHER, START, TABLE, compile_seconds, counts
from netc.runtime.compile_watch import BEGUN, CUT, PRINTED, _Far
from netc.runtime.target import parse_target


def text_of_one_sum():
    b = Builder("f")
    x = b.parameter("x", TensorType((4, 6)))
    return text_of(Module("m", (b.finish([("y", b.sum(b.mul(x, x), (1,)))]),)), "cpu")


def test_a_watched_compile_is_told_of_and_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(compile_watch, "EVERY", 0.01)
    text, told = text_of_one_sum(), []
    for name, notice in (("seen", told.append), ("unseen", None)):
        compile_text(text, parse_target("cpu"), tmp_path / name, notice=notice)
    assert (tmp_path / "seen").read_bytes() == (tmp_path / "unseen").read_bytes()
    assert {said.partition(",")[0] for said in told} >= {"joining operations into kernels", "machine code of 1 kernels"}


def test_the_rest_is_guessed_from_the_table_and_then_from_the_kernels(tmp_path):
    far = _Far(tmp_path, 40.0)
    begin = far._start
    assert far.said(begin + 10) == "joining operations into kernels, about 30 s left"
    assert far.said(begin + 50) == "joining operations into kernels"
    folder = tmp_path / PRINTED / "builtin_module_m"

    def begins(*kernels):
        for kernel in kernels:
            (folder / f"hal_executable_{kernel}").mkdir(parents=True)
            (folder / f"hal_executable_{kernel}" / f"0_1_{BEGUN}.mlir").touch()

    begins("a", "b")
    (folder / f"0_{CUT}.mlir").write_text("  stream.executable private @a {\n" * 4)
    parts = compile_watch.PARTS
    assert sum((parts.front, parts.kernels, parts.code)) == 1
    left = round(60 / (parts.front + parts.kernels / 2) - 60)
    assert far.said(begin + 60) == f"kernel 2 of 4, about {left} s left"
    begins("c", "d")
    assert far.said(begin + 61) == f"machine code of 4 kernels, about {left - 1} s left"


def test_the_table_counts_every_operation_once():
    text = text_of_one_sum()
    assert [names for names, _ in TABLE] == [("dot_general", "convolution"), ("reduce",)]
    assert counts(text) == (0, 1, text.count(" = stablehlo.") - 1)
    assert compile_seconds(text, 1) == pytest.approx(START + (TABLE[1][1] + OTHER * counts(text)[2]) / 1e3)
