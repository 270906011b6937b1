"""Planted faults are found and named; sound programs are cleared."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.ir import Function
from netc.codegen.program import build
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.recipe import SGD, Recipe
from netc.runtime.compare.bisect import Side, bisect, bisect_run, bisect_step, matched
from netc.runtime.compare.replay import first_state, replay_of
from netc.runtime.compare.taps import distance
from netc.runtime.target import parse_target
from tests.runtime.conftest import TINY
from tests.runtime.test_train import STEPS, config, digits

REFERENCE, XLA, CPU = (parse_target(word) for word in ("reference", "xla", "cpu"))


@pytest.fixture(scope="module")
def step(tiny):
    return tiny.module.function("train_step")


@pytest.fixture(scope="module")
def args(tiny):
    """Images of few levels, so that windows have ties."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, (4, 6, 6, 2)).astype(np.float32)
    y = rng.integers(0, 3, 4).astype(np.int32)
    return [*first_state(tiny, 3), x, y, np.asarray(1e-3, np.float32)]


def planted(function: Function, kind: str, loc: str, change, which: int = 0) -> Function:
    """The function with one operation replaced: the `which`-th of that kind at that place."""
    seen = iter(range(len(function.ops)))
    done = []

    def visit(b, op, operands):
        if (op.kind, op.loc) != (kind, loc) or next(seen) != which:
            return None
        done.append(op)
        return change(b, op, operands)

    changed = rewrite(function, visit)
    assert len(done) == 1
    return changed


def another_axis(b, op, operands):
    """The sum over rows and columns only, the batch's first example broadcast: a wrong axis with a right shape."""
    over = b.sum(operands[0], (1, 2))
    return b.reshape(b.slice(over, (0, 0), (1, over.shape[1])), op.result.shape)


def without_second(b, op, operands):
    """x - y without y."""
    return b.op(op.kind, operands[0], b.constant(0.0, operands[1].type))


def without_sum(b, op, operands):
    """x + y without x: the sum of the parts before is lost."""
    return b.op(op.kind, b.constant(0.0, operands[0].type), operands[1])


def to_the_last(b, op, operands):
    """The cotangent of a window goes to its last maximum: the image and its windows the other way round."""
    x, y, dy = (b.op("reverse", v, dims=(1, 2)) for v in operands)
    attrs = dict(op.attrs)
    return b.op("reverse", b.op(op.kind, x, y, dy, **attrs), dims=(1, 2))


# name -> kind, place, the change, the kind of the operation that is named
FAULTS = {
    "axis": ("reduce_sum", "conv2.norm (vjp)", another_axis, "mul"),
    "term": ("sub", "conv2.norm (vjp)", without_second, "sub"),
    "tie": ("max_pool_grad", "pool (vjp)", to_the_last, "max_pool_grad"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_by_the_evaluator(step, args, compiled, fault):
    kind, loc, change, named = FAULTS[fault]
    broken = planted(step, kind, loc, change)
    found = bisect(Side("A", step, REFERENCE), Side("B", broken, REFERENCE), args, compiled).finding
    assert found is not None
    assert (found.side, found.loc) == ("B", loc)
    assert found.kind in (named, kind)
    assert found.error > 8 * found.floor
    assert f"at {loc}" in str(found)


def test_a_planted_fault_is_named_through_xla(step, args, compiled):
    kind, loc, change, _ = FAULTS["tie"]
    broken = planted(step, kind, loc, change)
    found = bisect(Side("A", step, XLA), Side("B", broken, XLA), args, compiled).finding
    assert found is not None
    assert (found.side, found.loc) == ("B", loc)


def test_a_planted_fault_is_named_through_iree(step, args, compiled):
    kind, loc, change, _ = FAULTS["term"]
    broken = planted(step, kind, loc, change)
    found = bisect(Side("A", step, REFERENCE), Side("B", broken, CPU), args, compiled).finding
    assert found is not None
    assert (found.side, found.loc) == ("B", loc)


def test_a_sound_backend_is_cleared(step, args, compiled):
    answer = bisect(Side("A", step, REFERENCE), Side("B", step, XLA), args, compiled)
    assert answer.finding is None
    assert answer.asked > 40
    assert answer.unmatched == ()


def with_ties_broken(b, op, operands):
    """max(x, 0) of an x whose later columns are larger by less than rounding may do."""
    x, zero = operands
    columns, channels = x.shape[2:]
    slope = tuple(1 + 2e-6 * (n // channels % columns) / columns for n in range(x.type.size))
    return b.op("max", b.mul(x, b.constant(slope, x.type)), zero)


@pytest.fixture(scope="module")
def even(args):
    """The same step of pictures of one colour each: inside them every pixel of a window is the maximum."""
    *state, x, y, lr = args
    return [*state, np.broadcast_to(x[:, :1, :1] + 1, x.shape).copy(), y, lr]


def of_the_wrong_sign(b, op, operands):
    """dw of -dy."""
    return b.op(op.kind, operands[0], b.op("neg", operands[1]), **dict(op.attrs))


def test_a_choice_that_rounding_decides_is_no_fault(step, even, compiled):
    """The window's last of equal elements is the largest on one side, and every gradient before it another."""
    jittery = planted(step, "max", "conv1", with_ties_broken)
    sides = Side("A", step, REFERENCE), Side("B", jittery, REFERENCE)
    answer = bisect(*sides, even, compiled)
    assert answer.finding is None
    assert (answer.jump.side, answer.jump.kind, answer.jump.loc) == ("B", "max_pool_grad", "pool (vjp)")


def test_a_fault_behind_such_a_choice_is_found(step, even, compiled):
    jittery = planted(step, "max", "conv1", with_ties_broken)
    broken = planted(jittery, "conv_kernel_grad", "conv1 (vjp)", of_the_wrong_sign)
    answer = bisect(Side("A", step, REFERENCE), Side("B", broken, REFERENCE), even, compiled)
    assert answer.jump.kind == "max_pool_grad"
    assert (answer.finding.side, answer.finding.kind, answer.finding.loc) == ("B", "conv_kernel_grad", "conv1 (vjp)")


def test_operations_without_a_counterpart_are_named(step, args, compiled):
    broken = planted(step, "sub", "conv2.norm (vjp)", lambda b, op, operands: operands[0])
    pairs, alone = matched(step, broken)
    assert alone == ("sub at conv2.norm (vjp)",)
    assert len(pairs) < len(step.ops)
    found = bisect(Side("A", step, REFERENCE), Side("B", broken, REFERENCE), args, compiled)
    assert found.finding is not None
    assert "sub at conv2.norm (vjp)" in found.finding.operands
    assert found.unmatched == alone


PARTS = (
    # place, kind, change; the part that is named and the kind: of one part, of the sums, of what follows them
    ("micro_step", "sub", "conv2.norm (vjp)", without_second, 0, "sub"),
    ("micro_step", "add", "accumulate", without_sum, 1, "add"),
    ("train_step", "sub", "head.kernel (update)", without_second, None, "sub"),
)


@pytest.mark.parametrize(("function", "kind", "loc", "change", "part", "named"), PARTS)
def test_a_fault_in_a_batch_in_parts_is_named(args, compiled, function, kind, loc, change, part, named):
    module = build(check(TINY), Recipe(SGD(), accumulate=2), 4).module
    state = first_state(build(check(TINY), Recipe(SGD(), accumulate=2), 4), 3)
    given = [*state, *args[-3:]]
    changed = {f.name: planted(f, kind, loc, change, 2 * (loc == "accumulate")) for f in module if f.name == function}
    broken = replace(module, functions=tuple(changed.get(f.name, f) for f in module))
    names = ("A", "B")
    found = bisect_step(names, (module, broken), (REFERENCE, REFERENCE), given, compiled).finding
    assert found is not None
    assert (found.side, found.loc, found.kind, found.part) == ("B", loc, named, part)
    assert ("in part" in str(found)) == (part is not None)
    assert bisect_step(names, (module, module), (REFERENCE, REFERENCE), given, compiled).finding is None


def test_the_distance_of_values():
    one = np.array([3.0, 4.0])
    assert distance(one, one) == 0
    assert distance(np.array([3.0, 4.5]), one) == pytest.approx(0.125)
    assert distance(np.array([np.nan, 4.0]), one) == np.inf
    assert distance(np.array([np.nan, 4.0]), np.array([np.nan, 4.0])) == 0
    assert distance(np.array([-np.inf, 4.0]), np.array([-np.inf, 4.0])) == 0
    assert distance(np.array([True, False]), np.array([True, True])) == 1
    assert distance(np.zeros(2), np.zeros(2)) == 0


def test_a_step_of_a_run_is_searched(compiled):
    replay = replay_of(config(), digits())
    answer = bisect_run(replay, XLA, 3, compiled)
    assert answer.finding is None
    with pytest.raises(UserError, match=f"bisect wants a step from 0 to {STEPS - 1}, got {STEPS}"):
        bisect_run(replay, XLA, STEPS, compiled)


def test_a_run_that_recorded_norms_is_searched_for_a_gpu_without_them(compiled, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "netc.runtime.compare.bisect.observed",
        lambda function, target, args, cache: asked.append(len(args)) or _reference(function, args, cache),
    )
    bisect_run(replay_of(config(), digits()), replace(XLA, norms=False), 0, compiled)
    assert asked


def _reference(function, args, cache):
    from netc.codegen.evaluator import FloatArithmetic
    from netc.runtime.compare.taps import evaluated

    return evaluated(function, "cpu", args, FloatArithmetic("f32"))
