"""A look in float64 before an exact one: which candidates may be multiples of the derivative at all.

A run with tangents of its own for each argument, side by side, tells them apart, where exact numbers take a run for
each argument under each set of identities. What is not plausible is never asked; what is, is judged exactly as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.points import FloatPoint, Numbers, Points
from netc.proofs_oracle.certificate.reals import Reals
from netc.proofs_oracle.certificate.residues import Array, ZeroDivisorError
from netc.proofs_oracle.certificate.run import At, Run
from netc.proofs_oracle.certificate.statement import ATTEMPTS, CLOSE, LARGE, Settings

DIRECTIONS = 5  # of each argument: left = c right - d own has two unknowns


@dataclass(frozen=True)
class _Look:
    """At one point: the derivative along each argument's directions, and their products with all that is given.

    Where the arguments go together, the derivative is that along all of them, at None.
    """

    left: dict[int | None, Array]
    own: dict[int, Array]
    right: dict[int, Array]

    @property
    def finite(self) -> bool:
        return all(np.isfinite(v).all() for v in (*self.left.values(), *self.own.values(), *self.right.values()))


class Plausible:
    """What a claim's candidates look like at two points. Without a finite run, all is plausible."""

    def __init__(self, run: Run, point: FloatPoint, settings: Settings) -> None:
        self.run, self.exact = run, settings.exact
        self.rng = np.random.default_rng((settings.seed, 2))
        self.points = Points(run, point, self.rng, settings.exact)
        self.arguments = sorted({g.of for g in run.claim.gradients})
        self.at_once = max(1, LARGE // (DIRECTIONS * max(run.work, 1)))  # arguments that one run may hold

    def multiple(self, index: int) -> bool:
        """Whether a candidate may be its argument's gradient by one factor at both points; an update, less a decay."""
        g, looks = self.run.claim.gradients[index], self._apart
        if not looks:
            return True
        right, own, left = (
            np.concatenate(each)
            for each in zip(*((a.right[index], a.own[g.of], a.left[g.of]) for a in looks), strict=True)
        )
        return _spans([right, own] if g.less is not None else [right], left)

    def alike(self, indices: Sequence[int]) -> bool:
        """Whether these candidates may be their arguments' gradients by one factor, another at each point."""
        of = [self.run.claim.gradients[index].of for index in indices]
        if self.at_once < len(self.arguments) == len(of):
            together = ((look.right, look.left[None]) for look in self._together)
            return all(_spans([np.sum([right[k] for k in indices], axis=0)], left) for right, left in together)
        apart = ((look.right, np.concatenate([look.left[i] for i in of])) for look in self._apart)
        return all(_spans([np.concatenate([right[k] for k in indices])], left) for right, left in apart)

    @cached_property
    def _apart(self) -> list[_Look]:
        starts = range(0, len(self.arguments), self.at_once)
        return self._looks([self.arguments[start : start + self.at_once] for start in starts], apart=True)

    @cached_property
    def _together(self) -> list[_Look]:
        return self._looks([self.arguments], apart=False)

    def _looks(self, parts: Sequence[Sequence[int]], apart: bool) -> list[_Look]:
        looks = [self._look(parts, apart) for _ in range(2)]
        return [look for look in looks if look is not None] if all(looks) else []

    def _look(self, parts: Sequence[Sequence[int]], apart: bool) -> _Look | None:
        for attempt in range(ATTEMPTS):
            look, numbers = _Look({}, {}, {}), self.points.first(attempt)
            try:
                with np.errstate(all="ignore"):
                    for part in parts:
                        self._along(part, numbers, look, apart)
            except (CertifyError, ZeroDivisorError):
                continue
            if look.finite:
                return look
        return None

    def _along(self, part: Sequence[int], numbers: Numbers, look: _Look, apart: bool) -> None:
        """Row by row a direction of one of these arguments, or of all of them."""
        count = DIRECTIONS * (len(part) if apart else 1)
        rows = {i: slice(n * DIRECTIONS, (n + 1) * DIRECTIONS) if apart else slice(None) for n, i in enumerate(part)}
        at = At(self.run, Reals(count), numbers, self.rng, Identities(), self.exact)
        for i, tangent in at.tangents.items():
            at.tangents[i] = np.zeros_like(tangent)
            if i in rows:
                at.tangents[i][rows[i]] = self.rng.standard_normal((DIRECTIONS, *tangent.shape[1:]))
        left = np.array(at.sides().left, np.float64)
        look.left.update({i: left[own] for i, own in rows.items()} if apart else {None: left})
        for i, own in rows.items():
            look.own[i] = _products(at.args[i].res[own], at.tangents[i][own])
        for index, (g, value) in enumerate(zip(self.run.claim.gradients, at.read, strict=True)):
            if g.of in rows:
                look.right[index] = _products(value.res[rows[g.of]], at.tangents[g.of][rows[g.of]])


def _products(x: Array, y: Array) -> Array:
    return np.asarray((x * y).reshape(len(y), -1).sum(axis=1), np.float64)


def _spans(vectors: Sequence[Array], wanted: Array) -> bool:
    """Whether some sum of multiples of `vectors` is `wanted`, but for what a float32 approximation may be off by."""
    basis = np.stack(vectors, axis=1)
    basis = basis / np.maximum(np.linalg.norm(basis, axis=0), np.finfo(np.float64).tiny)
    factors = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    return bool(np.linalg.norm(wanted - basis @ factors) <= CLOSE * np.linalg.norm(wanted))
