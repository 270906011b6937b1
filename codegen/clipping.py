"""Gradients within the bounds of netspec/clipping.py, between the backward pass and the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.netspec.clipping import Clipping
from netc.netspec.types import ParamSpec

SMALLEST_WEIGHT = 1e-3  # the norm that a smaller unit counts as (Brock et al. 2021)


def clipped(
    b: Builder,
    clipping: Clipping,
    specs: Sequence[ParamSpec],
    params: Mapping[str, Value],
    grads: Mapping[str, Value],
) -> tuple[Mapping[str, Value], Value | None]:
    """The gradients of these parameters within their bounds, and their norm before, where it was needed."""
    total, factor = None, None
    if clipping.clip_norm:
        with b.at("optimizer"):
            total = norm(b, [grads[p.name] for p in specs])
            # c / max(n, c): exactly 1 within the bound, and nothing is divided by 0
            factor = b.div(clipping.clip_norm, b.maximum(total, clipping.clip_norm))
    bounded = {}
    for p in specs:
        with b.at(p.name, "update"):
            bounded[p.name] = _bounded(b, clipping, p, params[p.name], grads[p.name], factor)
    return bounded, total


def _bounded(b: Builder, clipping: Clipping, p: ParamSpec, w: Value, g: Value, factor: Value | None) -> Value:
    if factor is not None:
        return b.mul(g, b.broadcast(factor, g, ()))
    if c := clipping.clip_value:
        return b.minimum(b.maximum(g, -c), c)
    return _adaptive(b, clipping.agc, p, w, g) if clipping.agc else g


def _adaptive(b: Builder, share: float, p: ParamSpec, w: Value, g: Value) -> Value:
    shape, outputs = p.units
    own = b.reshape(g, shape)
    most = b.mul(b.maximum(_unit_norms(b, b.reshape(w, shape), outputs), SMALLEST_WEIGHT), share)
    # most / max(|g|, most): exactly 1 within the bound
    factor = b.div(most, b.maximum(_unit_norms(b, own, outputs), most))
    return b.reshape(b.mul(own, b.broadcast(factor, own, outputs)), g.shape)


def _unit_norms(b: Builder, t: Value, outputs: tuple[int, ...]) -> Value:
    """The norm of each unit: an element for each index of the axes `outputs`."""
    return b.unary("sqrt", b.sum(b.mul(t, t), tuple(i for i in range(len(t.shape)) if i not in outputs)))
