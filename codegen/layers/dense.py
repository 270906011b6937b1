"""Fully connected layers."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.activation import activate
from netc.codegen.rules import Emitted, Grads, Scope, rule, then
from netc.netspec.layers.dense import Dense


@rule(Dense, each_token=True)
def emit_dense(b: Builder, layer: Dense, scope: Scope, x: Value) -> Emitted:
    """y = x w + bias over the last axis; sequences [B, T, D] are seen as [B T, D]."""
    w = scope.param("kernel")
    rows = b.reshape(x, (x.type.size // x.shape[-1], x.shape[-1]))
    y = b.dot(rows, w, (1, 0))
    if layer.bias:
        y = b.add(y, b.broadcast(scope.param("bias"), y))
    y = b.reshape(y, (*x.shape[:-1], layer.features))

    def dense_pull(dy: Value) -> tuple[Value, Grads]:
        d = b.reshape(dy, (rows.shape[0], layer.features))
        dx = b.dot(d, w, (1, 1))  # dx = dy wᵀ
        grads = {"kernel": b.dot(rows, d, (0, 0))}  # dw = xᵀ dy
        if layer.bias:
            grads["bias"] = b.sum(d, (0,))  # dbias = 1ᵀ dy
        return b.reshape(dx, x.shape), grads

    return then(Emitted(y, dense_pull), activate(b, layer.activation, y))
