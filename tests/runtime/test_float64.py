"""Training in float64: the same program as in float32, computed in double, on each target that has it."""

import math
import shutil

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.codegen.builder import Builder
from netc.codegen.evaluator import run as evaluate
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.erf_float64 import erf_float64
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.recipe_words import recipe_of
from netc.netspec.types import TensorType
from netc.runtime.prepare import emit_text
from netc.runtime.run.checkpoint import load
from netc.runtime.target import TARGETS, parse_target

NET = netc.NetSpec(
    "small", (8, 8, 2), (nn.ConvBn(3), nn.MaxPool(2), nn.ResidualBlock(3), nn.GlobalAvgPool(), nn.Dense(3))
)
MLP = netc.NetSpec("rows", (5,), (nn.Dense(6, activation="gelu"), nn.LayerNorm(), nn.Dense(3)))
COUNT, BATCH = 16, 8


def data_of(net):
    x = np.random.default_rng(0).standard_normal((COUNT, *net.input)).astype(np.float32)
    y = (np.arange(COUNT) % 3).astype(np.int32)
    return netc.Dataset.from_arrays(x, y, x, y)


def trained(folder, net, target, **words):
    run = netc.train(
        net, data_of(net), out=folder, target=target, epochs=2, batch=BATCH, precision="f64", seed=3, lr=0.01, **words
    )
    return run, load(folder / "last").tensors


def worst(ours, theirs):
    floats = [name for name, value in ours.items() if value.dtype == np.float64]
    assert floats
    return max(np.max(np.abs(ours[n] - theirs[n]) / (1e-3 + np.abs(ours[n])), initial=0.0) for n in floats)


def test_a_step_is_the_float32_programs_in_double():
    """The evaluator can compute either module in double; only what enters and leaves is rounded."""
    recipe = {"optimizer": "adamw", "weight_decay": 0.1, "mixup": 0.4, "clip_norm": 1.0, "ema": 0.9, "accumulate": 2}
    wide, plain = (build(check(NET), recipe_of(precision=p, **recipe), BATCH) for p in ("f64", "f32"))
    state = evaluate(wide.module, "init", [np.array([0, 5], np.uint32)], "f64")
    data = data_of(NET).train
    x, y, lr = data.x[:BATCH], data.y[:BATCH], np.float32(0.01)
    ours, theirs = (evaluate(p.module, "train_step", [*state, x, y, lr], "f64") for p in (wide, plain))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert {s.type.dtype for s in wide.state} == {"f64", "i32", "ui32"}
    assert not any(op.result.type.dtype == "f32" for f in wide.module for op in f.ops if op.loc not in ("rounded",))


def test_erf_without_the_operation_is_mathematics_own():
    """Of plain StableHLO, which has none: against the C library's."""
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.0, 1.0, -1.0, 1e-300, 30.0, -np.inf, np.inf]])
    b = Builder("f")
    made = erf_float64(b, b.parameter("x", TensorType(x.shape, "f64")))
    [found] = evaluate(Module("m", (b.finish([("y", made)]),)), "f", [x], "f64")
    np.testing.assert_allclose(found, [math.erf(v) for v in x], rtol=1e-15, atol=2e-16)


@pytest.mark.parametrize("words", [{}, {"steps_per_call": 2}, {"accumulate": 2, "mixup": 0.4}], ids=str)
def test_xla_and_the_reference_agree_to_double(tmp_path, words):
    ours, theirs = (trained(tmp_path / t, NET, t, **words)[1] for t in ("reference", "xla"))
    assert worst(ours, theirs) < 1e-9  # float32 would be off by 1e-5


@pytest.mark.skipif(shutil.which("ld") is None, reason="float64 on cpu is linked by the system's ld, which is not here")
def test_iree_computes_in_double_too(tmp_path):
    ours, theirs = (trained(tmp_path / t, MLP, t)[1] for t in ("reference", "cpu"))
    assert worst(ours, theirs) < 1e-9


def test_a_run_resumes_evaluates_and_predicts(tmp_path):
    whole, state = trained(tmp_path / "whole", MLP, "xla")
    parts, _ = trained(tmp_path / "parts", MLP, "xla", on_step=lambda done: done.step == 1)
    resumed = netc.resume(parts.folder, data_of(MLP))
    assert worst(state, load(resumed.folder / "last").tensors) == 0
    assert whole.predict(data_of(MLP).test.x[:4]).dtype == np.float32


def test_weights_of_float32_begin_a_run_of_float64(tmp_path):
    words = {"out": tmp_path / "plain", "target": "reference", "epochs": 1, "batch": BATCH}
    plain = netc.train(MLP, data_of(MLP), **words)
    run, state = trained(tmp_path / "wide", MLP, "reference", init=plain.folder)
    assert state["dense0.kernel"].dtype == np.float64
    assert run.steps == 4


@pytest.mark.parametrize("word", ["cuda:sm_80", "rocm:gfx1100", "vulkan"])
def test_other_targets_refuse_before_anything_is_compiled(word):
    program = build(check(MLP), recipe_of(precision="f64"), BATCH)
    with pytest.raises(UserError, match=r"`precision=f64` wants cpu\[:NAME\], xla, c, reference, got "):
        emit_text(program, parse_target(word))
    assert {t.word for t in TARGETS.values() if t.f64} == {"cpu", "xla", "reference", "c"}
