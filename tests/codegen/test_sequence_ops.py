"""Rows by index and the linear recurrence: meanings by hand, and each form against the op that it replaces."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.ops import OPS
from netc.codegen.rewrite.index_forms import ONE_HOT_BELOW
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.select_forms import select_forms
from netc.netspec.types import TensorType
from tests.codegen.witness import by_xla, halves, one_op

FAMILIES = ("cpu", "gpu", "xla")


def t(*shape, dtype="f32"):
    return TensorType(shape, dtype)


def ids_of(*shape, rows, seed=0):
    """Indices of every row and of some that are outside."""
    return np.random.default_rng(seed).integers(-2, rows + 2, shape).astype(np.int32)


@pytest.mark.parametrize("shape", [(6,), (2, 5), ()])
def test_take_reads_rows_and_clamps(shape):
    table, ids = halves(np.random.default_rng(1), (4, 3)), ids_of(*shape, rows=4)
    (got,) = run(one_op("take", (t(4, 3), t(*shape, dtype="i32"))), "f", [table, ids])
    np.testing.assert_array_equal(got, table[np.clip(ids, 0, 3)])


def test_take_grad_is_the_adjoint_of_take():
    rng = np.random.default_rng(2)
    table, dy, ids = rng.normal(size=(5, 3)), rng.normal(size=(2, 4, 3)), ids_of(2, 4, rows=5)
    (y,) = run(one_op("take", (t(5, 3), t(2, 4, dtype="i32"))), "f", [table, ids])
    (dtable,) = run(one_op("take_grad", (t(2, 4, dtype="i32"), t(2, 4, 3)), rows=5), "f", [ids, dy])
    assert np.sum(y * dy) == pytest.approx(np.sum(table * dtable), rel=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", [1, 7, ONE_HOT_BELOW + 3])
def test_each_form_of_take_grad_is_the_op(family, rows):
    module = one_op("take_grad", (t(3, 5, dtype="i32"), t(3, 5, 2)), rows=rows)
    args = [ids_of(3, 5, rows=rows), halves(np.random.default_rng(3), (3, 5, 2)).astype(np.float32)]
    lowered = lower(module, family)
    counts = lowered.function("f").counts()
    assert ("dot" in counts) == (family == "gpu" and rows < ONE_HOT_BELOW)
    (wanted,), (got,) = run(module, "f", args), run(lowered, "f", args)
    (xla,) = by_xla(select_forms(module, family), "f", args)  # the form, without what is for IREE alone
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(xla, wanted)


def recurrence(a, u, axis, reverse):
    a, u = (np.moveaxis(v, axis, 0) for v in (a, u))
    a, u = (v[::-1] if reverse else v for v in (a, u))
    h = [u[0]]
    for t_ in range(1, len(u)):
        h.append(a[t_] * h[-1] + u[t_])
    return np.moveaxis(np.stack(h[::-1] if reverse else h), 0, axis)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((1, 2), 0), ((2,), 0), ((2, 7, 3), 1), ((3, 8), 1), ((2, 2, 13), 2)])
def test_doubling_is_the_recurrence(shape, axis, reverse):
    rng = np.random.default_rng(4)
    a, u = rng.normal(size=shape), rng.normal(size=shape)
    module = one_op("linear_scan", (t(*shape), t(*shape)), axis=axis, reverse=reverse)
    wanted = recurrence(a, u, axis, reverse)
    (meant,) = run(module, "f", [a, u])
    np.testing.assert_allclose(meant, wanted, rtol=1e-13)
    lowered = lower(module, "gpu")
    (doubled,) = run(lowered, "f", [a, u])
    np.testing.assert_allclose(doubled, wanted, rtol=1e-12, atol=1e-13)
    assert lowered.function("f").counts().get("add", 0) == (shape[axis] - 1).bit_length()


@pytest.mark.parametrize("profile", ["cpu", "xla"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((1, 2), 0), ((2,), 0), ((2, 7, 3), 1), ((64, 2), 0), ((2, 131), 1)])
def test_steps_and_blocks_of_them_are_the_recurrence(shape, axis, reverse, profile):
    rng = np.random.default_rng(6)
    a, u = rng.normal(size=shape), rng.normal(size=shape)
    lowered = lower(one_op("linear_scan", (t(*shape), t(*shape)), axis=axis, reverse=reverse), profile)
    (got,) = run(lowered, "f", [a, u])
    np.testing.assert_allclose(got, recurrence(a, u, axis, reverse), rtol=1e-12, atol=1e-13)
    assert "linear_scan" not in lowered.function("f").counts()


def test_a_short_sequence_has_an_addition_for_each_step_and_no_blocks():
    lowered = lower(one_op("linear_scan", (t(2, 64), t(2, 64)), axis=1, reverse=False), "xla")
    counts = lowered.function("f").counts()
    assert (counts["add"], counts["mul"]) == (63, 63)
    assert "pad" not in counts


def test_the_recurrence_by_xla():
    rng = np.random.default_rng(5)
    a, u = (rng.normal(size=(2, 9, 3)).astype(np.float32) for _ in range(2))
    lowered = lower(one_op("linear_scan", (t(2, 9, 3), t(2, 9, 3)), axis=1, reverse=False), "xla")
    (got,) = by_xla(lowered, "f", [a, u])
    np.testing.assert_allclose(got, recurrence(a, u, 1, False), rtol=1e-4, atol=1e-5)


def test_costs_by_hand():
    (scan,) = one_op("linear_scan", (t(3, 4), t(3, 4)), axis=0, reverse=False).functions[0].ops
    (grad,) = one_op("take_grad", (t(6, dtype="i32"), t(6, 2)), rows=9).functions[0].ops
    (take,) = one_op("take", (t(9, 2), t(6, dtype="i32"))).functions[0].ops
    assert [OPS[op.kind].flops(op) for op in (scan, grad, take)] == [24, 12, 0]
