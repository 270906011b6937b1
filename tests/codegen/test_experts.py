"""Experts of which a token takes one: the gate is a probability, and the router learns from the task."""

import numpy as np

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import Dense, MixtureOfExperts, TopKGates
from netc.netspec.loss import MeanSquaredError
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec


def test_one_chosen_expert_has_its_probability_among_all():
    net = check(NetSpec("gates", (3,), (Dense(3, bias=False, name="as"), TopKGates(1))))
    module = build(net, Recipe(SGD(), MeanSquaredError()), 2).module
    scores = np.log([[1.0, 3.0, 4.0], [5.0, 1.0, 2.0]])
    found = run(module, "predict", [np.eye(3), scores], "f64")[0]
    np.testing.assert_allclose(found, [[0, 0, 0.5], [0.625, 0, 0]], rtol=1e-12)


def test_the_router_of_one_expert_a_token_learns_without_a_balance_loss():
    net = check(NetSpec("moe", (5, 4), (MixtureOfExperts(3, 4, 1, balance=0.0, std=0.5, name="moe"), Dense(3))))
    program, rng = build(net, Recipe(SGD()), 2), np.random.default_rng(0)
    state = run(program.module, "init", [np.array([0, 1], np.uint32)], "f64")
    x, y = rng.standard_normal((2, 5, 4)), rng.integers(0, 3, (2, 5)).astype(np.int32)
    after = run(program.module, "train_step", [*state, x, y, np.asarray(0.1)], "f64")
    at = [s.name for s in program.state].index("moe.both.chosen.router.kernel")
    assert np.abs(after[at] - state[at]).max() > 1e-5


def test_scores_are_made_before_they_are_ranked():
    """IREE 3.12 compiles the two as one dispatch for minutes."""
    module = build(check(NetSpec("gates", (5, 4), (Dense(3, bias=False), TopKGates(2)))), Recipe(SGD()), 2).module
    ops = module.function("predict").ops
    ranked = {v for op in ops if op.kind == "compare" for v in op.operands}
    spread = [op.operands[0] for op in ops if op.kind == "broadcast" and op.result in ranked]
    assert {op.kind for op in ops if op.result in spread} == {"barrier"}
