"""Convolutions and pools of a text, read by their numbers.

A convolution is one of the forward pass, or one of the two gradients that it may be. Where none fits, the error has the
line and the numbers that do not.
"""

from __future__ import annotations

import math
from typing import Any

from netc.codegen.ir import Op, Value
from netc.netspec.types import TensorType
from netc.proofs.foreign.text import Text

Pair = tuple[int, int]


def convolution(t: Text, op: Op, args: list[Value]) -> Value:
    """A convolution along two axes. Raises UnreadError for one that is none of the three."""
    c = op.attr("numbers")
    if len(c.stride) != 2:
        raise t.refuse(op, f"along {len(c.stride)} axes; two are read")
    x, w = args
    (xn, xc, xs), (wi, wo, ws), (yn, yc, ys) = c.x_axes, c.w_axes, c.y_axes
    turned = tuple(bool(r) for r in c.reversal)
    kernel = w
    if (back := t.maker(w, "reverse")) is not None and not any(turned) and set(back.attr("dims")) == set(ws):
        kernel, turned = back.operands[0], (True, True)
    taps = tuple(w.shape[a] for a in ws)
    if any(turned):
        if turned != (True, True) or c.stride != (1, 1) or c.batch_groups != 1:
            raise t.refuse(op, f"with reversal {turned}, stride {c.stride} and batch groups {c.batch_groups}")
        made = _input_grad(t, op, t.transposed(x, (xn, *xs, xc)), t.transposed(kernel, (*ws, wo, wi)), taps)
    elif c.x_dilation != (1, 1):
        raise t.refuse(op, f"with lhs_dilation {c.x_dilation} and a kernel that is not reversed")
    elif t.loc.endswith(" (vjp)") and c.feature_groups == 1:
        # the images of the convolution are channels of this one, so its kernel is the cotangent
        image, dy = t.transposed(x, (xc, *xs, xn)), t.transposed(w, (wi, *ws, wo))
        size = tuple(op.result.shape[a] for a in ys)
        padding = _fitting(image, size, taps, c.w_dilation, c.low, c.stride)
        made = t.b.op(
            "conv_kernel_grad", image, dy, kernel=size, stride=c.w_dilation, padding=padding, dilation=c.stride,
            groups=c.batch_groups,
        )  # fmt: skip
        place = {yn: 2, yc: 3, **{a: i for i, a in enumerate(ys)}}
        return t.transposed(made, tuple(place[i] for i in range(4)))
    elif c.batch_groups != 1:
        raise t.refuse(op, f"of the forward pass with batch groups {c.batch_groups}")
    else:
        sides = tuple(zip(c.low, c.high, strict=True))
        made = t.b.op(
            "conv", t.transposed(x, (xn, *xs, xc)), t.transposed(w, (*ws, wi, wo)), stride=c.stride, padding=sides,
            dilation=c.w_dilation, groups=c.feature_groups,
        )  # fmt: skip
    place = {yn: 0, yc: 3, **{a: i + 1 for i, a in enumerate(ys)}}
    return t.transposed(made, tuple(place[i] for i in range(4)))


def _input_grad(t: Text, op: Op, dy: Value, w: Value, taps: tuple[int, ...]) -> Value:
    """The kernel turned round: h + d (k - 1 - a) = low + s p is h + (d (k - 1) - low) = s p + d a.

    w [a, b, G I, O]; the kernel of the convolution is [a, b, I, G O].
    """
    c = op.attr("numbers")
    size = tuple(op.result.shape[a] for a in c.y_axes[2])
    groups = c.feature_groups
    if groups > 1:
        a, b, inputs, own = w.shape
        w = t.b.reshape(t.b.transpose(t.b.reshape(w, (a, b, groups, inputs // groups, own)), (0, 1, 3, 2, 4)),
                        (a, b, inputs // groups, groups * own))  # fmt: skip
    low = tuple(d * (k - 1) - lo for d, k, lo in zip(c.w_dilation, taps, c.low, strict=True))
    image = Value(TensorType((dy.shape[0], *size, 1)))
    padding = _fitting(image, taps, dy.shape[1:3], c.x_dilation, low, c.w_dilation)
    return t.b.op(
        "conv_input_grad", dy, w, size=size, stride=c.x_dilation, padding=padding, dilation=c.w_dilation, groups=groups
    )  # fmt: skip


def _fitting(
    image: Value, taps: tuple[int, ...], out: tuple[int, ...], stride: Pair, low: tuple[int, ...], dilation: Pair
) -> tuple[tuple[int, int], ...]:
    """The padding on both sides with which windows give `out` pixels; past the image there is only 0."""
    return tuple(
        (lo, (p - 1) * s + (k - 1) * d + 1 - n - lo)
        for n, k, p, s, lo, d in zip(image.shape[1:3], taps, out, stride, low, dilation, strict=True)
    )


# -- windows ---------------------------------------------------------------------------------------------------------


def reduce_window(t: Text, op: Op, args: list[Value]) -> Value:
    """A pool; or, of what was padded, the gradient of a sum over windows. Raises UnreadError for another."""
    by, window = op.attr("by"), op.attr("window")
    kernel, stride = _square(t, op, window)
    if by not in ("add", "max") or set(window.dilation) != {1}:
        raise t.refuse(op, f"by {by} with window dilations {window.dilation}")
    low, high, spread = window.low[1:3], window.high[1:3], window.base[1:3]
    padded = t.maker(args[0], "pad")
    if by == "add" and stride == (1, 1) and padded is not None and t.loc.endswith(" (vjp)") and spread == (1, 1):
        dy, before = padded.operands[0], dict(padded.attrs)
        # more 0 around an image changes no sum; other numbers, what is cut off, and images between images do
        plain = all(before[side][a] == 0 for side in ("low", "high", "interior") for a in (0, 3))
        if plain and t.number(padded.operands[1]) == 0 and min(*before["low"], *before["high"]) >= 0:
            # every pixel sees the windows that saw it: h + (k - 1 - a) = low + s p
            stride = tuple(i + 1 for i in before["interior"][1:3])
            own = tuple(k - 1 - lo - b for k, lo, b in zip(kernel, low, before["low"][1:3], strict=True))
            size = op.result.shape[1:3]
            padding = _fitting(op.result, kernel, dy.shape[1:3], stride, own, (1, 1))
            return t.b.op("sum_pool_grad", dy, size=size, kernel=kernel, stride=stride, padding=padding)
    if spread != (1, 1):
        raise t.refuse(op, f"with base dilations {window.base}")
    kind = "sum_pool" if by == "add" else "max_pool"
    return t.b.op(kind, args[0], kernel=kernel, stride=stride, padding=tuple(zip(low, high, strict=True)))


def _square(t: Text, op: Op, window: Any) -> tuple[Pair, Pair]:
    """Size and stride of a window of images [N, H, W, C]."""
    size, step = window.size, window.stride
    if len(size) != 4 or {size[0], size[3], step[0], step[3]} != {1}:
        raise t.refuse(op, f"with windows {window.size} and strides {window.stride}; those of [N, H, W, C] are read")
    return size[1:3], step[1:3]


def select_and_scatter(t: Text, op: Op, args: list[Value]) -> Value:
    """The gradient of a maximum: that pool of the forward pass is looked for, and its padding taken from the image."""
    x, dy, _ = args
    window = op.attr("window")
    kernel, stride = _square(t, op, window)
    low, high = window.low, window.high
    padded = t.maker(x, "pad")
    if padded is not None and t.number(padded.operands[1]) == -math.inf and not any(padded.attr("interior")):
        x = padded.operands[0]
        low, high = (tuple(map(sum, zip(a, padded.attr(w), strict=True))) for a, w in ((low, "low"), (high, "high")))
    else:
        padded = None
    sides = tuple(zip(low[1:3], high[1:3], strict=True))
    same = {"kernel": kernel, "stride": stride, "padding": sides}
    for pool in t.b.ops:
        if pool.kind == "max_pool" and pool.operands[0] is x and dict(pool.attrs) == same:
            made = t.b.op("max_pool_grad", x, pool.result, dy, **same)
            return made if padded is None else t.b.pad(made, padded.attr("low"), padded.attr("high"))
    raise t.refuse(op, "of no maximum over the same windows in the forward pass")
