"""Layers that only move or name elements. Their pullback is the inverse movement."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Scope, rule
from netc.netspec.layers.shape import Flatten, Identity


@rule(Flatten)
def emit_flatten(b: Builder, layer: Flatten, scope: Scope, x: Value) -> Emitted:
    """[B, ..] -> [B, D]."""
    y = b.reshape(x, (x.shape[0], x.type.size // x.shape[0]))
    return Emitted(y, lambda dy: (b.reshape(dy, x.shape), {}))  # dx = dy, in x's shape


@rule(Identity, each_token=True)
def emit_identity(b: Builder, layer: Identity, scope: Scope, x: Value) -> Emitted:
    """y = x."""
    return Emitted(x, lambda dy: (dy, {}))  # dx = dy
