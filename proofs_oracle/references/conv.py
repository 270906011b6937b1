"""Convolutions in JAX, as the sum over the pixels of a window, NHWC and HWIO.

Not `lax.conv_general_dilated`: XLA ends the whole process while it simplifies some of the convolutions that its
derivative is made of (jaxlib 0.10.2 on the CPU: a 5x2 kernel with strides 3x2). The tests compare the two forward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layers import Conv2d, ConvBn
from netc.netspec.layers.window import Padding, Pair
from netc.proofs_oracle.reference import BadCase, Case, Reference, under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.norm import batch_norm
from netc.proofs_oracle.references.window import window_of

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def convolve(
    x: Array, kernel: Array, stride: int | Pair, padding: Padding, *, groups: int = 1, dilation: int | Pair = 1
) -> Array:
    """Cross-correlation of x [batch, H, W, C] with a kernel [kh, kw, C / groups, O]: [batch, P, Q, O]."""
    height, width, inputs, features = kernel.shape
    window = window_of(padding, x.shape[1:3], (height, width), stride, dilation)
    pixels = window.pixels(x, 0.0)  # [t, n, p, q, groups i]
    pixels = jnp.reshape(pixels, (*pixels.shape[:-1], groups, inputs))
    # output o belongs to group o // (O / groups): groups are the outer part of the last axis
    taps = jnp.reshape(kernel, (height * width, inputs, groups, features // groups))
    y = jnp.einsum("tnpqgi,tigo->npqgo", pixels, taps)
    return jnp.reshape(y, (*y.shape[:3], features))


def _conv2d(layer: Conv2d, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    y = convolve(x, params["kernel"], layer.stride, layer.padding, groups=layer.groups, dilation=layer.dilation)
    if layer.bias:
        y = y + params["bias"]
    return activate(layer.activation, y), {}


def _conv_bn(layer: ConvBn, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    y = convolve(x, params["conv.kernel"], layer.stride, layer.padding, groups=layer.groups, dilation=layer.dilation)
    y, new = batch_norm(
        y, under(params, "norm"), under(state, "norm"),
        training=training, epsilon=layer.epsilon, momentum=layer.momentum,
    )  # fmt: skip
    return activate(layer.activation, y), within("norm", new)


# name -> the options of Conv2d after its features, example, features
GEOMETRIES: dict[str, tuple[dict[str, object], tuple[int, int, int], int]] = {
    "3x3": ({}, (5, 6, 3), 4),
    "3x3-valid": ({"padding": "valid"}, (5, 4, 2), 3),
    "3x3-symmetric": ({"padding": "same-symmetric"}, (5, 4, 2), 3),
    "3x3-two-same-even": ({"stride": 2}, (6, 8, 2), 3),
    "3x3-two-symmetric-even": ({"stride": 2, "padding": "same-symmetric"}, (6, 8, 2), 3),
    "3x3-two-same-odd": ({"stride": 2}, (7, 5, 2), 3),
    "3x3-two-symmetric-odd": ({"stride": 2, "padding": "same-symmetric"}, (7, 5, 2), 3),
    "3x3-two-valid-rest": ({"stride": 2, "padding": "valid"}, (6, 8, 2), 3),
    "3x3-three": ({"stride": 3}, (8, 7, 2), 2),
    "2x2-same": ({"kernel": 2}, (4, 5, 2), 3),
    "2x2-symmetric": ({"kernel": 2, "padding": "same-symmetric"}, (4, 5, 2), 3),
    "4x4-two-same": ({"kernel": 4, "stride": 2}, (6, 7, 2), 2),
    "1x1": ({"kernel": 1}, (3, 4, 3), 5),
    "1x1-two-valid": ({"kernel": 1, "stride": 2, "padding": "valid"}, (6, 5, 3), 4),
    "1x1-two-same": ({"kernel": 1, "stride": 2}, (6, 5, 3), 4),
    "1x1-padded": ({"kernel": 1, "padding": ((1, 0), (0, 2))}, (3, 3, 2), 3),
    "7x7-two": ({"kernel": 7, "stride": 2, "padding": "same-symmetric"}, (9, 8, 1), 2),
    "wide-kernel": ({"kernel": (1, 3), "stride": (2, 1)}, (5, 6, 2), 3),
    "tall-kernel": ({"kernel": (3, 2), "stride": (1, 2), "padding": "valid"}, (5, 6, 2), 3),
    "tall-kernel-symmetric": ({"kernel": (5, 2), "stride": (3, 2), "padding": "same-symmetric"}, (7, 6, 2), 2),
    "lopsided": ({"padding": ((2, 0), (0, 1))}, (4, 5, 2), 3),
    "lopsided-two": ({"stride": 2, "padding": ((0, 3), (2, 1))}, (5, 6, 2), 3),
    "padding-above-kernel": ({"kernel": 2, "padding": ((3, 2), (0, 4))}, (3, 3, 1), 2),
    "stride-above-kernel": ({"kernel": 2, "stride": 3, "padding": "valid"}, (8, 7, 2), 3),
    "stride-above-kernel-same": ({"kernel": 2, "stride": 3}, (8, 7, 2), 3),
    "stride-above-image": ({"kernel": 1, "stride": 5, "padding": "valid"}, (3, 4, 2), 2),
    "kernel-above-image": ({"kernel": 5}, (2, 3, 2), 2),
    "kernel-above-image-two": ({"kernel": 5, "stride": 2, "padding": "same-symmetric"}, (2, 3, 2), 2),
    "whole-image": ({"kernel": (4, 3), "padding": "valid"}, (4, 3, 2), 3),
    "groups-2": ({"groups": 2}, (4, 5, 4), 6),
    "groups-2-two": ({"groups": 2, "stride": 2, "padding": "same-symmetric"}, (6, 5, 4), 2),
    "groups-3-1x1": ({"groups": 3, "kernel": 1}, (3, 3, 6), 3),
    "groups-dilated-two": ({"groups": 2, "stride": 2, "dilation": 2}, (7, 6, 4), 4),
    "depthwise": ({"groups": 4}, (4, 5, 4), 4),
    "depthwise-two": ({"groups": 3, "stride": 2}, (6, 5, 3), 3),
    "depthwise-5x5": ({"groups": 3, "kernel": 5, "padding": "same-symmetric"}, (5, 6, 3), 3),
    "depthwise-multiplier": ({"groups": 2}, (4, 4, 2), 6),
    "dilated": ({"dilation": 2}, (6, 7, 2), 3),
    "dilated-symmetric": ({"dilation": 2, "padding": "same-symmetric"}, (6, 7, 2), 3),
    "dilated-valid-two": ({"dilation": 2, "stride": 2, "padding": "valid"}, (8, 7, 2), 2),
    "dilated-oblong": ({"dilation": (3, 1), "kernel": (2, 3)}, (6, 4, 2), 2),
    "dilated-two-even": ({"dilation": 2, "stride": 2, "kernel": 2}, (6, 6, 2), 2),
    "one-pixel": ({}, (1, 1, 3), 2),
    "one-row": ({"kernel": (1, 3)}, (1, 6, 2), 2),
    "one-column-two": ({"stride": 2}, (6, 1, 2), 2),
    "one-channel": ({}, (4, 4, 1), 1),
}


def _geometry_cases() -> tuple[Case, ...]:
    return tuple(
        Case(name, Conv2d(features, **options), example)  # type: ignore[arg-type]
        for name, (options, example, features) in GEOMETRIES.items()
    )


REFERENCES = (
    Reference(
        "conv2d",
        _conv2d,
        (
            *_geometry_cases(),
            Case("batch-1", Conv2d(3), (4, 4, 2), batch=1),
            Case("batch-5", Conv2d(2, 3, 2), (4, 5, 2), batch=5),
            Case("biasless", Conv2d(3, bias=False), (4, 4, 2)),
            Case("biasless-relu", Conv2d(3, bias=False, activation="relu"), (4, 4, 2)),
            Case("inputs-given", Conv2d(3, inputs=2), (4, 4, 2)),
            *(Case(f"act-{name}", Conv2d(3, activation=name), (4, 4, 2)) for name in ACTIVATIONS),
            *(Case(f"kinks-{name}", Conv2d(4, 2, activation=name), (4, 4, 1), draw="kinks") for name in ACTIVATIONS),
        ),
        (
            BadCase(Conv2d(8), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image, or use dense"),
            BadCase(
                Conv2d(8, inputs=4), (8, 8, 3), "wants 4 channels, got [batch, 8, 8, 3]; set inputs=3 or leave it out"
            ),
            BadCase(Conv2d(8, groups=2), (8, 8, 3), "wants a multiple of groups=2 channels, got [batch, 8, 8, 3]"),
            BadCase(Conv2d(9, groups=2), (8, 8, 4), "features wants a multiple of groups=2, got 9"),
            BadCase(Conv2d(8, 5, padding="valid"), (4, 9, 3), "wants an image of at least 5 pixels a side, got 4x9"),
            BadCase(Conv2d(8, 3, padding="valid", dilation=4), (8, 8, 3), "wants an image of at least 9 pixels a side"),
            BadCase(Conv2d(8, 0), (8, 8, 3), "kernel wants positive integers, got 0"),
            BadCase(Conv2d(8, stride=(1, 0)), (8, 8, 3), "stride wants positive integers, got (1, 0)"),
            BadCase(Conv2d(8, dilation=-1), (8, 8, 3), "dilation wants positive integers, got -1"),
            BadCase(Conv2d(8, padding="SAME"), (8, 8, 3), "padding wants one of same, same-symmetric, valid"),  # type: ignore[arg-type]
            BadCase(Conv2d(8, padding=((0, -1), (0, 0))), (8, 8, 3), "padding wants no negative numbers"),
            BadCase(Conv2d(0), (8, 8, 3), "features wants a positive integer, got 0"),
            BadCase(Conv2d(8, activation="mish"), (8, 8, 3), "activation wants one of identity, relu"),
        ),
    ),
    Reference(
        "convBn",
        _conv_bn,
        (
            Case("3x3", ConvBn(4), (4, 5, 3)),
            Case("3x3-two-same-even", ConvBn(3, 3, 2), (6, 4, 2)),
            Case("3x3-two-symmetric-even", ConvBn(3, 3, 2, "same-symmetric"), (6, 4, 2)),
            Case("1x1-two", ConvBn(3, 1, 2, "valid", activation="identity"), (6, 5, 2)),
            Case("groups", ConvBn(4, groups=2), (4, 4, 4)),
            Case("depthwise-dilated", ConvBn(3, groups=3, dilation=2), (5, 5, 3)),
            Case("batch-1", ConvBn(2), (4, 4, 2), batch=1),
            Case("single-element", ConvBn(2, 3, padding="valid"), (3, 3, 2), batch=1),
            Case("inputs-given", ConvBn(2, inputs=3), (3, 3, 3)),
            Case("dead-channels", ConvBn(8), (3, 3, 2), draw="kinks"),
            Case("epsilon-and-momentum", ConvBn(2, epsilon=0.1, momentum=0.01), (4, 4, 2)),
            Case("evaluation", ConvBn(3, activation="h-swish"), (4, 4, 2), training=False),
            *(Case(f"act-{name}", ConvBn(3, 2, activation=name), (4, 4, 2)) for name in ACTIVATIONS),
        ),
        (
            BadCase(ConvBn(8), (16,), "wants [batch, H, W, C], got [batch, 16]"),
            BadCase(ConvBn(8, inputs=4), (8, 8, 3), "wants 4 channels, got [batch, 8, 8, 3]"),
            BadCase(ConvBn(8, activation="mish"), (8, 8, 3), "activation wants one of identity, relu"),
            BadCase(ConvBn(8, epsilon=0.0), (8, 8, 3), "epsilon wants a positive number, got 0.0"),
            BadCase(ConvBn(7, groups=2), (8, 8, 4), "features wants a multiple of groups=2, got 7"),
        ),
    ),
)
