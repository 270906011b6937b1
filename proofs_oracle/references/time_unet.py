"""The U-Net of denoising diffusion in JAX: Ho et al. 2020, appendix B. Time and class go by side of the image here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from netc.netspec.layers import ImageAttention, MultiHeadAttention, TimeResBlock, TimeUnet
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.attention import linear, multi_head
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.diffusion import embed_time
from netc.proofs_oracle.references.embedding import class_row
from netc.proofs_oracle.references.norm import group_norm
from netc.proofs_oracle.references.stochastic import dropout
from netc.proofs_oracle.references.upsample import nearest

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors

WAVES = 32


def conv(params: Tensors, name: str, x: Array, stride: int = 1) -> Array:
    """A convolution with a bias, centred."""
    own = under(params, name)
    return convolve(x, own["kernel"], stride, "same-symmetric") + own["bias"]


def normed(params: Tensors, name: str, x: Array, groups: int) -> Array:
    """swish(groupNorm(x))."""
    return jax.nn.silu(group_norm(x, under(params, name), groups))


def block(layer: TimeResBlock, params: Tensors, state: Tensors, x: Array, condition: Array, training: bool) -> Array:
    """x [batch, H, W, C] and condition [batch, time or (time, class)] -> [batch, H, W, features]."""
    first = under(params, "body.first.image")
    h = conv(first, "conv1", normed(first, "norm1", x, layer.groups))
    shift = under(params, "body.shift.body")
    path = "condition.body" if layer.classes else "time"
    embedded = embed_time(under(shift, f"{path}.embed"), condition[:, 0], WAVES, 1000.0)
    if layer.classes:
        embedded = embedded + class_row(shift["condition.shortcut.table.table"], condition[:, 1])
    h = h + linear(shift, "project", jax.nn.silu(embedded))[:, None, None]
    body = under(params, "body")
    h = normed(body, "norm2", h, layer.groups)
    h = conv(body, "conv2", dropout(under(state, "body.dropout"), h, layer.dropout, training))
    around = conv(params, "shortcut.conv", x) if x.shape[3] != layer.features else x
    return around + h


def _block(layer: TimeResBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    behind = 2 if layer.classes else 1
    condition = jnp.mean(x[..., -behind:], axis=(1, 2))
    y = block(layer, params, state, x[..., :-behind], condition, training)
    return jnp.concatenate([y, x[..., -behind:]], axis=-1), {}


def attend(params: Tensors, x: Array, heads: int, groups: int) -> Array:
    """x + attention over the pixels of its norm."""
    own = under(params, "body")
    tokens = jnp.reshape(group_norm(x, under(own, "norm"), groups), (x.shape[0], -1, x.shape[3]))
    y = multi_head(MultiHeadAttention(heads), under(own, "attention"), {}, tokens, False)
    return x + jnp.reshape(y, x.shape)


def _attention(layer: ImageAttention, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return attend(params, x, layer.heads, layer.groups), {}


def _unet(layer: TimeUnet, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    behind = 2 if layer.classes else 1
    condition = jnp.mean(x[..., -behind:], axis=(1, 2))

    def blocks(path: str, h: Array, width: int) -> Array:
        how = TimeResBlock(width, layer.classes, 4 * layer.features, layer.groups, layer.dropout)
        for index in range(layer.blocks):
            at = f"{path}{index}"
            h = block(how, under(params, at), under(state, at), h, condition, training)
        return h

    def level(path: str, index: int, h: Array) -> Array:
        here, width = f"{path}level{index}", layer.features * layer.multipliers[index]
        if index == len(layer.multipliers) - 1:
            h = blocks(f"{here}.before", h, width)
            h = attend(under(params, f"{here}.attention.image"), h, layer.heads, layer.groups)
            return blocks(f"{here}.behind", h, width)
        skip = h = blocks(f"{here}.down", h, width)
        below = f"{here}.join.below"
        h = level(f"{below}.", index + 1, conv(params, f"{below}.down.conv", h, 2))
        h = conv(params, f"{below}.up.image.conv", nearest(h, 2, 2))
        return blocks(f"{here}.up", jnp.concatenate([skip, h], axis=-1), width)

    h = level("", 0, conv(params, "stem.conv", x[..., :-behind]))
    return conv(params, "out", normed(params, "norm", h, layer.groups)), {}


REFERENCES = (
    Reference(
        "timeResBlock",
        _block,
        (
            Case("time", TimeResBlock(4, hidden=3, groups=2), (3, 2, 3)),
            Case("class-same-width", TimeResBlock(2, 3, 4, groups=1), (2, 2, 4), batch=3),
            Case("drawing", TimeResBlock(2, hidden=2, groups=2, dropout=0.4), (2, 3, 3)),
        ),
        (
            BadCase(TimeResBlock(0), (4, 4, 9), "features wants a positive integer, got 0"),
            BadCase(TimeResBlock(6), (4, 4, 9), "features wants a multiple of groups=8, got 6"),
            BadCase(TimeResBlock(8, -1), (4, 4, 9), "classes wants 0 (no class) or a positive integer, got -1"),
            BadCase(TimeResBlock(8, dropout=1.0), (4, 4, 9), "dropout wants a number in [0, 1), got 1.0"),
            BadCase(TimeResBlock(8), (4, 4, 1), "wants channels of time after the image's, got [batch, 4, 4, 1]"),
            BadCase(TimeResBlock(8, 3), (4, 4, 2), "wants channels of time and class after the image's"),
            BadCase(TimeResBlock(8), (4,), "give an image whose last channels hold the time, and the class"),
        ),
    ),
    Reference(
        "imageAttention",
        _attention,
        (
            Case("one", ImageAttention(groups=2), (2, 3, 4)),
            Case("two-heads", ImageAttention(2, 1), (2, 2, 4), batch=1),
        ),
        (
            BadCase(ImageAttention(0), (4, 4, 8), "heads wants a positive integer, got 0"),
            BadCase(ImageAttention(), (4, 4, 6), "wants a multiple of groups=8 channels, got [batch, 4, 4, 6]"),
            BadCase(ImageAttention(3), (4, 4, 8), "wants a multiple of heads=3 channels"),
            BadCase(ImageAttention(), (16, 8), "wants [batch, H, W, C], got [batch, 16, 8]; give an image"),
        ),
    ),
    Reference(
        "timeUnet",
        _unet,
        (
            Case("two-levels", TimeUnet(1, 2, (1, 2), heads=1, groups=1), (4, 2, 2)),
            Case("classes", TimeUnet(2, 4, (1,), 2, classes=2, heads=2, groups=2), (2, 3, 3), batch=1),
            Case("drawing", TimeUnet(1, 2, (1, 1), heads=1, groups=1, dropout=0.3), (4, 2, 2)),
        ),
        (
            BadCase(TimeUnet(0), (4, 4, 2), "channels wants a positive integer, got 0"),
            BadCase(TimeUnet(1, blocks=0), (4, 4, 2), "blocks wants an integer from 1 to"),
            BadCase(TimeUnet(1, 12), (4, 4, 2), "features wants a multiple of groups=8, got 12"),
            BadCase(TimeUnet(1, multipliers=()), (4, 4, 2), "multipliers wants positive integers, one for each level"),
            BadCase(TimeUnet(1), (6, 4, 2), "wants sides that are multiples of 4, got [batch, 6, 4, 2]"),
        ),
    ),
)
