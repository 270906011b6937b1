"""Experts of which a token takes one: the gate is a probability, and the router learns from the task."""

import numpy as np

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.groups import Groups
from netc.netspec.layers import Chain, Dense, MixtureOfExperts, TopKGates
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


def test_a_step_tells_the_shares_of_the_fullest_and_the_emptiest_expert():
    """Over all layers, and of the whole batch where it passes in parts; layers that are frozen are left out."""
    moe = [MixtureOfExperts(3, e, 2, std=0.5, name=f"moe{e}") for e in (4, 6)]
    net = check(NetSpec("moe", (5, 4), (*moe, Dense(3))))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 5, 4)), rng.integers(0, 3, (4, 5)).astype(np.int32)

    def told(**options):
        program = build(net, Recipe(SGD(), **options), 4)
        state = run(program.module, "init", [np.array([0, 1], np.uint32)], "f64")
        step = program.module.function("train_step")
        found = dict(
            zip(
                step.result_names,
                run(program.module, "train_step", [*state, x, y, np.asarray(0.1)], "f64"),
                strict=True,
            )
        )
        kernel = state[[s.name for s in program.state].index("moe4.both.chosen.router.kernel")]
        return found["expert_most"], found["expert_least"], kernel

    *both, kernel = told()
    np.testing.assert_allclose(told(accumulate=2)[:2], both, rtol=1e-12)
    chosen = np.argsort(-(x.reshape(-1, 4) @ kernel), axis=1)[:, :2]
    shares = np.bincount(chosen.ravel(), minlength=4) / chosen.size
    np.testing.assert_allclose(told(groups=Groups(freeze=("moe6",)))[:2], (shares.max(), shares.min()), rtol=1e-12)
    assert both[0] >= shares.max() and both[1] <= shares.min()


def test_an_evaluation_tells_what_each_example_chose():
    """Where its layers see the tokens folded, too."""
    inner = Chain((Dense(4, bias=False, name="as"), TopKGates(2)))
    net = check(NetSpec("gates", (3, 4), (inner, TopKGates(1, name="last"))))
    scores = np.array([[4, 3, 2, 1], [1, 2, 4, 3], [1, 2, 3, 4], [9, 8, 1, 1], [9, 8, 1, 1], [9, 8, 1, 1.0]])
    program = build(net, Recipe(), 2)
    labels, weight = np.zeros((2, 3), np.int32), np.array([0.25, 2])
    *_, found = run(program.module, "eval_step", [np.eye(4), scores.reshape(2, 3, 4), labels, weight], "f64")
    first, last = [[1, 1, 2, 2], [3, 3, 0, 0]], [[1, 0, 1, 1], [3, 0, 0, 0]]
    shares = np.concatenate([np.array(first) / 6, np.array(last) / 3], 1)
    np.testing.assert_allclose(found, weight @ shares, rtol=1e-12)


def test_scores_are_made_before_they_are_ranked():
    """IREE 3.12 compiles the two as one dispatch for minutes."""
    module = build(check(NetSpec("gates", (5, 4), (Dense(3, bias=False), TopKGates(2)))), Recipe(SGD()), 2).module
    ops = module.function("predict").ops
    ranked = {v for op in ops if op.kind == "compare" for v in op.operands}
    spread = [op.operands[0] for op in ops if op.kind == "broadcast" and op.result in ranked]
    assert {op.kind for op in ops if op.result in spread} == {"barrier"}
