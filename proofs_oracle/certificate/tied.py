"""exp and logistic of one operand where they are tied: e = exp(-|x|) and u = 1/(1 + e), of which one is the variable.

e is a random element that |x| decides, so u is one too: e -> 1/(1 + e) takes the field without -1 one to one to the
field without 0. A numerator of degree D in u therefore has no more zeros than one of degree D in e may have, and where
nothing but the logistic is taken of an operand, counting in u leaves no denominator. Where exp was taken of it before,
e is the variable and u a reciprocal; where exp is taken of it later, u stays the variable and e = 1/u - 1. Each element
keeps the variable that its first use gave it, whatever tensor it stands in.

The residues do not depend on this choice: it decides how degrees are counted, and nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netc.proofs_oracle.certificate.degree import VARIABLE
from netc.proofs_oracle.certificate.dual import Dual, DualField
from netc.proofs_oracle.certificate.residues import bare

Keys = NDArray[np.int64]
NO_KEYS: Keys = np.zeros(0, np.int64)


class Variables:
    """Which elements are counted in e and which in u, each known by its e: what has another e is another element.

    Two elements may share a key by chance. They are then counted as one, which only makes a bound larger.
    """

    def __init__(self) -> None:
        self.in_e, self.in_u = NO_KEYS, NO_KEYS

    def take(self, keys: Keys, first: bool) -> NDArray[np.bool_]:
        """Which of the keys are counted in e. Those that are not known yet are from here on, if `first`, else in u."""
        in_e, in_u = _among(keys, self.in_e), _among(keys, self.in_u)
        new = keys[~in_e & ~in_u]
        if first:
            self.in_e = np.sort(np.concatenate([self.in_e, new]))
        else:
            self.in_u = np.sort(np.concatenate([self.in_u, new]))
        return ~in_u if first else in_e


def _among(keys: Keys, known: Keys) -> NDArray[np.bool_]:
    """Which keys are among the known ones, which are sorted."""
    if not known.size:
        return np.zeros(keys.shape, np.bool_)
    at = np.minimum(np.searchsorted(known, keys), known.size - 1)
    return np.asarray(known[at] == keys)


def _keys(e: Dual) -> Keys:
    """One number for each element: its residues modulo the first two primes."""
    rows = bare(e.res)[:2].reshape(min(2, len(e.res)), -1).astype(np.int64)
    return np.asarray(rows[0] if len(rows) == 1 else rows[0] * (1 << 26) + rows[1], np.int64)


def _named(A: DualField, x: Dual) -> tuple[Dual, Keys]:
    """e as a variable, and its elements' keys; |x| by the sign in the float run."""
    down = A.select(x.real <= 0, x, A.neg(x))
    e = A.unknown("exp", down)
    e = Dual(np.broadcast_to(np.float64(1.0), x.real.shape), e.res, None, e.deg)
    return e, _keys(e)


def falling(A: DualField, x: Dual) -> Dual:
    """exp(-|x|)."""
    e, keys = _named(A, x)
    in_e = _variables(A).take(keys, first=True)
    if in_e.all():
        return e
    family = hashlib.sha256(b"u" + np.ascontiguousarray(bare(e.res)).tobytes()).digest()[:12]
    inverse = A.reciprocals.of(family, keys.size, VARIABLE)  # e = 1/u - 1
    return replace(e, deg=e.deg | inverse if in_e.any() else inverse)


def rising(A: DualField, x: Dual) -> Dual:
    """logistic(|x|) = 1 / (1 + exp(-|x|))."""
    e, keys = _named(A, x)
    in_e = _variables(A).take(keys, first=False)
    one = A.number(1, e)
    whole = A.add(one, e)
    if not in_e.any():
        return replace(e, res=A.field.inverse(whole.res), deg=VARIABLE)
    u: Dual = A.div(one, whole)
    return u if in_e.all() else replace(u, deg=u.deg | VARIABLE)


def _variables(A: DualField) -> Variables:
    found: Any = A.tied
    if found is None:
        found = A.tied = Variables()
    kept: Variables = found
    return kept
