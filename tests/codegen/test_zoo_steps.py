"""Every net of the zoo takes a train step: on a small input, in float32, by the IR's own meaning.

Dense layers of thousands of features have an eighth of them, and gpt2 a thousand tokens: their matrices took most time.

Of nets that differ in sizes only the smallest does, and of all nets the deepest.
"""

import dataclasses

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import Dense
from netc.netspec.loss import MeanSquaredError
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.types import Constant, Normal
from netc.netspec.zoo import ZOO
from tests.codegen.siblings import LARGER, structure

# the smallest image that a net's strides and windows leave something of; others see 32x32
SMALLEST = {"inception_v3": 75, "alexnet": 63, "squeezenet1_0": 48, "mobilevit_s": 64}
BATCH = 2


def small(name):
    spec = find(name)
    if len(spec.input) == 3:
        side = min(SMALLEST.get(name, 32), spec.input[0])
        spec = spec.with_input((side, side, spec.input[2]))
    if spec.dtype == "i32":
        spec = spec.with_input((min(8, *spec.input),))
    if name == "gpt2":
        spec = spec.with_classes(1000)
    wide = {layer: dataclasses.replace(layer, features=layer.features // 8) for layer in spec.layers if is_wide(layer)}
    return dataclasses.replace(spec, name=f"small-{name}", layers=tuple(wide.get(v, v) for v in spec.layers))


def is_wide(layer):
    return isinstance(layer, Dense) and layer.features > 1000


def drawn(rng, param):
    if isinstance(param.init, Constant):
        return np.full(param.shape, param.init.value, np.float32)
    std = param.init.std if isinstance(param.init, Normal) else param.init.bound / 3**0.5
    std = std or 0.1  # adaLN-zero: nothing behind what starts at zero would move
    return np.resize(rng.standard_normal(10_007, np.float32) * np.float32(std), param.shape)  # a prime: rows differ


DEEPEST = "densenet201"  # in which a wrong scale would grow most


def test_what_takes_no_step_has_a_smaller_sibling_that_does():
    smallest: dict[object, tuple[int, str]] = {}
    for name in ZOO:
        net = check(find(name))
        kind = structure(net)
        smallest[kind] = min(smallest.get(kind, (net.count, name)), (net.count, name))
    assert set(ZOO) - {name for _, name in smallest.values()} == LARGER
    assert max(ZOO, key=lambda name: len([*check(find(name)).walk()])) == DEEPEST


@pytest.mark.parametrize("name", [name for name in ZOO if name not in LARGER or name == DEEPEST])
def test_a_step_is_finite_and_moves_every_part(name):
    net = check(small(name))
    image = net.x.rank == net.out.rank == 3 and name != "unet"  # a diffusion net
    recipe = Recipe(SGD(0.0), norms=False, loss=MeanSquaredError()) if image else Recipe(SGD(0.0), norms=False)
    program = build(net, recipe, BATCH)
    rng = np.random.default_rng(0)
    params = {p.name: drawn(rng, p) for p in net.params}
    first = {s.name: np.full(s.shape, s.init.value, np.float32) for s in net.state}
    start = {**params, **first, "step": np.int32(0), "key": np.array([1, 2], np.uint32)}
    step = program.module.function("train_step")
    x, y = (step.params[step.names.index(n)].type for n in ("x", "y"))
    classes = net.out.shape[-1]
    images = rng.standard_normal(x.shape).astype(np.float32)
    noise = rng.standard_normal(y.shape).astype(np.float32)
    targets = noise if image else rng.integers(0, classes, y.shape)
    batch = [rng.integers(0, classes, x.shape) if x.dtype == "i32" else images, targets]
    results = evaluator.run(program.module, "train_step", [*(start[s.name] for s in program.state), *batch, 0.1], "f32")
    after = dict(zip(step.result_names, results, strict=True))
    assert all(np.isfinite(v).all() for v in results)
    least = 1.0 if image else np.log(classes)
    assert 0.2 * least < after["loss"] < 20 * least
    still = [n for n, value in params.items() if (after[n] == value).all()]
    # biases before a batch norm have gradient 0, and a dropped branch has none at all; kernels must move
    assert len(still) <= len(params) / 2, still
