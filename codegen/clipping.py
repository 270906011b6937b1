"""Gradients within the bounds of netspec/clipping.py, between the backward pass and the update."""

from __future__ import annotations

from collections.abc import Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.netspec.clipping import Clipping

SMALLEST_WEIGHT = 1e-3  # the norm that a smaller unit counts as (Brock et al. 2021)


def clipped(
    b: Builder, clipping: Clipping, params: Mapping[str, Value], grads: Mapping[str, Value]
) -> tuple[Mapping[str, Value], Value | None]:
    """The gradients within their bounds, and their norm before, where it was needed."""
    total, factor = None, None
    if clipping.clip_norm:
        with b.at("optimizer"):
            total = norm(b, [grads[name] for name in params])
            # c / max(n, c): exactly 1 within the bound, and nothing is divided by 0
            factor = b.div(clipping.clip_norm, b.maximum(total, clipping.clip_norm))
    bounded = {}
    for name, p in params.items():
        with b.at(name, "update"):
            bounded[name] = _bounded(b, clipping, p, grads[name], factor)
    return bounded, total


def _bounded(b: Builder, clipping: Clipping, p: Value, g: Value, factor: Value | None) -> Value:
    if factor is not None:
        return b.mul(g, b.broadcast(factor, g, ()))
    if c := clipping.clip_value:
        return b.minimum(b.maximum(g, -c), c)
    return _adaptive(b, clipping.agc, p, g) if clipping.agc else g


def _adaptive(b: Builder, share: float, p: Value, g: Value) -> Value:
    most = b.mul(b.maximum(_unit_norms(b, p), SMALLEST_WEIGHT), share)
    # most / max(|g|, most): exactly 1 within the bound
    factor = b.div(most, b.maximum(_unit_norms(b, g), most))
    return b.mul(g, b.broadcast(factor, g, (len(g.shape) - 1,) if factor.shape else ()))


def _unit_norms(b: Builder, t: Value) -> Value:
    """The norm of each unit: [outputs], or a scalar of a vector."""
    rank = len(t.shape)
    return b.unary("sqrt", b.sum(b.mul(t, t), tuple(range(rank - 1 if rank > 1 else rank))))
