"""Values of a step: on a backend, by the evaluator, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import Function, Module, Value
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.cache.store import Cache
from netc.runtime.compare.noise import Blas, InTurn
from netc.runtime.compile import compile_cached
from netc.runtime.target import Target

FACTOR = 8.0  # floors; as traces/diff.py allows another compiler
SMALLEST = 2.0**-21  # no floor is below it: a few float32 numbers, what libraries of exp and tanh differ by
FEWEST = 8.0  # truth values or integers that may differ: elements that lie on an edge

# the float32 runs whose distance from float64 is a value's noise floor
SINGLES: tuple[tuple[ProfileName, type[FloatArithmetic]], ...] = (
    ("cpu", Blas),
    ("xla", Blas),
    ("cpu", InTurn),
)


def tapped(function: Function, values: Sequence[Value]) -> Function:
    """The function with those values as its only results."""
    return replace(function, results=tuple(values), result_names=tuple(f"tap{n}" for n in range(len(values))))


def observed(function: Function, target: Target, args: Sequence[Array], cache: Cache) -> list[Array]:
    """The results of a function on a target, which is lowered for it first."""
    module = lower(Module("bisect", (function,)), target.profile)
    source = Source(module, text_of(module, target.profile))
    if target.ahead:
        entry = compile_cached(source.text, target, f"bisect {len(function.results)} values", cache)
        source = replace(source, artefact=entry.path)
    loaded = load(source, target)
    results = loaded.call(function.name, [loaded.put(a) for a in args])
    return [loaded.get(r) for r in results]


def evaluated(function: Function, profile: ProfileName, args: Sequence[Array], A: FloatArithmetic) -> list[Array]:
    """The results of a function in the forms of a lowering profile, by the evaluator."""
    lowered = lower(Module("bisect", (function,)), profile).function(function.name)
    held = [np.asarray(x, A.dtype(p.type.dtype)) for x, p in zip(args, lowered.params, strict=True)]
    with np.errstate(all="ignore"):
        return [np.asarray(r) for r in evaluate(lowered, held, A)]


def distance(value: Array, truth: Array) -> float:
    """How far a value is from what is exact.

    For floats the larger of |v - t| / |t| in the L2 norm and in the largest element; for others how many elements
    differ. Infinite where one is no number and the other is one.
    """
    if truth.dtype.kind != "f":
        return float(np.count_nonzero(value != truth))
    v, t = np.asarray(value, np.float64), np.asarray(truth, np.float64)
    same = (v == t) | (np.isnan(v) & np.isnan(t))
    if same.all():
        return 0.0
    off, size = np.where(same, 0.0, v - t), np.where(same & ~np.isfinite(t), 0.0, t)
    if not (np.isfinite(off).all() and np.isfinite(size).all()):
        return float("inf")
    tiny = np.finfo(np.float32).tiny  # below it a float32 number has no more digits
    norms = (np.linalg.norm(off), np.linalg.norm(size)), (np.abs(off).max(), np.abs(size).max())
    return max(float(d / max(s, tiny)) for d, s in norms)


def within(error: float, floor: float, truth: Array) -> bool:
    """Whether an error is what `FACTOR` floors allow; a NaN is not."""
    smallest = SMALLEST if truth.dtype.kind == "f" else FEWEST / FACTOR
    return error <= FACTOR * max(floor, smallest)
