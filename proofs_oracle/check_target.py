"""Checks a backend: the compiled float32 program of a case against the same IR in float64.

The tolerance is measured, not guessed: the error that NumPy's float32 makes on the same program and numbers. A
compiler may sum in another order and fuse multiplications with additions, which gives errors of that size; a wrong
program gives errors of size 1.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from netc.codegen import evaluator
from netc.codegen.modules import layer_module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.errors import UserError
from netc.proofs_oracle.compare import Comparison, compare
from netc.proofs_oracle.draws import FloatArray, draw_case, generator
from netc.proofs_oracle.oracle import select
from netc.proofs_oracle.reference import Case, Reference
from netc.proofs_oracle.references import REFERENCES
from netc.proofs_oracle.result import Result
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import CompileError, compile_cached
from netc.runtime.session import DTYPES
from netc.runtime.target import Target

TIMES_NOISE = 64.0  # in a tensor of a few elements the errors of two orders of summation may differ by as much
LEAST = 1e-5  # a hundred roundings of float32: exp and tanh of compilers are polynomials


def run_on(target: Target, pattern: str | None, cache: Cache, *, seed: int = 0) -> Iterator[Result]:
    """The results of every layer's cases, or of those that `pattern` chooses; what the compiler refuses fails.

    Raises UserError if `pattern` chooses no case of a layer, or the target's device is not here.
    """
    check_device(target)
    wanted = {check.label for check in select(pattern)}
    chosen = [(r, c) for r in REFERENCES.values() for c in r.cases if f"{r.kind}/{c.name}" in wanted]
    if not chosen:
        raise UserError(f"`target` checks layers only, got {pattern!r}; name a kind of layer")
    for reference, case in chosen:
        began = time.perf_counter()
        try:
            yield run_target_case(reference, case, target, cache, seed=seed)
        except CompileError as error:
            refused = f"{target.word} refuses it: {str(error).splitlines()[0]}"
            seconds = time.perf_counter() - began
            yield Result(reference.kind, case.name, 0, math.inf, None, "", False, seconds, problem=refused)


def run_target_case(reference: Reference, case: Case, target: Target, cache: Cache, *, seed: int = 0) -> Result:
    """Judge y, dx, every dparam and new state of one case on `target`, in float32 against float64.

    The result's `jax_error` is the worst error relative to the tensor's size. Raises CompileError where the target's
    compiler refuses the case.
    """
    began = time.perf_counter()
    label = f"{reference.kind}/{case.name}"
    drawn = draw_case(generator(seed, label), case)
    module = layer_module(case.layer, case.x, case.batch, training=case.training)
    function = module.function("vjp")
    args = [*drawn.params.values(), *drawn.state.values(), drawn.x, drawn.dy]
    held = [np.asarray(a, DTYPES.get(p.type.dtype)) for a, p in zip(args, function.params, strict=True)]
    exact = evaluator.run(module, "vjp", held, "f64")  # of the rounded numbers, which both are given
    noise = evaluator.run(module, "vjp", held, "f32")
    lowered = lower(module, target.profile)
    text = text_of(lowered, target.profile)
    artefact = compile_cached(text, target, label, cache).path if target.ahead else None
    loaded = load(Source(lowered, text, artefact), target)
    ours = [loaded.get(r) for r in loaded.call("vjp", [loaded.put(a) for a in held])]
    return _result(reference.kind, case, function.result_names, exact, noise, ours, time.perf_counter() - began)


def _result(
    kind: str, case: Case, names: Sequence[str], exact: list[FloatArray], noise: list[FloatArray],
    ours: list[FloatArray], seconds: float,
) -> Result:  # fmt: skip
    found = []
    for name, truth, rounded, got in zip(names, exact, noise, ours, strict=True):
        limit = max(LEAST, TIMES_NOISE * compare(name, rounded, truth).error)
        found.append((compare(name, got, truth), limit))
    worst, limit = max(found, key=lambda pair: pair[0].error / pair[1])
    return Result(
        kind, case.name, len(found), max(c.error for c, _ in found), None, worst.tensor,
        passed=worst.error <= limit, seconds=seconds, skip_reason="float32: no differences",
        problem=worst.problem or ("" if worst.error <= limit else _excess(worst, limit)),
    )  # fmt: skip


def _excess(worst: Comparison, limit: float) -> str:
    return f"{worst.tensor} is off by a relative error of {worst.error:.1e}, where float32 may be by {limit:.1e}"
