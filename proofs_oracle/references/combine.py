"""Combinators in JAX: each applies the references of its parts to the parts' own tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layer import Layer, part_names
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    Dense,
    Flatten,
    Gate,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Repeat,
    Residual,
    ResidualBlock,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _part(name: str, layer: Layer, params: Tensors, state: Tensors, x: Array, *, training: bool) -> Applied:
    """Apply one part to its own tensors; its new states come back under `name.`."""
    y, new = apply(layer, under(params, name), under(state, name), x, training)
    return y, within(name, new)


def _chain(layer: Chain, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    new: dict[str, Array] = {}
    for name, part in zip(part_names(layer.layers), layer.layers, strict=True):
        x, own = _part(name, part, params, state, x, training=training)
        new |= own
    return x, new


def _residual(layer: Residual, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    body, new = _part("body", layer.body, params, state, x, training=training)
    around, own = _part("shortcut", layer.shortcut, params, state, x, training=training)
    return body + around, new | own


def _gate(layer: Gate, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    gate, new = _part("body", layer.body, params, state, x, training=training)
    if gate.ndim != x.ndim:
        gate = jnp.reshape(gate, (gate.shape[0], *(1,) * (x.ndim - 2), gate.shape[-1]))
    return x * gate, new


def _concat(layer: Concat, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    names = part_names(layer.branches)
    parts = [
        _part(name, part, params, state, x, training=training) for name, part in zip(names, layer.branches, strict=True)
    ]
    ys = [y[:, None] if layer.as_tokens and y.ndim == 2 else y for y, _ in parts]
    return jnp.concatenate(ys, axis=1 if layer.as_tokens else -1), {k: v for _, own in parts for k, v in own.items()}


def _repeat(layer: Repeat, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    new: dict[str, Array] = {}
    for index in range(layer.times):
        x, own = _part(f"block{index}", layer.body, params, state, x, training=training)
        new |= own
    return x, new


def _squeeze_excite(channels: int, squeezed: int) -> Gate:
    return Gate(Chain((
        GlobalAvgPool(),
        Dense(squeezed, activation="relu", name="squeeze"),
        Dense(channels, activation="sigmoid", name="excite"),
    )))  # fmt: skip


REFERENCES = (
    Reference(
        "chain",
        _chain,
        (
            Case("empty", Chain(()), (3,)),
            Case("one", Chain((Dense(3),)), (4,)),
            Case(
                "mlp",
                Chain((Flatten(), Dense(5, activation="tanh"), Dense(4, activation="swish"), Dense(3))),
                (2, 2, 2),
            ),
            Case("named", Chain((Dense(4, name="up"), Activation("gelu"), Dense(3, name="down"))), (3,)),
            Case("nested", Chain((Chain((Dense(4), Activation("tanh"))), Chain((Dense(3), Chain((Dense(2),)))))), (3,)),
            Case(
                "cnn",
                Chain((ConvBn(3), MaxPool(2), Conv2d(2, activation="relu"), AvgPool(2, 1), Flatten(), Dense(3))),
                (6, 5, 2),
            ),
            Case("stem", Chain((ConvBn(3, 7, 2, "same-symmetric"), MaxPool(3, 2, ((1, 1), (1, 1))))), (9, 8, 2)),
            Case("bias-before-norm", Chain((Conv2d(3), BatchNorm())), (3, 3, 2)),
            Case("pools-on-ties", Chain((MaxPool(3, 1), MaxPool(2, 1), AvgPool(2))), (7, 7, 2), draw="ties"),
            Case(
                "kinks",
                Chain((Dense(6, activation="relu"), Dense(5, activation="relu6"), Dense(3))),
                (3,),
                draw="kinks",
            ),
            Case("evaluation", Chain((ConvBn(3), BatchNorm(), GlobalAvgPool(), Dense(3))), (4, 4, 2), training=False),
        ),
        (
            BadCase(
                Chain((Dense(3, name="a"), Dense(4, name="a"))),
                (4,),
                "wants a different name for each part, got 'a' 2 times",
            ),
            BadCase(Chain((Conv2d(3), Dense(4))), (4, 4, 1), "wants [batch, features], got [batch, 4, 4, 3]"),
        ),
    ),
    Reference(
        "residual",
        _residual,
        (
            Case("identity", Residual(Dense(4, activation="tanh")), (4,)),
            Case("both-learn", Residual(Dense(3, activation="swish"), Dense(3)), (4,)),
            Case("twice-itself", Residual(Identity()), (3, 2, 2)),
            Case("image", Residual(Conv2d(3, activation="gelu")), (3, 4, 3)),
            Case("strided", Residual(ConvBn(4, 3, 2), ConvBn(4, 1, 2, activation="identity")), (6, 5, 2)),
            Case("nested", Residual(Chain((Residual(Dense(3)), Activation("relu")))), (3,)),
            Case("pool-shortcut", Residual(ConvBn(2, 3, 2), MaxPool(2)), (4, 6, 2)),
            Case("ties", Residual(MaxPool(3, 1, "same"), Activation("relu")), (4, 4, 2), draw="ties"),
            Case("evaluation", Residual(BatchNorm(), BatchNorm()), (3, 3, 2), training=False),
        ),
        (
            BadCase(Residual(Dense(3)), (4,), "wants body and shortcut of one shape, got [batch, 3] and [batch, 4]"),
            BadCase(Residual(Conv2d(4, stride=2), Conv2d(4)), (6, 6, 2), "got [batch, 3, 3, 4] and [batch, 6, 6, 4]"),
        ),
    ),
    Reference(
        "gate",
        _gate,
        (
            Case("same-shape", Gate(Dense(4, activation="sigmoid")), (4,)),
            Case("image-by-image", Gate(Conv2d(3, activation="sigmoid")), (3, 4, 3)),
            Case("squeeze-excite", _squeeze_excite(4, 2), (3, 3, 4)),
            Case("squeeze-excite-one-pixel", _squeeze_excite(3, 1), (1, 1, 3)),
            Case("channels-of-sequence", Gate(Chain((GlobalAvgPool(), Dense(3, activation="tanh")))), (4, 3)),
            Case("square", Gate(Identity()), (3, 2, 2)),
            Case("batch-1", _squeeze_excite(3, 2), (2, 3, 3), batch=1),
            Case("hard", Gate(Chain((GlobalAvgPool(), Dense(2, activation="h-sigmoid")))), (2, 2, 2), draw="kinks"),
            Case("with-state", Gate(Chain((BatchNorm(), Activation("sigmoid")))), (3, 3, 2)),
            Case("nested", Gate(Chain((Gate(Dense(3)), Dense(3)))), (3,)),
        ),
        (
            BadCase(Gate(Dense(3)), (4,), "wants a body that gives [batch, 4] or [batch, 4], got [batch, 3]"),
            BadCase(Gate(GlobalAvgPool()), (4,), "there is nothing to average"),
            BadCase(
                Gate(Chain((GlobalAvgPool(), Dense(2)))),
                (3, 3, 4),
                "wants a body that gives [batch, 3, 3, 4] or [batch, 4]",
            ),
        ),
    ),
    Reference(
        "concat",
        _concat,
        (
            Case("vectors", Concat((Dense(3), Dense(2, activation="tanh"))), (4,)),
            Case("one", Concat((Dense(3),)), (4,)),
            Case("itself", Concat((Identity(name="a"), Identity(name="b"))), (2, 3, 2)),
            Case("inception", Concat((Conv2d(2, 1), ConvBn(3, 3), MaxPool(3, 1, "same"))), (4, 4, 2)),
            Case("strided", Concat((ConvBn(2, 3, 2), MaxPool(2), AvgPool(2))), (4, 6, 3)),
            Case("sequences", Concat((Dense(2), Identity(), Dense(1))), (3, 2)),
            Case("nested", Concat((Concat((Dense(1), Dense(2))), Residual(Dense(3)))), (3,)),
            Case("batch-1", Concat((ConvBn(2), Conv2d(1))), (3, 4, 2), batch=1),
            Case("ties", Concat((MaxPool(2, 1), AvgPool(2, 1))), (4, 4, 2), draw="ties"),
            Case("evaluation", Concat((BatchNorm(), ConvBn(2))), (3, 3, 2), training=False),
            Case("tokens", Concat((Dense(3), GlobalAvgPool(), Dense(3, name="more")), as_tokens=True), (4, 3)),
            Case("one-token", Concat((Dense(3),), as_tokens=True), (2,), batch=1),
        ),
        (
            BadCase(
                Concat((Dense(3), Dense(4)), as_tokens=True), (2, 3), "wants branches that give tokens of one width"
            ),
            BadCase(Concat((Identity(),), as_tokens=True), (2, 2, 3), "give tokens of one width, got [batch, 2, 2, 3]"),
            BadCase(Concat(()), (4,), "branches wants at least one layer, got none"),
            BadCase(
                Concat((Conv2d(2), Conv2d(2, stride=2))),
                (4, 4, 1),
                "wants branches that agree on all axes but the last",
            ),
            BadCase(
                Concat((Dense(1, name="a"), Dense(1, name="a"))),
                (4,),
                "wants a different name for each part, got 'a' 2 times",
            ),
        ),
    ),
    Reference(
        "repeat",
        _repeat,
        (
            Case("once", Repeat(Dense(3)), (3,)),
            Case("three-times", Repeat(Dense(3, activation="tanh"), 3), (3,)),
            Case("changing-shape", Repeat(Conv2d(2, 3, 2), 2), (7, 6, 3)),
            Case("with-state", Repeat(ConvBn(2), 2), (3, 4, 2)),
            Case("residuals", Repeat(Residual(Chain((Dense(4, activation="gelu"), Dense(3)))), 2), (3,)),
            Case("nested", Repeat(Repeat(Dense(2, activation="swish"), 2), 2), (2,)),
            Case("batch-1", Repeat(ConvBn(2), 2), (3, 4, 2), batch=1),
            Case("composites", Repeat(ResidualBlock(2), 2), (3, 3, 2)),
            Case("evaluation", Repeat(BatchNorm(), 2), (3, 3, 2), training=False),
        ),
        (
            BadCase(Repeat(Dense(3), 0), (3,), "times wants an integer from 1 to 10000, got 0"),
            BadCase(Repeat(Dense(3, inputs=4), 2), (4,), "wants [batch, 4], got [batch, 3]"),
            BadCase(Repeat(MaxPool(2), 3), (4, 4, 1), "wants an image of at least 2 pixels a side, got 1x1"),
        ),
    ),
)
