"""Which results of a step are marked to take their argument's place, and which are not, since somebody may read it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.iree import fences
from netc.codegen.rewrite.iree.in_place import update_in_place
from netc.codegen.rewrite.lower import lower
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from tests.codegen.witness import parsed

NET = NetSpec("net", (6, 6, 2), (ConvBn(4, name="conv"), GlobalAvgPool(), Dense(3, name="head")))
# optimizer -> the kinds of tensors of which none may be: somebody reads one whole behind the wait, or beside its update
BESIDE = {
    "lion": {"m"},
    "lamb": {"kernel", "m", "v"},
    "muon": {"buffer"},
    "shampoo": {"right"},
}


def kind(name):
    """What a name of a slot says first: a moment, or the parameter's own last word."""
    return name.partition("/")[0] if "/" in name else name.rpartition(".")[2]


@pytest.mark.parametrize("word", ["adam", "sgd", *BESIDE])
def test_what_an_optimizer_has_in_place(word, monkeypatch):
    monkeypatch.setattr(fences, "LARGE", 0)
    row = OPTIMIZERS[word]
    step = lower(build(check(NET), Recipe(optimizer=row.cls()), 2).module, "cpu").function("train_step")
    placed = Counter(kind(step.names[i]) for i in step.in_place)
    assert placed.keys().isdisjoint(BESIDE.get(word, ()))
    if word not in BESIDE:
        large = [i for i in range(step.donated) if step.params[i].shape and len(step.params[i].shape) > 1]
        assert set(step.in_place) >= set(large)
    assert placed.keys().isdisjoint({"mean", "var"})  # of a batch norm: they are ready before the gradients


def test_a_small_state_and_other_targets_have_none(monkeypatch):
    module = build(check(NET), Recipe(), 2).module
    assert lower(module, "cpu").function("train_step").in_place == ()
    monkeypatch.setattr(fences, "LARGE", 0)
    assert all(not f.in_place for profile in ("gpu", "xla", "plain") for f in lower(module, profile))


def test_the_first_state_is_the_same_and_each_of_its_tensors_is_computed_for_itself(monkeypatch):
    module = build(check(NET), Recipe(), 2).module
    seed = [np.array([1 << 31, 5], np.uint32)]
    wanted = run(module, "init", seed)
    monkeypatch.setattr(fences, "LARGE", 0)
    lowered = lower(module, "cpu")
    for got, tensor in zip(run(lowered, "init", seed), wanted, strict=True):
        np.testing.assert_array_equal(got, tensor)
    init, step = lowered.function("init"), lowered.function("train_step")
    makers = {op.result: op for op in init.ops}
    placed = [init.results[i] for i in step.in_place]
    fixed = [makers[v] for v in placed if makers[v].kind == "select"]
    assert len(fixed) > 10 and len(set(placed)) == len(placed)
    assert len({op.operands[0] for op in fixed}) == len(fixed)
    assert all(makers[op.operands[1]].kind != "constant" for op in fixed)  # which might be x itself


def step_of(update, early=None):
    """(p, x) -> p', where p' = p - behind(g): what `update(b, p, g)` gives are its results besides."""
    b = Builder("train_step")
    p, x = b.parameter("p", TensorType((4, 4))), b.parameter("x", TensorType((4, 4)))
    y = b.op("tanh", b.add(p, x))
    g, h = b.joint_barrier(b.mul(y, x), b.mul(y, y))
    results = [("p", b.sub(p, b.add(g, h))), *((f"r{n}", v) for n, v in enumerate(update(b, p, g, y)))]
    return verify(update_in_place(Module("m", (replace(b.finish(results), donated=1),))))


def test_the_update_alone_is_in_place_and_the_text_says_so():
    module = step_of(lambda b, p, g, y: ())
    assert module.function("train_step").in_place == (0,)
    text = render(module, "iree")
    parsed(text)
    assert "%arg0: tensor<4x4xf32> {iree.abi.output = 0 : index}" in text
    assert "abi.output" not in render(module)


LATE = {
    "a sum of squares of what was and is": lambda b, p, g, y: [b.sum(b.mul(p, g), (0, 1))],
    "a product": lambda b, p, g, y: [b.op("dot", p, g, contract=((1,), (0,)), batch=((), ()))],
    "an element-wise reader that makes another result": lambda b, p, g, y: [b.mul(p, g)],
    "a transposed reader": lambda b, p, g, y: [b.add(b.op("transpose", p, perm=(1, 0)), g)],
    "the argument itself": lambda b, p, g, y: [p],
    "what is cheap to compute from it again": lambda b, p, g, y: [b.mul(y, g)],
    "a result that is made of it before": lambda b, p, g, y: [y],
    "what no gradient needs": lambda b, p, g, y: [b.op("sqrt", b.add(p, p))],
}


@pytest.mark.parametrize("update", LATE.values(), ids=LATE)
def test_an_argument_that_may_be_read_later_is_not(update):
    assert step_of(update).function("train_step").in_place == ()


def placed_of(early, update, waits=lambda p, t: ()):
    """Whether p is in place, p' = update(p, t, g), where t = early(p) is made before the wait, and read there."""
    b = Builder("train_step")
    p, x = b.parameter("p", TensorType((4, 4))), b.parameter("x", TensorType((4, 4)))
    t = early(b, p)
    g, *_ = b.joint_barrier(b.sum(b.mul(t, x), (1,)), b.sum(x, (0,)), *waits(p, t))
    result = update(b, p, t, b.broadcast(g, x, (0,)))
    return update_in_place(Module("m", (replace(b.finish([("p", result)]), donated=1),))).functions[0].in_place == (0,)


def test_an_update_reads_only_the_element_that_it_writes():
    def transposed(b, p):
        return b.transpose(p, (1, 0))

    def scaled(b, p):
        return b.mul(p, p)

    assert placed_of(scaled, lambda b, p, t, g: b.sub(p, b.mul(t, g)))
    assert not placed_of(transposed, lambda b, p, t, g: b.sub(p, b.mul(t, g)))
    assert placed_of(transposed, lambda b, p, t, g: b.sub(p, g))


def test_an_update_that_need_not_wait_is_not_in_place():
    assert not placed_of(lambda b, p: b.mul(p, p), lambda b, p, t, g: b.add(p, p))


def test_an_argument_that_passes_the_wait_is_not_in_place():
    assert not placed_of(lambda b, p: b.mul(p, p), lambda b, p, t, g: b.sub(p, g), lambda p, t: (p,))


def test_a_sum_that_needs_no_gradient_is_computed_before_the_wait():
    step = step_of(lambda b, p, g, y: [b.op("sqrt", b.sum(b.mul(p, p), (0, 1)))]).function("train_step")
    assert step.in_place == (0,)
    kinds = [op.kind for op in step.ops]
    wait = kinds.index("joint_barrier")
    assert kinds.index("reduce_sum") < wait < kinds.index("sqrt")
    assert len(step.ops[wait].operands) == 3


def test_tensors_of_one_shape_are_made_by_one_kernel(monkeypatch):
    """What tells them apart, their places in the draw and their numbers, is behind barriers."""
    monkeypatch.setattr(fences, "LARGE", 0)
    net = NetSpec("net", (4,), tuple(Dense(4, activation="relu", name=f"dense{n}") for n in range(3)))
    init = lower(build(check(net), Recipe(), 2).module, "cpu").function("init")
    makers = {op.result: op for op in init.ops}

    def kernel(v):
        op = makers.get(v)
        return "held" if op is None or op.kind == "barrier" else (op.kind, op.attrs, *map(kernel, op.operands))

    names = {name: kernel(v) for name, v in zip(init.result_names, init.results, strict=True)}
    for part, count in (("", 2), ("m/", 3), ("v/", 3)):  # the last bias is not in place: the metrics read it
        for suffix in ("kernel", "bias"):
            assert len({names[f"{part}dense{n}.{suffix}"] for n in range(count)}) == 1
