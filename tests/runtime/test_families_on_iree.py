"""One small net for each family of layers, compiled by IREE for the CPU, by XLA and as C: a train step's gradient.

The oracle judges the rules in float64; here each rule's operations, in the forms that a target's schedule gives them,
go through the compiler beside other layers, as they will in a net. IREE takes ten times as long as the others, so of
some nets it compiles less: each operation in each form, and each beside each, it meets nevertheless.
"""

import dataclasses
import functools
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec import layers as nn
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
# family -> its layers that are smaller there, or absent
ON_IREE = {
    "mobile": dict.fromkeys(("mbconv", "fused", "uib"))
    | {"v3": nn.MbConvV3(8, 16, 5, stride=2, blocks=2, squeeze=True, activation="swish", name="v3")},
    "branches": {
        "fire": None, "dense": nn.DenseBlock(4, 1, bottleneck=2, name="dense"), "transition": None,
        "aspp": nn.AsppModule(4, (3,), name="aspp"),
    },
    "residuals": {
        "shuffle": nn.ShuffleBlock(16, 2, 1, name="shuffle"), "shuffle2": nn.ShuffleV2Block(24, name="shuffle2"),
        "darknet": None, "basic": None,
    },
    "convnext": {"stage": nn.ConvNextStage(1, drop_path=0.4, name="stage")},
    "swin": {"stage2": None},
    "mamba": {"model": families.language(nn.MambaBlock(4, 2, 1), norm=nn.RMSNorm(name="norm"), positions=False)[0]},
    "wavenet": {"block": nn.WaveNetBlock(8, 6, 2, name="block")},
    "dit": {"blocks": None},
}  # fmt: skip


def drawn(rng, param):
    """Values around where the layer starts, so that no gradient is zero because a gate or a kernel is."""
    if isinstance(param.init, Constant):
        return (param.init.value + 0.2 * rng.standard_normal(param.shape)).astype(np.float32)
    std = param.init.std if isinstance(param.init, Normal) else param.init.bound / math.sqrt(3)
    return rng.normal(0, max(std, 0.1), param.shape).astype(np.float32)


@functools.cache
def stepping(name, on_iree=False):
    """A family's net, and the program of its train step alone."""
    spec, loss = families.family(name)
    changes = ON_IREE.get(name, {}) if on_iree else {}
    layers = (changes.get(layer.name, layer) for layer in spec.layers)
    net = check(dataclasses.replace(spec, layers=tuple(layer for layer in layers if layer is not None)))
    whole = build(net, Recipe(SGD(0.9), loss, norms=False), BATCH)
    module = Module(whole.module.name, (whole.module.function("train_step"),))
    return net, dataclasses.replace(whole, module=module)


@pytest.fixture(scope="module")
def judged():
    """For each family: its program (a train step alone), a state, a batch, and the results of the step in float64."""
    made = {}

    def make(*wanted):
        if wanted not in made:
            net, program = stepping(*wanted)
            step = program.module.function("train_step")
            rng = np.random.default_rng(0)
            state = {s.name: np.zeros(s.type.shape, np.float32) for s in program.state}
            state |= {p.name: drawn(rng, p) for p in net.params}
            state |= {s.name: np.full(s.shape, s.init.value, np.float32) for s in net.state}
            state |= {"step": np.int32(0), "key": np.array([1, 2], np.uint32)}
            batch = []
            for t in (step.params[step.names.index(n)].type for n in ("x", "y")):
                floats = rng.standard_normal(t.shape).astype(np.float32)
                batch.append(rng.integers(0, CLASSES, t.shape).astype(np.int32) if t.dtype == "i32" else floats)
            # the judge: the module before any pass
            exact = run(program.module, "train_step", [*state.values(), *batch, np.float32(0)], "f64")
            made[wanted] = program, state, batch, dict(zip(step.result_names, exact, strict=True))
        return made[wanted]

    return make


@pytest.mark.parametrize("word", ["cpu", "xla", "c"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_train_step_is_that_of_the_evaluator(name, word, judged, compiled, request):
    if word == "c":
        request.getfixturevalue("c_compiler")
    program, state, batch, exact = judged(name, word == "cpu" and name in ON_IREE)
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


def without_sizes(op, name, value):
    if op.kind == "pad":
        return np.sign(value).tolist()
    if name == "padding":
        return any(map(any, value)), all(low == high for low, high in value)
    if name == "groups":
        return min(value, 2), value == op.operands[0].type.shape[-1]
    return None if name in ("shape", "value", "start", "limit") else value


def form(op):
    """What tells an operation from others but the sizes of its tensors."""
    attrs = tuple((name, str(without_sizes(op, name, value))) for name, value in op.attrs)
    return op.kind, tuple((v.type.rank, v.type.dtype) for v in op.operands), op.result.type.rank, attrs


def test_iree_meets_every_form_and_every_pair_of_neighbours():
    whole, met = set(), set()
    for name in FAMILIES:
        for found, on_iree in ((whole, False), (met, name in ON_IREE)):
            ops = lower(stepping(name, on_iree)[1].module, "cpu").function("train_step").ops
            maker = {result: op.kind for op in ops for result in op.results}
            found.update(form(op) for op in ops)
            found.update((maker[v], op.kind) for op in ops for v in op.operands if v in maker)
    assert whole - met == set()
