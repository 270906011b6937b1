"""Windows that slide over images: kernel, stride, padding, dilation. Shared by convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from netc.netspec.layer import LayerError

Pair = tuple[int, int]
Padding = Literal["same", "same-symmetric", "valid"] | tuple[Pair, Pair]
MOST_PLACES = 1 << 16  # of a window; a program may spell out every one
PADDINGS = ("same", "same-symmetric", "valid")


def pair(value: int | Pair) -> Pair:
    """`3` -> `(3, 3)`."""
    return (value, value) if isinstance(value, int) else value


def extent(kernel: int, dilation: int) -> int:
    """The number of pixels that a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def resolve_padding(
    padding: Padding, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> tuple[Pair, Pair]:
    """The pixels added before and after each of (H, W).

    same: output ceil(size / stride), the odd pixel after (XLA, TensorFlow). same-symmetric: dilation * (k // 2) on
    both sides (torchvision). They differ for even sizes with a stride.
    """
    if not isinstance(padding, str):
        return padding
    if padding == "valid":
        return ((0, 0), (0, 0))
    if padding == "same-symmetric":
        sides = [(d * (k // 2), d * (k // 2)) for k, d in zip(kernel, dilation, strict=True)]
        return (sides[0], sides[1])
    sides = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + extent(k, d) - n, 0)
        sides.append((total // 2, total - total // 2))
    return (sides[0], sides[1])


def window_output(size: Pair, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair = (1, 1)) -> Pair:
    """The output's (H, W); raises LayerError when the window does not fit."""
    out = []
    for n, k, s, (lo, hi), d in zip(size, kernel, stride, padding, dilation, strict=True):
        room = n + lo + hi - extent(k, d)
        if room < 0:
            raise LayerError(
                f"wants an image of at least {extent(k, d) - lo - hi} pixels a side, got {size[0]}x{size[1]}; "
                "use a larger input, padding 'same', or fewer strides before it"
            )
        out.append(room // s + 1)
    return (out[0], out[1])


def window_problems(
    kernel: int | Pair, stride: int | Pair, padding: Padding, dilation: int | Pair = 1
) -> Iterator[str]:
    """Yield a sentence for each window option that no input could make right."""
    for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        if any(v < 1 for v in pair(value)):
            yield f"{name} wants positive integers, got {value}"
    if math.prod(pair(kernel)) > MOST_PLACES and min(pair(kernel)) > 0:
        yield f"kernel wants at most {MOST_PLACES} positions, got {kernel}"
    if isinstance(padding, str):
        if padding not in PADDINGS:
            yield f"padding wants one of {', '.join(PADDINGS)} or ((top, bottom), (left, right)), got {padding!r}"
    elif any(v < 0 for side in padding for v in side):
        yield f"padding wants no negative numbers, got {padding}"


def window_label(kernel: int | Pair, stride: int | Pair) -> str:
    """`3x3/2`."""
    k, s = pair(kernel), pair(stride)
    return f"{k[0]}x{k[1]}" + ("" if s == (1, 1) else f"/{s[0]}" if s[0] == s[1] else f"/{s[0]}x{s[1]}")
