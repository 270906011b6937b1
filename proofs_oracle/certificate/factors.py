"""The factor that gradients miss where only a multiple of each is returned: each gradient's own, then agreement.

<J dx> = c <result, dx> gives c modulo every prime; it is read as the fraction of least size that fits. Where an update
has a weight decay, <J dx> = c <result, dx> - d <argument, dx>, and two points give c and d.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Function
from netc.proofs_oracle.certificate.dual import FloatRunError
from netc.proofs_oracle.certificate.identities import Identities, sets_of_identities
from netc.proofs_oracle.certificate.points import FloatPoint, Points
from netc.proofs_oracle.certificate.residues import ZeroDivisorError
from netc.proofs_oracle.certificate.run import At, Claim, Gradient, Run, Sides
from netc.proofs_oracle.certificate.statement import ATTEMPTS, Settings

DOUBT = 20  # bits of the primes' product that a fraction leaves free: it is found by chance once in 2^DOUBT
LARGEST = 1 << 30  # numerator and denominator of a factor
ASKED = 16  # gradients at most whose own factor is looked for


Point = tuple[At, list[int], list[int]]  # with both sides there


@dataclass(frozen=True)
class Factor:
    """gradient = `factor` result - `decay` argument."""

    factor: Fraction
    decay: Fraction = Fraction(0)

    def of(self, g: Gradient) -> Gradient:
        """The gradient with it."""
        return replace(g, factor=g.factor * self.factor, decay=g.decay + self.decay)

    @property
    def height(self) -> int:
        """How long it is to write down."""
        return sum(abs(f.numerator) + f.denominator for f in (self.factor, self.decay))


def scaled(function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> Claim:
    """The claim with the factor that most of its free gradients miss, found at points of its own and judged at others.

    A gradient that misses another is wrong beside those. Updates may miss the rate as well, where that is an argument.
    The claim as it is if no factor is found.
    """
    if not claim.outputs or not any(g.free for g in claim.gradients):
        return claim  # without a loss a common factor changes nothing
    for each in (claim, *_by_a_rate(function, claim)):
        best = _best(function, each, settings, point)
        if best:
            own = iter(best)
            return replace(each, gradients=tuple(next(own).of(g) if g.free else g for g in each.gradients))
    return claim


def _by_a_rate(function: Function, claim: Claim) -> Iterator[Claim]:
    """The claim with its updates over an argument that is one number and that only they hang on."""
    run = Run(function, claim)
    forward, backward = ({v for op in ops for v in op.operands} for ops in (run.forward, run.backward))
    for i, v in enumerate(function.params):
        if not v.shape and v.type.dtype not in INTEGER_DTYPES and v in backward - forward:
            ways = (replace(g, over=i) if g.free and g.less == g.of and g.over is None else g for g in claim.gradients)
            changed = replace(claim, gradients=tuple(ways))
            if changed != claim:
                yield changed


def _best(function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> list[Factor]:
    """For each free gradient the factor that most of them miss, less a decay of its own; empty if there is none.

    A decay is often one of the kernels alone, so where one was not asked it is that of those of its rank.
    """
    free = tuple(g for g in claim.gradients if g.free)
    asker = Asker(function, replace(claim, gradients=free), settings, point)
    own: dict[int, Factor] = {}
    for found in asker.answers():
        own |= found
        if own and Counter(own.values()).most_common(1)[0][1] >= min(3, len(free)):
            break
    votes = Counter(f.factor for f in own.values())
    if not own:
        return []
    chosen = min((f for f in own.values() if votes[f.factor] == max(votes.values())), key=lambda f: f.height)
    right = {i: f for i, f in own.items() if f.factor == chosen.factor}

    def of(i: int) -> Factor:
        alike = [f for k, f in right.items() if asker.is_vector(k) == asker.is_vector(i)] or list(right.values())
        return right[i] if i in right else Counter(alike).most_common(1)[0][0]

    return [of(i) for i in range(len(free))]


class Asker:
    """Asks a claim at two points for what its gradients are multiples of."""

    def __init__(self, function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> None:
        self.run, self.settings = Run(function, claim), settings
        self.rng = np.random.default_rng((settings.seed, 1))
        self.field = settings.field(self.run, self.rng)
        self.points = Points(self.run, point, self.rng, settings.exact)
        self.tries = sets_of_identities({op.kind for op in self.run.ops})

    def is_vector(self, i: int) -> bool:
        """Whether a gradient has one axis or none, as those of biases and scales."""
        return len(self.run.function.params[self.run.claim.gradients[i].of].shape) < 2

    def answers(self) -> Iterator[dict[int, Factor]]:
        """One factor for all, where there is one; else each gradient's own, as far as it has one."""
        count = len(self.run.claim.gradients)
        everything = list(range(count))
        updates = all(g.less == g.of for g in self.run.claim.gradients)
        for identities in self.tries:
            at, sides = self.somewhere(identities)
            found = self.constant(sides.left, sides.right)
            if not found and updates:
                points = [(at, sides.left, sides.right) for at, sides in ((at, sides), self.somewhere(identities))]
                found = self.factor(points, everything, updates)
            if found:
                yield dict.fromkeys(everything, found)
                return
        small = sorted(everything, key=lambda i: self.run.function.params[self.run.claim.gradients[i].of].type.size)
        vectors, others = ([i for i in small if self.is_vector(i) == way] for way in (True, False))
        order = [i for pair in zip_longest(vectors, others) for i in pair if i is not None]
        for identities in self.tries if count > 1 else ():
            pair = [at for at, _ in self.pair(identities)]
            for i in order[:ASKED]:
                alone = [at.only([i]) for at in pair]
                points = [(at, s.left, s.right) for at, s in zip(pair, alone, strict=True)]
                found = self.factor(points, [i], updates)
                yield {i: found} if found else {}

    def pair(self, identities: Identities) -> list[tuple[At, Sides]]:
        """Two points."""
        return [self.somewhere(identities) for _ in range(2)]

    def somewhere(self, identities: Identities) -> tuple[At, Sides]:
        """A point at which the run is finite and no denominator is 0."""
        for attempt in range(ATTEMPTS):
            numbers = self.points.first(attempt)
            try:
                at = At(self.run, self.field, numbers, self.rng, identities, self.settings.exact)
                return at, at.sides()
            except (FloatRunError, ZeroDivisorError):
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def constant(self, left: Sequence[int], right: Sequence[int]) -> Factor | None:
        """left = factor right, if that is a fraction."""
        if not all(right) or not any(left):
            return None
        primes = self.field.primes
        plain = rational([a * pow(b, -1, p) % p for a, b, p in zip(left, right, primes, strict=True)], primes)
        return Factor(plain) if plain else None

    def factor(self, points: Sequence[Point], some: Sequence[int], update: bool) -> Factor | None:
        """That with which the sides of some gradients agree at both points, a fraction; an update may decay."""
        (_, left1, right1), (_, left2, right2) = points
        one, two = self.constant(left1, right1), self.constant(left2, right2)
        if one and one == two:
            return one
        return self._with_decay(points, some) if update else None

    def _with_decay(self, points: Sequence[Point], some: Sequence[int]) -> Factor | None:
        """left = c right - d own at two points, for an update that descends and shrinks its argument.

        new = argument - rate (gradient + decay argument) has c = -1 / rate and 0 < d < -c. Other numbers are no weight
        decay: a gradient that lacks a term of its argument would pass by them.
        """
        (l1, r1, o1), (l2, r2, o2) = [(left, right, self._own(at, some)) for at, left, right in points]
        factors, decays = [], []
        for r, p in enumerate(self.field.primes):
            determinant = (r2[r] * o1[r] - r1[r] * o2[r]) % p
            if not determinant:
                return None
            inverse = pow(determinant, -1, p)
            factors.append((l2[r] * o1[r] - l1[r] * o2[r]) * inverse % p)
            decays.append((l2[r] * r1[r] - l1[r] * r2[r]) * inverse % p)
        c, d = rational(factors, self.field.primes), rational(decays, self.field.primes)
        return Factor(c, d) if c and d and 0 < d < -c else None

    def _own(self, at: At, some: Sequence[int]) -> list[int]:
        total = [0] * len(self.field.primes)
        for i in some:
            of = self.run.claim.gradients[i].of
            total = self.field.plus(total, self.field.inner(at.args[of].res, at.tangents[of]))
        return total


def rational(residues: Sequence[int], primes: Sequence[int]) -> Fraction | None:
    """The fraction with those residues whose numerator and denominator are at most LARGEST, or None.

    Wang 1981: the extended Euclidean algorithm, stopped midway. There is one at most if 2 LARGEST² is below the product
    of the primes.
    """
    modulus = math.prod(primes)
    value = sum(r * (modulus // p) * pow(modulus // p, -1, p) for r, p in zip(residues, primes, strict=True)) % modulus
    bound = min(LARGEST, math.isqrt(modulus >> DOUBT))
    r0, r1, t0, t1 = modulus, value, 0, 1
    while r1 > bound:
        q = r0 // r1
        r0, r1, t0, t1 = r1, r0 - q * r1, t1, t0 - q * t1
    return Fraction(r1, t1) if r1 and t1 and abs(t1) <= bound else None
