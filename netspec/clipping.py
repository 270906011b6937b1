"""Clipping: what bounds the gradients between the backward pass and the update."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER
from netc.netspec.vocabulary import option

LEAST_SHARE = 1e-30  # below it the bound of a unit of the least norm, 1e-3, is no number of float32 that is divided by


@dataclass(frozen=True)
class Clipping:
    """At most one bound on the gradients of a step; 0 is none.

    `clip_norm` c: all gradients are scaled by c / max(n, c), where n is the norm of all of them together (Pascanu et
    al. 2013, as optax.clip_by_global_norm; torch adds 1e-6 to n). `clip_value` c: each number is brought into [-c, c].
    `agc` c: the gradient g of each unit w is scaled so that |g| <= c max(|w|, 1e-3) (adaptive clipping, Brock et al.
    2021, as optax.adaptive_grad_clip; here the last linear layer too). A unit is what feeds one output, as `ParamSpec`
    says: one index of most kernels' last axis; a bias or a scale is one unit. The gradient is that of the whole batch,
    after accumulation; the metric grad_norm is the norm before.
    """

    clip_norm: float = option(0.0, "Clip the global norm of the gradients to this; 0 is off.", later=True)
    clip_value: float = option(0.0, "Clip each gradient element to [-VALUE, VALUE]; 0 is off.", later=True)
    agc: float = option(
        0.0, "Adaptive clipping: limit a unit's gradient norm to this fraction of its weights'; 0 is off.", later=True
    )

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, and one for bounds that exclude each other."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in given.items():
            if value and not SMALLEST_NUMBER <= value <= LARGEST_NUMBER:
                yield f"`{name}` wants a positive number, or 0 for none, got {value}"
        if 0 < self.agc < LEAST_SHARE:
            yield f"`agc` wants a share of at least {LEAST_SHARE:g}, or 0 for none, got {self.agc:g}; 0.01 is common"
        if len(on := [f"`{name}`" for name, value in given.items() if value]) > 1:
            yield f"gradients are clipped in one way, got {' and '.join(on)}; leave one out"
