"""The U-Net in JAX: Ronneberger et al. 2015, fig. 1, padded and with batch norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import Chain, Conv2d, Dense, MaxPool, Unet, UnetDown, UnetUp
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within
from netc.proofs_oracle.references.blocks import ONE, Block
from netc.proofs_oracle.references.upsample import bilinear, nearest

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _halved(x: Array) -> Array:
    """The first maximum of each 2x2 block; a last odd row or column is left out."""
    batch, height, width, channels = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    blocks = jnp.reshape(even, (batch, height // 2, 2, width // 2, 2, channels))
    four = jnp.reshape(jnp.moveaxis(blocks, 2, 3), (batch, height // 2, width // 2, 4, channels))
    first = jnp.argmax(four, axis=3, keepdims=True)
    return jnp.take_along_axis(four, first, axis=3)[:, :, :, 0]


def _twice(block: Block, path: str, function: str, x: Array) -> Array:
    for name in ("conv1", "conv2"):
        x = block.conv_bn(f"{path}{name}", x, function, 1, ONE)
    return x


def _doubled(block: Block, path: str, rise: str, x: Array, height: int, width: int) -> Array:
    """x at twice the size; a row or column more, of the bias alone, where that is odd."""
    if rise != "transpose":
        larger = nearest(x, 2, 2) if rise == "nearest" else bilinear(bilinear(x, 2, 1), 2, 2)
        return block.conv(f"{path}.up", larger, 1, ONE)
    kernel, bias = block.params[f"{path}.up.kernel"], block.params[f"{path}.up.bias"]
    y = jnp.einsum("npqc,abfc->npaqbf", x, kernel)
    y = jnp.reshape(y, (x.shape[0], 2 * x.shape[1], 2 * x.shape[2], -1))
    return jnp.pad(y, ((0, 0), (0, height - y.shape[1]), (0, width - y.shape[2]), (0, 0))) + bias


def _level(block: Block, path: str, layer: Unet | UnetUp, inner: Callable[[Array], Array], x: Array) -> Array:
    risen = _doubled(block, f"{path}join.below", layer.rise, inner(x), *x.shape[1:3])
    return _twice(block, path, layer.activation, jnp.concatenate([x, risen], axis=-1))


def _unet_down(layer: UnetDown, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = Block(params, state, training)
    return _twice(block, "", layer.activation, _halved(x)), block.new


def _unet_up(layer: UnetUp, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = Block(params, state, training)
    part = f"join.below.{layer.inner.name or f'{layer.inner.kind}0'}"

    def inner(h: Array) -> Array:
        y, new = apply(layer.inner, under(params, part), under(state, part), h, training)
        block.new |= within(part, new)
        return y

    return _level(block, "", layer, inner, x), block.new


def _unet(layer: Unet, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act = Block(params, state, training), layer.activation

    def below(path: str, index: int, h: Array) -> Array:
        """Level `index`, whose tensors lie under `path`."""
        if index == layer.depth:
            return h
        deeper = "join.below." if index + 1 == layer.depth else "join.below.inner."

        def inner(h: Array) -> Array:
            h = _twice(block, f"{path}{deeper}down.", act, _halved(h))
            return below(f"{path}{deeper}level{index + 1}.", index + 1, h)

        return _level(block, path, layer, inner, h)

    return below("level0.", 0, _twice(block, "", act, x)), block.new


DOWN = UnetDown(2, "tanh", name="down")

REFERENCES = (
    Reference(
        "unetDown",
        _unet_down,
        (
            Case("even", UnetDown(3), (4, 6, 2)),
            Case("odd", UnetDown(2), (5, 3, 2)),
            Case("two-pixels", UnetDown(2), (2, 2, 3), batch=3),
            Case("gelu", UnetDown(2, "gelu"), (4, 4, 2)),
            Case("batch-1", UnetDown(3), (6, 8, 2), batch=1),
            Case("ties", UnetDown(2, "tanh"), (4, 4, 2), draw="ties"),
            Case("evaluation", UnetDown(2), (4, 4, 2), training=False),
        ),
        (
            BadCase(UnetDown(0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(UnetDown(2, "mish"), (4, 4, 2), "activation wants one of identity, relu"),
            BadCase(UnetDown(2), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
    Reference(
        "unetUp",
        _unet_up,
        (
            Case("transpose", UnetUp(DOWN, 3), (4, 4, 2)),
            Case("odd", UnetUp(DOWN, 2), (5, 3, 2)),
            Case("bilinear", UnetUp(DOWN, 2, "bilinear"), (4, 6, 2)),
            Case("nearest", UnetUp(DOWN, 2, "nearest", "swish"), (4, 4, 2)),
            Case("pool-alone", UnetUp(MaxPool(2), 2), (4, 4, 2)),
            Case("strided", UnetUp(Conv2d(3, 2, 2, "valid"), 2), (4, 2, 2), batch=1),
            Case(
                "two-levels",
                UnetUp(Chain((DOWN, UnetUp(UnetDown(3, "tanh"), 2, "nearest", "tanh"))), 2, activation="swish"),
                (4, 8, 1),
            ),
            Case("evaluation", UnetUp(DOWN, 2), (4, 4, 2), training=False),
        ),
        (
            BadCase(UnetUp(DOWN, 0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(
                UnetUp(DOWN, 2, "bicubic"), (4, 4, 2), "rise wants one of transpose, bilinear, nearest, got 'bicubic'"
            ),
            BadCase(UnetUp(Conv2d(2), 2), (4, 4, 2), "wants an inner layer that halves [batch, 4, 4, 2], got one that"),
            BadCase(UnetUp(DOWN, 2, "nearest"), (5, 4, 2), "wants an even height and width to return to"),
            BadCase(UnetUp(Dense(2), 2), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
    Reference(
        "unet",
        _unet,
        (
            Case("one-level", Unet(2, 1), (4, 4, 2)),
            Case("two-levels", Unet(2, 2, activation="tanh"), (4, 8, 1)),
            Case("odd", Unet(1, 2, activation="swish"), (5, 7, 2), batch=4),
            Case("bilinear", Unet(2, 1, "bilinear", "tanh"), (4, 6, 2)),
            Case("nearest", Unet(2, 1, "nearest", "gelu"), (4, 4, 2)),
            Case("evaluation", Unet(2, 1), (4, 4, 2), training=False),
        ),
        (
            BadCase(Unet(0), (16, 16, 2), "features wants a positive integer, got 0"),
            BadCase(Unet(2, 0), (16, 16, 2), "depth wants an integer from 1 to 8, got 0"),
            BadCase(Unet(2, 2, "cubic"), (4, 4, 2), "rise wants one of transpose, bilinear, nearest, got 'cubic'"),
            BadCase(Unet(2, 2, "bilinear"), (6, 4, 2), "wants an even height and width to return to"),
        ),
    ),
)
