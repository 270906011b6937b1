"""The statement: sum of <dy, J dx> over outputs = sum of <gradient, dx> over inputs, at random points, exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from netc.codegen.ir import Function
from netc.proofs_oracle.certificate.degree import Degree
from netc.proofs_oracle.certificate.dual import CertifyError, DualField, FloatRunError
from netc.proofs_oracle.certificate.identities import Identities, sets_of_identities
from netc.proofs_oracle.certificate.numeric import blamed, gap, real_point
from netc.proofs_oracle.certificate.points import FloatPoint, Numbers, Points
from netc.proofs_oracle.certificate.reading import Number
from netc.proofs_oracle.certificate.residues import Residues, ZeroDivisorError, draw_primes
from netc.proofs_oracle.certificate.run import At, Claim, Run, Sides

LARGE = 1 << 24  # elements that one run makes
Verdict = Literal["holds", "false", "undecided"]


@dataclass(frozen=True)
class Settings:
    """How hard to look: primes at once, random points at least, and the seed that draws all.

    `primes` 0: four, or three where one run makes more than 2^24 elements, since time grows with both.
    """

    primes: int = 4
    points: int = 1
    seed: int = 0
    exact: bool = False

    def field(self, run: Run, rng: np.random.Generator) -> Residues:
        """The fields that a run is judged in."""
        return Residues(draw_primes(self.primes or (3 if run.work > LARGE else 4), rng))


@dataclass(frozen=True)
class Statement:
    """What was found of one function. `failure`: the log2 of the probability that a false claim passes.

    `blamed`: the gradients that are wrong, or that the doubt is about. `never`: of each gradient that has such, how
    many elements were 0 at all points. `why`: what the verdict hangs on where it is not "holds". `loss`: whether the
    loss is known; if not, the gradients are those of some function.
    """

    name: str
    verdict: Verdict
    gradients: tuple[str, ...]
    blamed: tuple[str, ...]
    primes: tuple[int, ...]
    points: int
    elements: int
    never: Mapping[str, int]
    degree: int
    failure: float
    identities: Identities
    functions: tuple[str, ...]
    readings: Mapping[float, Number]
    operations: int
    branches: int
    seconds: float
    meaning: tuple[str, ...] = ()
    why: str = ""
    loss: bool = True
    scaling: str = ""

    @property
    def holds(self) -> bool:
        """Whether no difference was found."""
        return self.verdict == "holds"

    @property
    def wrong(self) -> tuple[str, ...]:
        """The gradients that are not the derivatives: this is certain."""
        return self.blamed if self.verdict == "false" else ()


EMPTY = "the outputs hang on none of the arguments on this branch: the statement says nothing"
COMMON = "up to one factor for all gradients, which changes from point to point, as clipping by their norm makes it"
RATE, CLIPPING = "times a rate that changes with what the loss does not hang on", "clipped by their norm"
VARYING = (
    "the gradients are the derivative times a factor that changes from point to point, and not as a rate or clipping "
    "by their norm does: say what they are by `wrt` or `updates`"
)
ALONE = "without the loss nothing can be said where each gradient element hangs on its own argument's element alone"
PLANE = "without the loss nothing can be said of two numbers up to a factor: any two are some gradient times a factor"
ATTEMPTS = 5  # points at which a denominator is 0, or the float run is not finite, before giving up
CLOSE = 1e-4  # of the size: what a float32 approximation of a function, or of its slope, may be off by
ODD = (
    "exact arithmetic differs, float64 by {:.1g} of the size: as much as literals rounded to float32, or a function "
    "written out as its approximation, may make; literals that stand for no plain number: {}"
)
MISSING = "exact arithmetic differs, float64 does not: an identity between values of {} seems to be missing"
CHOICES = ("compare", "max", "min", "reduce_max", "reduce_min", "select")
FEW = 1 << 16  # elements that one run makes, below which all choices may go one way at a point by luck
CLIPPED = 8  # points at which the factor of clipped gradients is looked at
AT_LEAST = 4  # points of a function of so few elements that has choices: all relus on at one says little of relu


def judge(name: str, function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> Statement:
    """Check a claim at points until every gradient element was alive. Raises CertifyError.

    At each point the sets of true identities are tried in turn until the sides agree. Where they agree under none, the
    claim is false if float64 shows it, or if no identity can be missing; else it is undecided.
    """
    began = time.perf_counter()
    return replace(_Judge(function, claim, settings, point).statement(name), seconds=time.perf_counter() - began)


@dataclass(frozen=True)
class Finding:
    """What is said of a claim, of which gradients, and why."""

    verdict: Verdict
    blamed: tuple[int, ...] = ()
    why: str = ""


class _Judge:
    def __init__(self, function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> None:
        self.run, self.settings = Run(function, claim), settings
        self.rng = np.random.default_rng((settings.seed, len(function.ops)))
        self.field = settings.field(self.run, self.rng)
        self.points = Points(self.run, point, self.rng, settings.exact)
        self.tries = sets_of_identities({op.kind for op in self.run.ops})
        self.now = 0  # which of them suffices so far
        self.failure, self.degree, self.count, self.empty = -math.inf, 0, 0, True
        self.readings: dict[float, Number] = {}
        self.odd: set[float] = set()  # literals that stand for no plain number
        self.everything = range(len(claim.gradients))
        self.real: tuple[At, Sides] | None = None
        self.at: list[Numbers] = []  # the points so far
        self.common = False  # whether the gradients were a multiple of the derivative, not the one that was found

    def statement(self, name: str) -> Statement:
        """Of all points, or of the first at which the sides differ."""
        finding = Finding("holds")
        for numbers, at, sides in self._points():
            self.count += 1
            self.at.append(numbers)
            self.empty = self.empty and not any(sides.left)
            self.points.saw([g.res for g in at.read])
            self._note(at, sides)
            if not sides.agree:
                finding = self._finding(numbers, at)
                break
            self.failure = max(self.failure, failing(at.A, sides.degree))
            said_nothing = None if self.run.claim.outputs else self._nothing(at)
            if said_nothing:
                finding = Finding("undecided", tuple(self.everything), said_nothing)
                break
        if self.empty and finding.verdict == "holds":
            finding = Finding("undecided", (), EMPTY)
        scaling = ""
        if self.common and self.run.claim.outputs and finding.verdict == "holds":
            scaling = self._scaling()
            finding = finding if scaling else Finding("undecided", tuple(self.everything), VARYING)
        run, never = self.run, self.points.never or []
        return Statement(
            name, finding.verdict, run.names, tuple(run.names[i] for i in finding.blamed), self.field.primes,
            self.count, sum(v.size for v in never),
            {n: int(v.sum()) for n, v in zip(run.names, never, strict=False) if v.any()},
            self.degree, self._bound(),
            self.tries[self.now], run.functions, self.readings, len(run.ops),
            sum(op.kind in CHOICES for op in run.ops), 0.0,
            (COMMON,) if self.common else (), finding.why, bool(run.claim.outputs), scaling,
        )  # fmt: skip

    def _scaling(self) -> str:
        """What changes the factor of all gradients, in float64: RATE, CLIPPING, or the empty word for neither.

        What the loss does not hang on, such as the number of a step, is held. If the factor is then the same at each
        point, it is a rate. Clipping, min(1, most / |g|), makes it, or else the norm of all gradients, the largest.
        """
        used = {v for op in self.run.forward for v in op.operands}
        idle = {i for i, v in enumerate(self.run.function.params) if v not in used}
        scales = []
        for numbers in self.at[:CLIPPED]:
            held = [self.at[0][i] if i in idle else x for i, x in enumerate(numbers)]
            real = real_point(self.run, held, self.rng, self.settings.exact)
            if real is not None:
                at, sides = real
                norm = math.hypot(*(float(np.linalg.norm(g.res[0])) for g in at.read))
                scales.append((sides.right[0] / sides.left[0], norm))
        if len(scales) < 3:
            return ""
        most, longest = max((f for f, _ in scales), key=abs), max(n for _, n in scales)
        same = [math.isclose(f, most, rel_tol=CLOSE) for f, _ in scales]
        clipped = [f * most > 0 and math.isclose(n, longest, rel_tol=CLOSE) for f, n in scales]
        return RATE if all(same) else CLIPPING if all(map(any, zip(same, clipped, strict=True))) else ""

    def _nothing(self, at: At) -> str | None:
        """Why any gradients would have passed without the loss; None if they would not."""
        if self.common and self.run.size == 2:
            return PLANE
        return ALONE if at.alone() else None

    def _bound(self) -> float:
        """Each set of identities that was tried had its chance to pass wrongly; 0 where nothing has passed."""
        return min(0.0, self.failure + math.log2(len(self.tries))) if math.isfinite(self.failure) else 0.0

    def _points(self) -> Iterator[tuple[Numbers, At, Sides]]:
        lucky = self.run.work < FEW and any(op.kind in CHOICES for op in self.run.ops)
        done, wanted = 0, max(self.settings.points, AT_LEAST if lucky else 1)
        while done < max(wanted, AT_LEAST if self.common else 1):  # a factor that changes is looked at more often
            done += 1
            for attempt in range(ATTEMPTS):
                numbers = self.points.first(attempt)
                try:
                    found = self._agreeing(numbers)
                except FloatRunError:
                    if attempt == ATTEMPTS - 1:
                        raise
                    continue
                yield numbers, *found
                break
        for numbers in self.points.further():
            try:
                found = self._agreeing(numbers)
            except FloatRunError:
                continue
            yield numbers, *found

    def _agreeing(self, numbers: Numbers) -> tuple[At, Sides]:
        """Both sides under the first set of identities with which they agree, or else the last that was tried."""
        self.real, first = None, self.now
        for index in range(first, len(self.tries)):
            self.now = index
            at, sides = self._sides(numbers, self.tries[index])
            if not sides.agree and self.run.common:
                together = at.parallel()
                if together.agree and any(together.left):
                    self.common, sides = True, together
            if sides.agree:
                break
            if index == first and self._plainly_wrong(numbers):
                break
        return at, sides

    def _sides(self, numbers: Numbers, identities: Identities) -> tuple[At, Sides]:
        """Where no denominator is 0 in the fields."""
        for _ in range(ATTEMPTS):
            at = At(self.run, self.field, numbers, self.rng, identities, self.settings.exact)
            try:
                return at, at.sides()
            except ZeroDivisorError:
                continue
        raise CertifyError(f"wants a point without zero denominators, got none in {ATTEMPTS}; the program divides by 0")

    def _note(self, at: At, sides: Sides) -> None:
        self.degree = max(self.degree, at.A.reciprocals.cleared(sides.degree))
        for (value, _), number in at.A.readings.items():
            if number.root or number.pi or number.ln2 or number.fraction != Fraction(value):
                self.readings[value] = number
            elif not number.plain:
                self.odd.add(value)

    # -- where the sides differ ----------------------------------------------------------------------------------

    def _plainly_wrong(self, numbers: Numbers) -> bool:
        self.real = real_point(self.run, numbers, self.rng, self.settings.exact)
        return self.real is not None and self._gap(*self.real) > CLOSE

    def _gap(self, at: At, sides: Sides) -> float:
        """Of all gradients; of their directions where a common factor is none of the difference."""
        found = gap(at, sides, self.everything)
        if not found or not self.run.common:
            return found
        try:
            with np.errstate(all="ignore"):
                together = at.parallel()
        except (CertifyError, ZeroDivisorError):
            return found
        return min(found, gap(at, together, ()))

    def _finding(self, numbers: Numbers, at: At) -> Finding:
        """False where float64 shows it or no identity can be missing, else undecided."""
        if self.real is None:
            self.real = real_point(self.run, numbers, self.rng, self.settings.exact)
        shown: dict[int, float] = {}
        whole = self._gap(*self.real) if self.real is not None else 0.0
        if self.real is not None and (whole or not self.run.common):
            real = self.real[0]
            seen = blamed(real, lambda sides, some: gap(real, sides, some) > 0)
            shown = {i: gap(real, real.only([i]), [i]) if self.run.claim.outputs else 1.0 for i in seen}
            if not self.run.claim.outputs:
                shown = dict.fromkeys(seen, whole)
            if self.run.common:
                shown = {i: min(part, whole) for i, part in shown.items()}
        far = tuple(i for i, part in shown.items() if part > CLOSE)
        if not far and whole > CLOSE:
            far = tuple(shown)
        if far:
            return Finding("false", far, f"in float64 the sides differ by {max(shown.values()):.1g} of their size")
        exact = blamed(at, lambda sides, some: not sides.agree)
        if self.odd:
            listed = ", ".join(repr(v) for v in sorted(self.odd)[:4]) + (", .." if len(self.odd) > 4 else "")
            return Finding("undecided", exact, ODD.format(max(shown.values(), default=0.0), listed))
        if not self.run.functions:
            return Finding("false", exact, "exact arithmetic shows it, and there are rational operations only")
        if shown:
            part = max(shown.values())
            return Finding("false", tuple(shown), f"in float64 the sides differ by {part:.1g} of their size")
        return Finding("undecided", exact, MISSING.format(", ".join(self.run.functions)))


def failing(A: DualField, degree: Degree) -> float:
    """log2 of the bound at one point: Schwartz and Zippel for the identity, and operands that meet by chance.

    A false identity has a numerator of some degree D; it is 0 modulo all primes with probability at most the product of
    D / p. It may also vanish because two operands of one function, though different, meet: for that, one of the values
    in one of its monomials (at most as many as its degree before denominators are cleared) must meet one of all, each
    pair with the product of d / p, d the degree of an operand.
    """
    numerator = A.reciprocals.cleared(degree)
    identity = sum(math.log2(min(1.0, numerator / p)) for p in A.field.primes)
    if not A.instances:
        return identity
    meeting = sum(math.log2(min(1.0, max(A.operand_degree, 1) / p)) for p in A.field.primes)
    in_monomial = degree.total + sum(degree.powers.values())
    return min(0.0, float(np.logaddexp2(identity, meeting + math.log2(A.instances * max(in_monomial, 1)))))
