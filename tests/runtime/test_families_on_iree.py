"""One small net for each family of layers, compiled by IREE for the CPU, by XLA and as C: a train step's gradient.

The oracle judges the rules in float64; here each rule's operations, in the forms that a target's schedule gives them,
go through the compiler beside other layers, as they will in a net.
"""

import dataclasses
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.types import Constant, Normal
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

BATCH = 3
ROOT = Path(__file__).parents[2]
found = importlib.util.spec_from_file_location("families", ROOT / "scripts" / "families.py")
families = importlib.util.module_from_spec(found)
found.loader.exec_module(families)
FAMILIES, CLASSES = families.FAMILIES, families.CLASSES


def drawn(rng, param):
    """Values around where the layer starts, so that no gradient is zero because a gate or a kernel is."""
    if isinstance(param.init, Constant):
        return (param.init.value + 0.2 * rng.standard_normal(param.shape)).astype(np.float32)
    std = param.init.std if isinstance(param.init, Normal) else param.init.bound / math.sqrt(3)
    return rng.normal(0, max(std, 0.1), param.shape).astype(np.float32)


@pytest.fixture(scope="module")
def judged():
    """For each family: its program (a train step alone), a state, a batch, and the results of the step in float64."""
    made = {}

    def make(name):
        if name not in made:
            spec, loss = families.family(name)
            net = check(spec)
            whole = build(net, Recipe(SGD(0.9), loss, norms=False), BATCH)
            step = whole.module.function("train_step")
            program = dataclasses.replace(whole, module=Module(whole.module.name, (step,)))
            rng = np.random.default_rng(0)
            state = {s.name: np.zeros(s.type.shape, np.float32) for s in whole.state}
            state |= {p.name: drawn(rng, p) for p in net.params}
            state |= {s.name: np.full(s.shape, s.init.value, np.float32) for s in net.state}
            state |= {"step": np.int32(0), "key": np.array([1, 2], np.uint32)}
            batch = []
            for t in (step.params[step.names.index(n)].type for n in ("x", "y")):
                floats = rng.standard_normal(t.shape).astype(np.float32)
                batch.append(rng.integers(0, CLASSES, t.shape).astype(np.int32) if t.dtype == "i32" else floats)
            # the judge: the module before any pass
            exact = run(program.module, "train_step", [*state.values(), *batch, np.float32(0)], "f64")
            made[name] = program, state, batch, dict(zip(step.result_names, exact, strict=True))
        return made[name]

    return make


@pytest.mark.parametrize("word", ["cpu", "xla", "c"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_train_step_is_that_of_the_evaluator(name, word, judged, compiled, request):
    if word == "c":
        request.getfixturevalue("c_compiler")
    program, state, batch, exact = judged(name)
    session = Trainer(prepare(program, parse_target(word), compiled))
    session.restore(state)
    metrics = session.train_step(*batch, 0.0)
    assert metrics["loss"] == pytest.approx(float(exact["loss"]), rel=1e-5)
    after = session.fetch()
    # after the first step from rest, SGD's velocity is the gradient
    gradients = {s.name: (after[s.name], exact[s.name]) for s in program.state if s.role == "moment"}
    size = math.sqrt(sum(np.sum(np.square(e)) for _, e in gradients.values()))
    assert size > 0
    for tensor, (ours, wanted) in gradients.items():
        error = np.linalg.norm(ours - wanted)
        # Roundings of 6e-8 through some tens of layers, enlarged by norms over a few values. A bias before a norm has
        # gradient zero, of which float32 leaves a trace of the terms that cancel: hence the part of the whole.
        assert error <= 1e-4 * np.linalg.norm(wanted) + 1e-6 * size, tensor
    for slot in program.state:
        if slot.role == "statistic":
            np.testing.assert_allclose(after[slot.name], exact[slot.name], rtol=1e-4, atol=1e-5)
