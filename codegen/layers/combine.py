"""Combinators: the chain rule and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, emit_part, rule
from netc.netspec.layer import Layer, part_names
from netc.netspec.layers.combine import Chain, Concat, Gate, Repeat, Residual


def _merged(parts: list[Emitted]) -> Mapping[str, Value]:
    return {k: v for part in parts for k, v in part.state.items()}


def _chain(b: Builder, named: list[tuple[str, Layer]], scope: Scope, x: Value) -> Emitted:
    parts: list[Emitted] = []
    for name, layer in named:
        parts.append(emit_part(b, name, layer, scope, x))
        x = parts[-1].y

    def chain_pull(dy: Value) -> tuple[Value, Grads]:
        grads: Grads = {}
        for part in reversed(parts):  # (f_n .. f_1)* = f_1* .. f_n*
            dy, own = part.pull(dy)
            grads.update(own)
        return dy, grads

    return Emitted(x, chain_pull, _merged(parts))


@rule(Chain, each_token=True)
def emit_chain(b: Builder, layer: Chain, scope: Scope, x: Value) -> Emitted:
    """y = f_n(.. f_1(x))."""
    return _chain(b, list(zip(part_names(layer.layers), layer.layers, strict=True)), scope, x)


@rule(Repeat, each_token=True)
def emit_repeat(b: Builder, layer: Repeat, scope: Scope, x: Value) -> Emitted:
    """y = body(.. body(x)), each with its own parameters."""
    return _chain(b, [(f"block{i}", layer.body) for i in range(layer.times)], scope, x)


@rule(Residual, each_token=True)
def emit_residual(b: Builder, layer: Residual, scope: Scope, x: Value) -> Emitted:
    """y = body(x) + shortcut(x)."""
    body = emit_part(b, "body", layer.body, scope, x)
    around = emit_part(b, "shortcut", layer.shortcut, scope, x)

    def residual_pull(dy: Value) -> tuple[Value, Grads]:
        db, body_grads = body.pull(dy)
        ds, around_grads = around.pull(dy)
        return b.add(db, ds), {**body_grads, **around_grads}  # dx = body*(dy) + shortcut*(dy)

    return Emitted(b.add(body.y, around.y), residual_pull, _merged([body, around]))


@rule(Gate, each_token=True)
def emit_gate(b: Builder, layer: Gate, scope: Scope, x: Value) -> Emitted:
    """y = x g, g = body(x), one number a channel or one an element."""
    body = emit_part(b, "body", layer.body, scope, x)
    same = body.y.shape == x.shape
    dims = tuple(range(len(x.shape))) if same else (0, len(x.shape) - 1)
    g = b.broadcast(body.y, x, dims)

    def gate_pull(dy: Value) -> tuple[Value, Grads]:
        dg = b.sum(b.mul(dy, x), tuple(i for i in range(len(x.shape)) if i not in dims))  # dg = sum dy x
        inner, grads = body.pull(dg)
        return b.add(b.mul(dy, g), inner), grads  # dx = dy g + body*(dg)

    return Emitted(b.mul(x, g), gate_pull, body.state)


@rule(Concat, each_token=True)
def emit_concat(b: Builder, layer: Concat, scope: Scope, x: Value) -> Emitted:
    """y = the branches' outputs side by side."""
    named = zip(part_names(layer.branches), layer.branches, strict=True)
    parts = [emit_part(b, name, branch, scope, x) for name, branch in named]
    if layer.as_tokens:
        parts = [_as_tokens(b, part) for part in parts]
    axis = 1 if layer.as_tokens else len(parts[0].y.shape) - 1

    def concat_pull(dy: Value) -> tuple[Value, Grads]:
        dx: Value | None = None
        grads: Grads = {}
        start = 0
        for part in parts:  # dx = sum of branch*(its slice of dy)
            stop = start + part.y.shape[axis]
            behind = dy.shape[axis + 1 :]
            piece = b.slice(dy, (0,) * axis + (start,) + (0,) * len(behind), (*dy.shape[:axis], stop, *behind))
            d, own = part.pull(piece)
            dx, start = d if dx is None else b.add(dx, d), stop
            grads.update(own)
        assert dx is not None  # a concat has at least one branch
        return dx, grads

    return Emitted(b.concatenate([p.y for p in parts], axis), concat_pull, _merged(parts))


def _as_tokens(b: Builder, part: Emitted) -> Emitted:
    """A vector [B, D] as one token [B, 1, D]."""
    y = part.y
    if len(y.shape) == 3:
        return part
    one = b.reshape(y, (y.shape[0], 1, y.shape[1]))
    return Emitted(one, lambda dy: part.pull(b.reshape(dy, y.shape)), part.state)
