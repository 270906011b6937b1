"""Layers that draw. A mask is a constant of the step, so the pullback multiplies by the same mask."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.random import kept
from netc.codegen.rules import Emitted, Scope, rule
from netc.netspec.layers.stochastic import Dropout, DropPath


def _masked(b: Builder, scope: Scope, rate: float, x: Value, axes: int) -> Emitted:
    """y = m x / (1 - rate) with a mask over the first `axes` axes of x."""
    if rate == 0 or not scope.training:
        return Emitted(x, lambda dy: (dy, {}))
    assert scope.key is not None  # the signature says that it draws
    mask = b.broadcast(kept(b, scope.key, scope.stream, x.shape[:axes], rate), x, tuple(range(axes)))

    def drop(v: Value) -> Value:
        return b.select(mask, b.mul(v, 1 / (1 - rate)), 0.0)

    return Emitted(drop(x), lambda dy: (drop(dy), {}))  # dx = m dy / (1 - rate)


@rule(Dropout, each_token=True)
def emit_dropout(b: Builder, layer: Dropout, scope: Scope, x: Value) -> Emitted:
    """A mask for each element."""
    return _masked(b, scope, layer.rate, x, len(x.shape))


@rule(DropPath, each_token=True)
def emit_drop_path(b: Builder, layer: DropPath, scope: Scope, x: Value) -> Emitted:
    """A mask for each example."""
    return _masked(b, scope, layer.rate, x, 1)
