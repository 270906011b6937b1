"""MobileViT's block in JAX: Mehta and Rastegari 2022, fig. 1b."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import MobileVitBlock, TransformerEncoder
from netc.proofs_oracle.reference import BadCase, Case, Reference, under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.norm import batch_norm, layer_norm
from netc.proofs_oracle.references.swin import merge, partition
from netc.proofs_oracle.references.transformer import encode

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _block(layer: MobileVitBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    new: dict[str, Array] = {}

    def conv_bn(name: str, h: Array) -> Array:
        kernel = params[f"{name}.conv.kernel"]
        side = kernel.shape[0] // 2
        h = convolve(h, kernel, 1, ((side, side), (side, side)))
        norm = f"{name}.norm"
        h, own = batch_norm(h, under(params, norm), under(state, norm), training=training)
        new.update(within(norm, own))
        return activate(layer.activation, h)

    body, size, no_shift = "both.body", x.shape[1:3], (0, 0)
    h = conv_bn(f"{body}.local", x) @ params[f"{body}.widen.kernel"][0, 0]
    tokens = partition(h, layer.patch, no_shift, across=True)
    inner = TransformerEncoder(
        layer.heads, layer.mlp, layer.blocks, groups=layer.patch**2, dropout=layer.dropout,
        attention_dropout=layer.attention_dropout, drop_path=layer.drop_path, activation=layer.activation, epsilon=1e-5,
    )  # fmt: skip
    name = f"{body}.transformer"
    tokens = encode(inner, under(params, name), under(state, name), tokens, training)
    tokens = layer_norm(tokens, under(params, f"{body}.norm"), epsilon=1e-5)
    h = conv_bn(f"{body}.narrow", merge(tokens, size, layer.patch, no_shift, across=True))
    return conv_bn("fuse", jnp.concatenate([x, h], axis=-1)), new


REFERENCES = (
    Reference(
        "mobileVitBlock",
        _block,
        (
            Case("plain", MobileVitBlock(4, 2, 3, 1), (4, 4, 2)),
            Case("two-blocks", MobileVitBlock(3, 1, 2, 2), (2, 4, 1)),
            Case("patch-3", MobileVitBlock(3, 1, 2, 1, patch=3, activation="gelu"), (3, 6, 1)),
            Case("patch-1", MobileVitBlock(4, 2, 2, 1, patch=1), (2, 3, 2)),
            Case("batch-1", MobileVitBlock(3, 1, 2, 1), (4, 4, 1), batch=1),
            Case("drawing", MobileVitBlock(3, 1, 2, 2, 2, 0.2, 0.2, (0.0, 0.5)), (2, 4, 1)),
            Case("evaluation", MobileVitBlock(3, 1, 2, 1, dropout=0.2), (2, 2, 2), training=False),
        ),
        (
            BadCase(MobileVitBlock(4, 3, 4, 1), (4, 4, 2), "dim wants a multiple of heads=3, got 4"),
            BadCase(MobileVitBlock(4, 2, 4, 1), (5, 4, 2), "wants sides that are multiples of 2, got [batch, 5, 4, 2]"),
            BadCase(MobileVitBlock(4, 2, 4, 0), (4, 4, 2), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(MobileVitBlock(4, 2, 4, 1), (16, 2), "wants [batch, H, W, C], got [batch, 16, 2]"),
        ),
    ),
)
