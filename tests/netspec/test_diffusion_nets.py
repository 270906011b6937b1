"""Nets of diffusion as they start: what a zero at the end of a branch promises."""

import math

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layer import signature_of
from netc.netspec.layers import DitBlocks, DoubleStream, SingleStream
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType


def started(net, batch=2):
    """The program, and its state from a seed."""
    program = build(net, Recipe(norms=False), batch)
    state = evaluator.run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    return program, dict(zip((s.name for s in program.state), state, strict=True))


@pytest.mark.parametrize("name", ["tiny-dit", "tiny-mdm", "tiny-flux", "tiny-unet-diffusion"])
def test_the_output_of_a_new_net_is_zero(name):
    net = check(find(name))
    program, state = started(net)
    x = np.random.default_rng(0).integers(0, 11, (2, *net.x.shape)).astype(np.int32 if net.x.dtype == "i32" else float)
    (y,) = evaluator.run(program.module, "predict", [*(state[s.name] for s in program.kept), x], "f32")
    assert y.shape == (2, *net.out.shape)
    assert (y == 0).all()


def test_the_first_loss_of_masked_text_is_that_of_guessing():
    net = check(find("tiny-mdm"))
    program, state = started(net)
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 128, (2, n)).astype(np.int32) for n in (65, 64))
    held = [state[s.name] for s in program.kept]
    loss, _, count = evaluator.run(program.module, "eval_step", [*held, x, y, np.ones(2, np.float32)], "f32")
    assert loss / count == pytest.approx(math.log(128), rel=1e-6)


@pytest.mark.parametrize("layer", [DitBlocks(2, 6, 2), DoubleStream(1, 3, 2, 2), SingleStream(1, 3, 2, 2)])
def test_blocks_start_as_the_identity(layer):
    x = TensorType((7, 4))
    rng = np.random.default_rng(0)
    params = [
        np.zeros(p.shape) if p.name.endswith("modulation.dense.kernel") else rng.standard_normal(p.shape)
        for p in signature_of(layer, x).params
    ]
    bias = [i for i, p in enumerate(signature_of(layer, x).params) if p.name.endswith("modulation.dense.bias")]
    for index in bias:
        params[index] = np.zeros_like(params[index])
    given = rng.standard_normal((2, 7, 4))
    (y,) = evaluator.run(layer_module(layer, x, 2), "forward", [*params, given], "f64")
    np.testing.assert_array_equal(y, given)
