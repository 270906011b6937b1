"""Triangular systems, read in every way: the op's meaning and its form in blocks, by NumPy's solver."""

from itertools import product

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.ops import OPS
from netc.codegen.rewrite import solve_forms
from netc.codegen.rewrite.lower import lower
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, one_op

WAYS = list(product((True, False), repeat=4))


def attrs_of(way):
    return dict(zip(("left_side", "lower", "unit_diagonal", "transpose_a"), way, strict=True))


def system(way, lead, n, r):
    """A module, a with numbers in both triangles, b, and the solution."""
    left, low, unit, turned = way
    rng = np.random.default_rng(n)
    a = rng.normal(size=(*lead, n, n)) / np.sqrt(max(n, 1)) + 3 * np.eye(n)
    b = rng.normal(size=(*lead, n, r) if left else (*lead, r, n))
    t = np.tril(a) if low else np.triu(a)
    t = t * (1 - np.eye(n)) + np.eye(n) if unit else t
    t = np.swapaxes(t, -1, -2) if turned else t
    x = np.linalg.solve(t, b) if left else b @ np.linalg.inv(t)
    types = (TensorType(a.shape), TensorType(b.shape))
    return one_op("triangular_solve", types, **attrs_of(way)), [a, b], x


@pytest.mark.parametrize(("lead", "n", "r"), [((), 1, 3), ((2,), 3, 2), ((), 37, 2), ((2, 1), 13, 1), ((), 3, 0)])
def test_the_form_is_the_op(lead, n, r, monkeypatch):
    if n == 13:  # more blocks than there may be: they have more rows
        monkeypatch.setattr(solve_forms, "ROWS", 2)
        monkeypatch.setattr(solve_forms, "TURNS", 4)
    for way in WAYS:
        module, args, x = system(way, lead, n, r)
        lowered = lower(module, "cpu")
        assert "triangular_solve" not in lowered.function("f").counts()
        for made in (module, lowered):
            np.testing.assert_allclose(by_evaluator(made, args)[0], x, rtol=1e-9, atol=1e-10, err_msg=str(way))


def test_what_is_not_of_the_triangle_is_not_read():
    for way in WAYS:
        module, (a, b), x = system(way, (), 5, 2)
        other = np.triu(np.ones((5, 5)), 1) if way[1] else np.tril(np.ones((5, 5)), -1)
        a[(other + way[2] * np.eye(5)) > 0] = np.nan
        for made in (module, lower(module, "cpu")):
            np.testing.assert_allclose(run(made, "f", [a, b])[0], x, rtol=1e-10, atol=1e-12, err_msg=str(way))


def test_the_form_stays_short():
    for n in (1024, 100_000):
        types = (TensorType((n, n)), TensorType((n, 1)))
        assert len(lower(one_op("triangular_solve", types, **attrs_of(WAYS[0])), "gpu").function("f").ops) < 700


def test_near_a_singular_matrix_the_form_leaves_as_little_as_substitution():
    """|T x - b| / (|T| |x|) is an ulp of float32; without the correction of each block it is 30 times this."""
    at = np.arange(100)
    kernel = np.exp(-((at[:, None] - at) ** 2) / 50) + 1e-4 * np.eye(100)
    t, b = np.linalg.cholesky(kernel).astype(np.float32), np.ones((100, 2), np.float32)
    module = one_op(
        "triangular_solve", (TensorType(t.shape), TensorType(b.shape)), **attrs_of((True, True, False, False))
    )
    (x,) = run(lower(module, "cpu"), "f", [t, b], "f32")
    assert np.abs(t.astype(np.float64) @ x - b).max() < 2**-23 * np.abs(t).max() * np.abs(x).max()


def test_the_cost_by_hand():
    module, _, _ = system(WAYS[0], (), 4, 3)
    (op,) = module.functions[0].ops
    assert OPS[op.kind].flops(op) == 4 * 4 * 3
