"""Both sides in float64: whether they differ by more than rounding, and by what part of their size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.points import Numbers
from netc.proofs_oracle.certificate.reals import Reals
from netc.proofs_oracle.certificate.residues import ZeroDivisorError
from netc.proofs_oracle.certificate.run import At, Run, Sides, fewest, search

COPIES = 4  # of the run, each rounded at random in its own way
BEYOND = 32  # times the distance of the copies is more than rounding
FLOOR = 2.0**-44  # of the size, where the copies happen to agree


def real_point(run: Run, numbers: Numbers, rng: np.random.Generator, exact: bool) -> tuple[At, Sides] | None:
    """Both sides in float64 at a point, or None where they are not finite."""
    try:
        with np.errstate(all="ignore"):
            at = At(run, Reals(COPIES, rng), numbers, rng, Identities(), exact)
            sides = at.sides()
    except (CertifyError, ZeroDivisorError):
        return None
    return (at, sides) if np.isfinite([*sides.left, *sides.right]).all() else None


def gap(at: At, sides: Sides, some: Sequence[int]) -> float:
    """By what part of their size the sides of some gradients differ; 0 where rounding may be all of it."""
    off = np.subtract(sides.left, sides.right)
    size = max(np.abs(sides.left).max(), np.abs(sides.right).max(), _size(at, some))
    least, spread = float(np.abs(off).min()), float(np.ptp(off))
    return least / size if least > max(BEYOND * spread, FLOOR * size) else 0.0


def _size(at: At, some: Sequence[int]) -> float:
    """The length of all products of gradient and tangent: their sum may be small by chance."""
    if not at.claim.outputs:
        return 0.0
    products = (at.read[i].res[0] * at.tangents[at.claim.gradients[i].of][0] for i in some)
    return math.hypot(*(float(np.linalg.norm(p)) for p in products))


def blamed(at: At, differ: Callable[[Sides, Sequence[int]], bool]) -> tuple[int, ...]:
    """The gradients for which the sides differ, each by a tangent of its own."""
    everything = range(len(at.claim.gradients))
    if at.claim.outputs:
        return tuple(search(everything, lambda some: differ(at.only(some), some)))
    return tuple(sorted(fewest([pair for pair, sides in at.pairs().items() if differ(sides, pair)])))
