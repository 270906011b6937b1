"""Transposed convolution in JAX: each pixel of x is written, times the kernel, onto the window of y that it owns."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layers import Chain, Conv2d, ConvTranspose2d
from netc.netspec.layers.window import pair
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.activation import activate

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _conv_transpose2d(layer: ConvTranspose2d, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    (sh, sw), (dh, dw), (top, left) = pair(layer.stride), pair(layer.dilation), pair(layer.padding)
    batch, height, width, channels = x.shape
    kh, kw, inner, _ = params["kernel"].shape
    groups = layer.groups
    wide = ((height - 1) * sh + (kh - 1) * dh + 1, (width - 1) * sw + (kw - 1) * dw + 1)  # before it is cut
    more = pair(layer.output_padding)
    out = layer.size or tuple(n - 2 * lo + m for n, lo, m in zip(wide, (top, left), more, strict=True))
    rows, columns = max(wide[0], top + out[0]), max(wide[1], left + out[1])
    y = jnp.zeros((batch, rows, columns, groups, inner), x.dtype)
    pixels = jnp.reshape(x, (batch, height, width, groups, channels // groups))
    taps = jnp.reshape(params["kernel"], (kh, kw, inner, groups, channels // groups))
    for a, b in product(range(kh), range(kw)):
        written = jnp.einsum("npqgc,fgc->npqgf", pixels, taps[a, b])
        y = y.at[:, a * dh : a * dh + sh * height : sh, b * dw : b * dw + sw * width : sw].add(written)
    y = jnp.reshape(y[:, top : top + out[0], left : left + out[1]], (batch, *out, layer.features))
    return activate(layer.activation, y + params["bias"] if layer.bias else y), {}


# name -> the options of ConvTranspose2d after its features, example, features
GEOMETRIES: dict[str, tuple[dict[str, object], tuple[int, int, int], int]] = {
    "2x2-two": ({}, (3, 2, 3), 2),
    "3x3-two": ({"kernel": 3}, (3, 4, 2), 3),
    "3x3-two-padded": ({"kernel": 3, "padding": 1}, (3, 4, 2), 2),
    "3x3-two-output-padded": ({"kernel": 3, "padding": 1, "output_padding": 1}, (3, 4, 2), 2),
    "3x3-two-size": ({"kernel": 3, "padding": 1, "size": (6, 7)}, (3, 4, 2), 2),
    "4x4-two-padded": ({"kernel": 4, "padding": 1}, (3, 2, 2), 2),
    "3x3-one": ({"kernel": 3, "stride": 1, "padding": 1}, (3, 4, 2), 3),
    "1x1-two": ({"kernel": 1}, (3, 2, 2), 3),
    "1x1-three-output-padded": ({"kernel": 1, "stride": 3, "output_padding": 2}, (2, 2, 2), 2),
    "stride-above-kernel": ({"kernel": 2, "stride": 3}, (2, 3, 2), 2),
    "uneven": (
        {"kernel": (2, 3), "stride": (1, 2), "padding": (0, 1), "output_padding": (0, 1)}, (3, 2, 2), 2,
    ),
    "dilated": ({"kernel": 3, "stride": 1, "dilation": 2, "padding": 1}, (3, 3, 2), 2),
    "dilated-two": ({"kernel": 2, "dilation": (3, 1), "padding": 1}, (3, 3, 2), 2),
    "groups": ({"kernel": 3, "padding": 1, "groups": 2}, (3, 2, 4), 6),
    "depthwise": ({"kernel": 3, "padding": 1, "groups": 3}, (2, 3, 3), 3),
    "no-bias": ({"bias": False}, (2, 2, 2), 2),
    "one-pixel": ({"kernel": 3}, (1, 1, 3), 2),
}  # fmt: skip


REFERENCES = (
    Reference(
        "convTranspose2d",
        _conv_transpose2d,
        (
            *(Case(n, ConvTranspose2d(o, **kw), example) for n, (kw, example, o) in GEOMETRIES.items()),  # type: ignore[arg-type]
            *(Case(f"act-{name}", ConvTranspose2d(2, activation=name), (2, 2, 2)) for name in ACTIVATIONS),
            Case("batch-1", ConvTranspose2d(2, 3, 2, 1), (2, 3, 2), batch=1),
            Case(
                "there-and-back", Chain((Conv2d(3, 3, 2, "same-symmetric"), ConvTranspose2d(2, 3, 2, 1, 1))), (4, 6, 2)
            ),
            Case("kinks", ConvTranspose2d(2, activation="relu"), (2, 3, 2), draw="kinks"),
            Case("evaluation", ConvTranspose2d(2), (2, 2, 2), training=False),
        ),
        (
            BadCase(ConvTranspose2d(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(ConvTranspose2d(2, 0), (4, 4, 3), "kernel wants positive integers, got 0"),
            BadCase(ConvTranspose2d(2, padding=-1), (4, 4, 3), "padding wants no negative numbers, got -1"),
            BadCase(ConvTranspose2d(2, output_padding=2), (4, 4, 3), "output_padding wants numbers from 0 to below"),
            BadCase(
                ConvTranspose2d(2, output_padding=1, size=(9, 9)), (4, 4, 3), "wants size or output_padding, got both"
            ),
            BadCase(
                ConvTranspose2d(2, size=(10, 8)),
                (4, 4, 3),
                "wants a size from 8x8 to 9x9 for [batch, 4, 4, 3], got 10x8",
            ),
            BadCase(ConvTranspose2d(2, 2, 1, 2), (2, 2, 3), "wants an image whose output has a pixel"),
            BadCase(ConvTranspose2d(3, groups=2), (4, 4, 4), "features wants a multiple of groups=2, got 3"),
            BadCase(ConvTranspose2d(2, groups=2), (4, 4, 3), "wants a multiple of groups=2 channels"),
            BadCase(ConvTranspose2d(2, activation="mish"), (4, 4, 3), "activation wants one of identity, relu"),
            BadCase(ConvTranspose2d(2), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
)
