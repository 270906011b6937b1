"""The oracle finds what is wrong, and says where."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.oracle import oracle
from netc.codegen import evaluator
from netc.netspec.errors import UserError
from netc.netspec.layers import Activation, AvgPool, BatchNorm, Chain, Conv2d, Dense, MaxPool, Residual
from netc.proofs_oracle import check_layer, check_loss, check_optimizer, check_step
from netc.proofs_oracle.compare import Comparison, compare, compare_all
from netc.proofs_oracle.oracle import GradCheck, run, run_case, select
from netc.proofs_oracle.reference import Case
from netc.proofs_oracle.references import losses, optimizers, reference_of, step
from netc.proofs_oracle.result import Result, result_of, summary
from netc.proofs_oracle.subject import Subject, emitted

DENSE = Case("d", Dense(3, activation="tanh"), (4,))
NORM = Case("n", BatchNorm(), (3, 3, 2))


def judge(case, make):
    return run_case(reference_of(case.layer), case, make=make)


def altered(change):
    """A subject like codegen's whose results pass through `change(results, args)`."""

    def make(layer, x, batch, training):
        right = emitted(layer, x, batch, training)
        return Subject(right.forward, lambda args: change(list(right.vjp(args)), args))

    return make


def bump(index, size):
    def change(results, args):
        results[index] = results[index].copy()
        results[index].flat[-1] += size
        return results

    return altered(change)


@pytest.mark.parametrize(
    ("case", "index", "name"),
    [(DENSE, 0, "y"), (DENSE, 1, "dx"), (DENSE, 2, "dkernel"), (DENSE, 3, "dbias"), (NORM, 2, "dscale"),
     (NORM, 4, "new mean"), (NORM, 5, "new var")],
)  # fmt: skip
def test_one_wrong_element_of_any_tensor(case, index, name):
    result = judge(case, bump(index, 1e-6))
    assert not result.passed
    assert result.worst == name
    assert 1e-9 < result.jax_error < 1e-4
    assert f"{case.layer.kind}/{case.name}: {name} is wrong by a relative error of JAX" in result.verdict()


def test_unaltered_passes():
    result = judge(DENSE, altered(lambda results, args: results))
    assert result.passed
    assert result.verdict() == ""
    assert result.tensors == 4
    assert result.directions == 9


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda r, a: r[:-1], "wants the 4 tensors y, dx, dkernel, dbias, got 3"),
        (lambda r, a: [r[0], r[1], r[2].T, r[3]], "dkernel wants shape (4, 3), got (3, 4)"),
        (lambda r, a: [*r[:3], r[3] * math.nan], "dbias is not finite where the reference is"),
        (lambda r, a: [r[0] + math.inf, *r[1:]], "y is not finite where the reference is"),
    ],
)
def test_results_that_cannot_be_compared(change, problem):
    result = judge(DENSE, altered(change))
    assert not result.passed
    assert problem in result.verdict()


def test_a_float32_gradient_is_not_enough():
    result = judge(DENSE, altered(lambda r, a: [t.astype(np.float32) for t in r]))
    assert not result.passed
    assert 1e-9 < result.jax_error < 1e-6


def test_the_difference_alone_finds_a_gradient_that_jax_shares(monkeypatch):
    def doubled(layer, x, batch, training):
        call = witness(layer, x, batch, training)
        return lambda args: [call(args)[0], *(2 * r for r in call(args)[1:])]

    witness = check_layer.layer_vjp
    monkeypatch.setattr(check_layer, "layer_vjp", doubled)
    result = judge(DENSE, altered(lambda r, a: [r[0], *(2 * t for t in r[1:])]))
    assert result.jax_error < 1e-9
    assert result.difference_error > 0.1
    assert not result.passed


def test_cotangent_sent_to_every_tied_maximum():
    case = Case("t", MaxPool(2), (4, 4, 1), draw="ties")

    def all_ties(results, args):
        (x, dy), up = args, lambda t: t.repeat(2, 1).repeat(2, 2)
        return [results[0], np.where(x == up(results[0]), up(dy), 0.0)]

    assert judge(case, altered(lambda r, a: r)).passed
    result = judge(case, altered(all_ties))
    assert not result.passed
    assert result.worst == "dx"
    assert result.skipped == 3
    assert "ties" in result.skip_reason


@pytest.mark.parametrize(
    ("case", "other"),
    [
        (Case("c", Conv2d(2, 3, 2, "same-symmetric"), (6, 6, 2)), Conv2d(2, 3, 2, "same")),
        (Case("c", AvgPool(3, 2, "same"), (6, 6, 2)), AvgPool(3, 2, "same", count_padding=True)),
        (Case("c", BatchNorm(), (3, 2)), BatchNorm(epsilon=1.001e-5)),
        (Case("c", BatchNorm(), (3, 2)), BatchNorm(momentum=0.10001)),
        (Case("c", Activation("gelu"), (6,)), Activation("gelu-tanh")),
        (Case("c", Activation("leaky-relu"), (6,)), Activation("leaky-relu", slope=0.0101)),
        (Case("c", Dense(3, activation="relu"), (6,)), Dense(3)),
        (Case("c", Residual(Dense(3)), (3,)), Chain((Residual(Dense(3), name="residual"), Activation()))),
    ],
    ids=["padding", "count", "epsilon", "momentum", "gelu", "slope", "dropped", "relu-after"],
)
def test_a_neighbouring_layer_in_its_place(case, other):
    result = judge(case, lambda layer, x, batch, training: emitted(other, x, batch, training))
    assert not result.passed


def test_training_and_evaluation_are_told_apart():
    case = replace(NORM, training=False)
    assert judge(case, emitted).passed
    assert not judge(case, lambda layer, x, batch, training: emitted(layer, x, batch, True)).passed


def nudged(index):
    run_right = evaluator.run

    def wrong(module, name, args, dtype="f64"):
        results = run_right(module, name, args, dtype)
        if name != "init":
            results[index] = results[index] * (1 + 1e-7)
        return results

    return wrong


@pytest.mark.parametrize(
    ("room", "run", "index"),
    [
        (check_loss, lambda: check_loss.run_loss_case(losses.CASES[0]), 0),
        (check_loss, lambda: check_loss.run_loss_case(losses.CASES[0]), 1),
        (check_optimizer, lambda: check_optimizer.run_optimizer_case("adam", optimizers.ADAM_CASES[0]), 0),
        (check_optimizer, lambda: check_optimizer.run_optimizer_case("adam", optimizers.ADAM_CASES[0]), 3),
        (check_step, lambda: check_step.run_step_case(step.CASES[0]), 0),
        (check_step, lambda: check_step.run_step_case(step.CASES[0]), -1),
    ],
)
def test_loss_optimizer_and_step(monkeypatch, room, run, index):
    assert run().passed
    monkeypatch.setattr(room.evaluator, "run", nudged(index))
    assert not run().passed


def test_relative_errors():
    a = np.asarray([3.0, 4.0])
    assert compare("t", a, a) == Comparison("t", 0.0)
    assert compare("t", a + np.asarray([0, 5e-3]), a).error == pytest.approx(5e-3 / 4)
    assert compare("t", np.zeros(2), np.zeros(2)).error == 0
    assert compare("t", np.full(2, 1e-15), np.zeros(2)).error < 1e-11
    assert compare("t", np.full(2, 1e-9), np.zeros(2)).error > 1e-9
    assert compare("t", np.zeros(()), np.full((), math.nan)).problem.startswith("t: the reference is not finite")
    assert compare_all(["a"], [], [a])[0].error == math.inf


FAILED = Result("k", "c", 2, math.inf, None, "dx", False, 0.5, problem="dx is not finite where the reference is")


def test_results_as_json():
    text = json.dumps(FAILED.to_json(), allow_nan=False)
    assert json.loads(text)["jax_error"] == "Infinity"
    assert json.loads(text)["difference_error"] is None


def test_summary_counts():
    good = result_of("k", "d", against_jax=[Comparison("y", 0.0)], tolerance=1e-9, seconds=0.1)
    assert summary([good]) == "1 case, 1 tensor compared: all agree"
    assert summary([good, FAILED]) == "2 cases, 3 tensors compared: 1 case disagreeing"


def test_select_by_part_and_by_glob():
    assert {e.kind for e in select("maxPool/")} == {"maxPool"}
    assert {e.label for e in select("dense/batch-*")} == {"dense/batch-1"}
    assert {e.kind for e in select("sgd")} >= {"sgd", "trainStep"}
    assert len(select(None)) == len(select("")) > 300
    with pytest.raises(UserError, match=r"wants part of a kind or case, got 'convolve'; did you mean conv2d or convBn"):
        select("convolve")


def test_run_gives_results():
    assert [result.label for result in run(select("identity/"), seed=3)] == [e.label for e in select("identity/")]


def test_seeds_draw_other_numbers_but_the_same_seed_the_same():
    errors = [judge_seed(seed).difference_error for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]


def judge_seed(seed):
    return run_case(reference_of(DENSE.layer), DENSE, seed=seed)


def test_command_prints_a_table():
    result = CliRunner().invoke(oracle, ["dense/one-*"])
    assert result.exit_code == 0
    assert "dense  one-input" in result.output
    assert "3 cases, 12 tensors compared: all agree" in result.output


def test_command_prints_json():
    result = CliRunner().invoke(oracle, ["identity", "--json", "--seed", "4"])
    record = json.loads(result.stdout)
    assert record["seed"] == 4
    assert record["passed"] is True
    assert all(c["passed"] for c in record["results"])


def test_command_fails_with_the_verdict(monkeypatch):
    monkeypatch.setattr("netc.proofs_oracle.oracle.select", lambda pattern: [GradCheck("k", "c", lambda seed: FAILED)])
    result = CliRunner().invoke(oracle)
    assert result.exit_code == 1
    assert "k/c: dx is not finite where the reference is" in result.output
    assert "1 case, 2 tensors compared: 1 case disagreeing" in result.output
    assert CliRunner().invoke(oracle, ["--json"]).exit_code == 1


def test_command_says_what_patterns_there_are():
    result = CliRunner().invoke(oracle, ["nothing-like-it"])
    assert isinstance(result.exception, UserError)
    assert result.exception.exit_code == 2
