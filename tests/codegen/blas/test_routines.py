"""BLAS: each routine against SciPy's with every letter, its pullback against JAX's and against differences."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from netc.codegen.blas import ROUTINES
from netc.codegen.blas.program import blas_module
from netc.codegen.blas.table import OPTIONS
from netc.codegen.evaluator import run
from netc.codegen.render import render
from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.certify import certify_text
from netc.proofs_oracle.certificate.routines import certify_routine, claim_of_routine
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.witness import compiled
from tests.codegen.blas.cases import DIFFERENTIABLE, JAX, by_scipy, letters_of, module, operands, sizes_of


@pytest.mark.parametrize("name", ROUTINES)
def test_it_computes_what_scipys_blas_does(name):
    routine = ROUTINES[name]
    for letters in letters_of(routine):
        for dtype, kind, tolerance in (("f64", np.float64, 1e-13), ("f32", np.float32, 2e-6)):
            args = operands(routine, letters, kind)
            ours = run(module(routine, letters, dtype), name, args, dtype)
            theirs = by_scipy(routine, letters, args)
            for got, wanted in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=10 * tolerance, err_msg=str(letters))


def gradients(name, letters):
    """(operands, cotangents) -> the gradients, by JAX."""
    return compiled(lambda args, g: jax.vjp(lambda *given: JAX[name](*given, **letters), *args)[1](g))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_its_pullback_is_the_derivative(name):
    """With every letter along one direction by a central difference; with the first and the last by jax.vjp."""
    routine = ROUTINES[name]
    every = letters_of(routine)
    rng = np.random.default_rng(1)
    for letters in every:
        args, made = operands(routine, letters), module(routine, letters, pullback=True)
        results = len(routine.results)
        shapes = [v.shape for v in made.function(name).results]
        cotangents = [np.asarray(rng.normal(size=s)) for s in shapes]
        found = run(made, f"{name}_vjp", [*args, *cotangents])
        along = [np.asarray(rng.normal(size=a.shape)) for a in args]

        def at(h, args=args, along=along, made=made, cotangents=cotangents):
            values = run(made, name, [a + h * d for a, d in zip(args, along, strict=True)])
            return sum(np.sum(g * v) for g, v in zip(cotangents, values, strict=True))

        slope = (at(1e-6) - at(-1e-6)) / 2e-6  # its error is some 1e-9 here
        ours = sum(np.sum(g * d) for g, d in zip(found[results:], along, strict=True))
        assert ours == pytest.approx(slope, rel=1e-6, abs=1e-7), letters
        if letters in (every[0], every[-1]):
            theirs = gradients(name, letters)(args, tuple(cotangents) if results > 1 else cotangents[0])
            for got, wanted, operand in zip(found[results:], theirs, routine.operands, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-12, err_msg=f"{operand.name} {letters}")


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_its_pullback_is_certified(name):
    routine = ROUTINES[name]
    letters = letters_of(routine)[-1]
    assert certify_routine(routine, sizes_of(routine), letters, "f32", Settings(3)).holds


def test_a_wrong_pullback_is_not_certified():
    right = ROUTINES["trsm"]

    def wrong(b, *args, **letters):
        made = right.emit(b, *args, **letters)

        def pull(g):
            dalpha, da, db = made.pull(g)
            return dalpha, b.unary("neg", da), db

        return replace(made, pull=pull)

    letters = letters_of(right)[0]
    found = certify_routine(replace(right, emit=wrong), sizes_of(right), letters, "f32", Settings(3))
    assert found.false and found.statements[0].wrong == ("a",)


@pytest.mark.parametrize("attribute", ["left_side", "lower", "unit_diagonal", "transpose_a"])
def test_a_solve_that_a_text_has_otherwise_is_not_certified(attribute):
    """The system that the pullback solves, in StableHLO, with one attribute changed."""
    routine = ROUTINES["trsm"]
    made = blas_module(routine, {"m": 3, "n": 3}, {}, "f64", pullback=True)
    start, mark, end = render(made).rpartition(f"{attribute} = ")
    words = (
        ("true", "false"),
        ("false", "true"),
        ("#stablehlo<transpose TRANSPOSE>", "#stablehlo<transpose NO_TRANSPOSE>"),
    )
    was, becomes = next(pair for pair in words if end.startswith(pair[0]))
    changed = f"{start}{mark}{becomes}{end.removeprefix(was)}"
    assert certify_text(changed, "trsm_vjp", claim_of_routine(routine), Settings(3), 2).false


def test_no_size_is_0():
    with pytest.raises(UserError, match="iamax wants `n` of 1 or more, got 0"):
        blas_module(ROUTINES["iamax"], {"n": 0}, {})


def test_sizes_at_the_edges():
    """One element; a largest element that is first twice, of a NaN; squares that would overflow; a zero vector."""
    for routine in ROUTINES.values():
        letters = {option: next(iter(OPTIONS[option])) for option in routine.options}
        one = [np.full(o.shape(dict.fromkeys("mnk", 1), letters), 2.0) for o in routine.operands]
        made = blas_module(routine, dict.fromkeys(routine.sizes, 1), letters, "f64")
        for got, wanted in zip(run(made, routine.name, one), by_scipy(routine, letters, one), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-15)
    places = ((1.0, -3.0, 3.0, 0.0, 0.0), 1), ((0.0,) * 5, 0), ((5.0, math.nan, 9.0, math.nan, 0.0), 1)
    for x, index in places:
        assert run(module(ROUTINES["iamax"], {}), "iamax", [np.array(x)])[0] == index
    large = np.full(5, 1e300)
    made = module(ROUTINES["nrm2"], {}, pullback=True)
    assert run(made, "nrm2", [large])[0] == pytest.approx(1e300 * math.sqrt(5), rel=1e-15)
    assert run(made, "nrm2", [np.array([1.0, -math.inf, 0, 0, 0])])[0] == math.inf
    norm, slope = run(made, "nrm2_vjp", [np.zeros(5), np.array(1.0)])
    assert norm == 0 and not slope.any()
