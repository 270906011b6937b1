"""Winograd's convolutions of the C against the evaluator: odd sizes, any padding, more tiles than are taken at once."""

import shutil
import subprocess

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.c import windows
from netc.codegen.c.source import c_source
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.netspec.types import TensorType
from netc.runtime.backends.c import load_c
from netc.runtime.backends.protocol import Source
from tests.conftest import ROOT

CASES = {  # x, features, padding
    "same": ((2, 16, 16, 64), 64, ((1, 1), (1, 1))),
    "odd": ((3, 13, 9, 65), 70, ((1, 1), (1, 1))),
    "valid": ((4, 11, 10, 64), 96, ((0, 0), (0, 0))),
    "uneven": ((5, 9, 10, 80), 64, ((0, 2), (2, 1))),
    "many": ((5, 22, 15, 64), 64, ((2, 2), (1, 0))),
}
MAIN = r"""
#include <stdio.h>
static net_work work;
int main(void)
{
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)(i * 7 % 31) / 16.0f - 1.0f;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = (float)(i * 5 % 29) / 16.0f - 1.0f;
    for (size_t i = 0; i < sizeof dy / sizeof *dy; i++)
        dy[i] = (float)(i * 3 % 37) / 16.0f - 1.0f;
    net_predict(&work, x, w, dy, y, dx, dw);
    uint32_t sum = 2166136261u;
    const void *const made[] = {y, dx, dw};
    const size_t sizes[] = {sizeof y, sizeof dx, sizeof dw};
    for (size_t m = 0; m < 3; m++)
        for (size_t i = 0; i < sizes[m]; i++)
            sum = (sum ^ ((const uint8_t *)made[m])[i]) * 16777619u;
    printf("%08x\n", (unsigned)sum);
    return 0;
}
"""

EXAMPLES = windows.EXAMPLES


@pytest.fixture(autouse=True)
def _tiles_of_one_image_too(monkeypatch):
    monkeypatch.setattr(windows, "EXAMPLES", 1)


def module(name, dtype="f32"):
    shape, features, padding = CASES[name]
    b = Builder("predict")
    attrs = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    x, w = (b.parameter(n, TensorType(s, dtype)) for n, s in (("x", shape), ("w", (3, 3, shape[3], features))))
    out = tuple(n + sum(side) - 2 for n, side in zip(shape[1:3], padding, strict=True))
    dy = b.parameter("dy", TensorType((shape[0], *out, features), dtype))
    y = b.op("conv", x, w, **attrs)
    dx = b.op("conv_input_grad", dy, w, size=shape[1:3], **attrs)
    dw = b.op("conv_kernel_grad", x, dy, kernel=(3, 3), **attrs)
    return Module("tiled", (b.finish([("y", y), ("dx", dx), ("dw", dw)]),))


@pytest.mark.parametrize(("name", "dtype"), [*((name, "f32") for name in CASES), ("odd", "f64")])
def test_tiles_give_the_convolution(name, dtype, c_compiler, monkeypatch):
    made = module(name, dtype)
    text = c_source(made).text
    assert all(f"net_winograd{kind}" in text for kind in ("", "_input_grad", "_kernel_grad"))
    monkeypatch.setenv("CFLAGS", "-O1")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=p.shape).astype(dtype.replace("f", "float")) for p in made.functions[0].params]
    wanted = run(made, "predict", given, "f64")
    for ours, right in zip(load_c(Source(made, text)).call("predict", given), wanted, strict=True):
        # sums of thousands of products: float32's noise, a few times that of a plain sum
        np.testing.assert_allclose(ours, right, rtol=0, atol=(3e-6 if dtype == "f32" else 1e-14) * np.abs(right).max())


def test_what_is_not_finite_stays_so(c_compiler, monkeypatch):
    made = module("same")
    monkeypatch.setenv("CFLAGS", "-O1")
    given = [np.ones(p.shape, np.float32) for p in made.functions[0].params]
    given[0][1, 5, 5, 3] = np.nan
    y, _, dw = load_c(Source(made, c_source(made).text)).call("predict", given)
    assert np.isnan(y[1, 4:7, 4:7]).all() and np.isfinite(y[0]).all() and np.isnan(dw[:, :, 3]).all()


def test_bits_depend_on_no_compiler_and_sanitizers_find_nothing(tmp_path):
    compilers = [word for word in ("gcc", "clang") if shutil.which(word)]
    if not compilers:
        pytest.skip("neither gcc nor clang is on the PATH")
    made = module("odd")
    function = made.functions[0]
    named = [
        *zip(function.names, function.params, strict=True),
        *zip(function.result_names, function.results, strict=True),
    ]
    arrays = "\n".join(f"static float {name}[{v.type.size}];" for name, v in named)
    path = tmp_path / "tiled.c"
    path.write_text(f"{c_source(made).text}\n{arrays}\n{MAIN}")
    said, builds = set(), 0
    for compiler in compilers:
        for flags in (("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"), ("-O3",)):
            program = tmp_path / f"{compiler}{flags[0]}"
            words = [compiler, "-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror", *flags]
            built = subprocess.run(
                [*words, str(path), "-o", str(program), "-lm"], capture_output=True, text=True, check=False
            )
            if built.returncode and len(flags) > 1:
                continue  # a compiler without its sanitizers
            assert built.returncode == 0, built.stderr[:3000]
            said.add(subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout)
            builds += 1
    if builds < 2:
        pytest.skip("one compiler without sanitizers is one build, which has nothing to be compared with")
    assert len(said) == 1


def test_few_channels_or_tiles_are_summed_as_they_lie(monkeypatch):
    conv = next(op for op in module("odd").functions[0].ops if op.kind == "conv")
    assert windows.by_tiles(conv)
    monkeypatch.setattr(windows, "CHANNELS", 66)
    assert not windows.by_tiles(conv)
    monkeypatch.setattr(windows, "CHANNELS", 48)
    monkeypatch.setitem(CASES, "small", ((64, 3, 3, 64), 64, ((1, 1), (1, 1))))
    assert not any(windows.by_tiles(op) for op in module("small").functions[0].ops)
    monkeypatch.setattr(windows, "TILES", 10**6)
    assert not windows.by_tiles(conv)


def test_a_small_image_alone_takes_no_memory_for_tiles(monkeypatch):
    monkeypatch.setattr(windows, "EXAMPLES", EXAMPLES)
    monkeypatch.setitem(CASES, "alone", ((1, 16, 16, 48), 48, ((1, 1), (1, 1))))
    monkeypatch.setitem(CASES, "several", ((16, 16, 16, 48), 48, ((1, 1), (1, 1))))
    assert not any(windows.by_tiles(op) for op in module("alone").functions[0].ops)
    assert any(windows.by_tiles(op) for op in module("several").functions[0].ops)


def test_the_tiles_at_once_are_those_of_the_c():
    text = (ROOT / "codegen" / "c" / "support" / "winograd.c.in").read_text(encoding="utf-8")
    assert f"NET_TILES@ = {windows.AT_ONCE}," in text
