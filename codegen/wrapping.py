"""Lookahead's slow weights, and the point of SAM's second gradient (netspec/wrapping.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.norms import norm
from netc.codegen.quotient import multiple
from netc.netspec.types import TensorType
from netc.netspec.wrapping import Wrapping

SMALLEST_NORM = 1e-12  # of a gradient: at 0 there is no way uphill


def uphill(b: Builder, rho: float, params: Mapping[str, Value], grads: Mapping[str, Value]) -> dict[str, Value]:
    """w + rho g / |g|, where |g| is the norm of all gradients together."""
    with b.at("optimizer"):
        factor = b.div(rho, b.maximum(norm(b, [grads[name] for name in params]), SMALLEST_NORM))
    found = {}
    for name, p in params.items():
        with b.at(name, "update"):
            found[name] = b.add(p, b.mul(grads[name], b.broadcast(factor, p, ())))
    return found


def followed(
    b: Builder, wrapping: Wrapping, held: Mapping[str, Value], new: Mapping[str, Value], names: Sequence[str]
) -> dict[str, Value]:
    """The weights and the slow weights after the step that made `new` of `held`; nothing without Lookahead."""
    if not wrapping.lookahead:
        return {}
    with b.at("optimizer"):
        begins = b.compare("EQ", held["step"], 0)
        hit = multiple(b, b.add(held["step"], 1), wrapping.lookahead)[1]
    found = {}
    for name in names:
        with b.at(name, "update"):
            w = new[name]
            flag = TensorType(w.shape, "i1")
            slow = b.select(b.broadcast(begins, flag, ()), held[name], held[f"slow/{name}"])
            follows = b.broadcast(hit, flag, ())
            moved = b.add(slow, b.mul(b.sub(w, slow), wrapping.lookahead_share))
            found[name] = b.select(follows, moved, w)
            found[f"slow/{name}"] = b.select(follows, moved, slow)
    return found
