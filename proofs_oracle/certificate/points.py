"""The points at which a statement is judged: one at random, then others until every gradient element has been alive.

A gradient element that is 0 at a point, because its relu is off for the whole batch, say, says nothing there: a factor
in it would go unseen. So further points are looked for with float runs, which are cheap, and those at which the most of
such elements are not 0 are taken for the exact check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import FloatRunError
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.reals import Reals
from netc.proofs_oracle.certificate.residues import Array, ZeroDivisorError
from netc.proofs_oracle.certificate.run import At, Run

Numbers = Sequence[Array]

SMALL = 1 << 20  # elements that one run makes, below which a point more costs little
FURTHER = (24, 6)  # points at most beyond those that were asked for: of a small function, of a larger one
WORTH = 1 / 8  # of the elements not yet alive: a point of a larger function is taken for so many
ENOUGH = 0.9  # of them: no better point is looked for
ROUNDING = 1e-12  # of the largest element: a float below is no sign of life


SQUARES = ("v/", "rows/", "columns/")  # moments that are means of squares

# (name, type, generator) -> the numbers of an argument in the float run
FloatPoint = Callable[[str, TensorType, np.random.Generator], Array]
Change = Callable[[Array], Array]


def float_point(limit: int, bounds: Mapping[str, int] | None = None) -> FloatPoint:
    """Numbers of the usual size for a float run; integers below `limit`, or below what `bounds` says of an argument."""

    def draw(name: str, t: TensorType, rng: np.random.Generator) -> Array:
        if t.dtype == "i1":
            return rng.integers(0, 2, t.shape).astype(np.bool_)
        if t.dtype in INTEGER_DTYPES:
            return rng.integers(0, (bounds or {}).get(name, limit), t.shape)
        last = name.rsplit(".", 1)[-1]
        if last in ("scale", "gamma", "var") or t.rank == 0 or name.startswith(SQUARES):
            return rng.uniform(0.5, 1.5, t.shape)
        fan = math.prod(t.shape[:-1]) if t.rank > 1 and name not in ("x", "y", "dy") else 1
        return rng.standard_normal(t.shape) / math.sqrt(fan)

    return draw


def _as_drawn(x: Array) -> Array:
    return x


def _lifted(x: Array) -> Array:
    """Vectors, which are biases mostly, are positive, so that most relus are on."""
    return 1 + np.abs(x) if x.dtype.kind == "f" and x.ndim == 1 else x


def _on(x: Array) -> Array:
    """All is positive, so that every relu of a net without normalisation is on; matrices give means."""
    if x.dtype.kind != "f":
        return x
    return _lifted(x) if x.ndim < 2 else np.abs(x) / math.sqrt(math.prod(x.shape[:-1]))


def _positive(x: Array) -> Array:
    """So that logarithms and roots may be taken."""
    return 0.5 + np.abs(x) if x.dtype.kind == "f" else x


def _within(x: Array) -> Array:
    """Between 0 and 1, as probabilities are."""
    return 1 / (1 + np.exp(-x)) if x.dtype.kind == "f" else x


FIRST: tuple[Change, ...] = (_as_drawn, _as_drawn, _positive, _within)
"""What is done to a point's numbers, by how many points before it had no finite float run."""

LOOKS: tuple[Change, ...] = (_on, _as_drawn, _lifted, _as_drawn)
"""The float runs of which each further point is the best."""


def drawn(run: Run, point: FloatPoint, rng: np.random.Generator, change: Change = _as_drawn) -> list[Array]:
    """One number for each element of each argument."""
    f = run.function
    return [change(np.asarray(point(name, v.type, rng))) for name, v in zip(f.names, f.params, strict=True)]


def alive(run: Run, numbers: Numbers, rng: np.random.Generator, exact: bool) -> list[Array]:
    """For each gradient, which elements are not 0 in the float run. Raises FloatRunError."""
    at = At(run, Reals(1), numbers, rng, Identities(), exact, tangents=False)
    try:
        found = [np.abs(g.res[0]) for g in at.gradients()]
    except ZeroDivisorError as error:
        raise FloatRunError("wants no division by 0 in the float run") from error
    top = max((float(v.max(initial=0.0)) for v in found), default=0.0)
    if not np.isfinite(top):
        raise FloatRunError("wants finite gradients in the float run")
    return [v > ROUNDING * top for v in found]


class Points:
    """Draws points; is told what the exact check has seen alive."""

    def __init__(self, run: Run, point: FloatPoint, rng: np.random.Generator, exact: bool) -> None:
        self.run, self.point, self.rng, self.exact = run, point, rng, exact
        self.never: list[Array] | None = None

    def saw(self, values: Sequence[Array]) -> None:
        """The gradients at a point, as residues: elements that are 0 modulo all primes are 0."""
        zero = [(v == 0).all(axis=0) for v in values]
        self.never = zero if self.never is None else [a & b for a, b in zip(self.never, zero, strict=True)]

    def left(self) -> int:
        """How many elements have never been alive."""
        return sum(int(v.sum()) for v in self.never or ())

    def first(self, attempt: int) -> Numbers:
        """A point at random; from the third attempt on, one where more functions have values."""
        return drawn(self.run, self.point, self.rng, FIRST[min(attempt, len(FIRST) - 1)])

    def further(self) -> Iterator[Numbers]:
        """Points at which elements are alive that have never been, while there are such and the budget lasts."""
        small = self.run.work < SMALL
        for _ in range(FURTHER[0 if small else 1]):
            left = self.left()
            if not left:
                return
            found, numbers = self._best(left)
            if not found or (not small and found < WORTH * left):
                return
            yield numbers

    def _best(self, left: int) -> tuple[int, Numbers]:
        best: tuple[int, Numbers] = (0, ())
        for change in LOOKS:
            numbers = drawn(self.run, self.point, self.rng, change)
            try:
                seen = alive(self.run, numbers, self.rng, self.exact)
            except FloatRunError:
                continue
            new = sum(int((a & n).sum()) for a, n in zip(seen, self.never or (), strict=True))
            best = max(best, (new, numbers), key=lambda found: found[0])
            if best[0] > ENOUGH * left:
                break
        return best
