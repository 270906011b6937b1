"""Forms of convolution and its two gradients. All compute the same sums; which is fast depends on target and shape.

Every form takes any stride, padding, dilation and number of groups, unless its docstring says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.table import summed
from netc.codegen.ops.window import Pair, Sides, tap_bounds
from netc.codegen.rewrite.group_forms import forward_grouped, input_grouped
from netc.codegen.rewrite.kernel_forms import kernel_folded, kernel_outer
from netc.codegen.rewrite.taps import Window, by_shift, input_by_phase, padded, place, shifted, view, window_of
from netc.codegen.rewrite.winograd import forward_winograd, input_winograd, kernel_winograd
from netc.codegen.rewrite.winograd_stacked import forward_stacked, input_stacked, kernel_stacked
from netc.netspec.types import TensorType

Form = Callable[[Builder, Op, Value, Value], Value | None]


def _rows(b: Builder, x: Value) -> Value:
    """[N, P, Q, C] -> [N P Q, C]."""
    return b.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _tap_matrix(b: Builder, w: Value, tap: Pair) -> Value:
    """[kh, kw, I, O] -> the [I, O] of one tap."""
    a, c = tap
    return b.reshape(b.slice(w, (a, c, 0, 0), (a + 1, c + 1, *w.shape[2:])), w.shape[2:])


# -- forward -------------------------------------------------------------------------------------------------------


def forward_direct(b: Builder, op: Op, x: Value, w: Value) -> Value | None:
    """The convolution as it stands."""
    return None


def wide_copy(b: Builder, v: Value) -> Value:
    """bf16 numbers as float32, held apart from the operation: joined with it they are widened once for every tap."""
    wide = b.convert(v, summed(v.type.dtype))
    return v if wide is v else b.op("barrier", wide)


def forward_widened(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """In float32 of bf16 numbers, the same sums of the same exact products: by taps where x has one channel."""
    x, w = wide_copy(b, x), wide_copy(b, w)
    return forward_shifted(b, op, x, w) if x.shape[3] == 1 else b.op("conv", x, w, **dict(op.attrs))


def forward_im2col(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """All taps side by side on the channel axis, then one product. groups = 1."""
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    image = x if win.plain else padded(b, x, win)
    columns = b.concatenate([view(b, image, win, tap) for tap in win.positions], 3)
    kernel = b.reshape(w, (math.prod(w.shape[:3]), w.shape[3]))
    return b.reshape(b.dot(_rows(b, columns), kernel, (1, 0)), op.result.shape)


def forward_shifted(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """One product for each tap, summed. groups = 1."""
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    image = padded(b, x, win)
    y: Value | None = None
    for tap in win.positions:
        term = b.dot(_rows(b, view(b, image, win, tap)), _tap_matrix(b, w, tap), (1, 0))
        y = term if y is None else b.add(y, term)
    assert y is not None
    return b.reshape(y, op.result.shape)


def _patches(b: Builder, x: Value, win: Window) -> Value:
    """[N, H, W, C] -> [N P Q, kh kw C]: the windows, where each pixel belongs to one at most; one transpose."""
    (n, _, _, c), (p, q), (kh, kw) = x.shape, win.out, win.kernel
    seen = b.slice(x, (0, 0, 0, 0), (n, p * kh, q * kw, c))
    apart = b.transpose(b.reshape(seen, (n, p, kh, q, kw, c)), (0, 1, 3, 2, 4, 5))
    return b.reshape(apart, (n * p * q, kh * kw * c))


def forward_patches(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """One product with the windows side by side. Windows that `tiles` says of; groups = 1."""
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    kernel = b.reshape(w, (math.prod(w.shape[:3]), w.shape[3]))
    return b.reshape(b.dot(_patches(b, x, win), kernel, (1, 0)), op.result.shape)


def forward_depthwise(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """Elementwise over taps. groups = channels = features.

    The barrier keeps the tap that sees x itself, of a padded image, out of the loop that computes x: IREE 3.12 unrolls
    a product whose loop writes two results over all of the second (docs/known-limits.md).
    """
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    image = b.op("barrier", padded(b, x, win))
    y: Value | None = None
    for tap in win.positions:
        v = view(b, image, win, tap)
        row = b.reshape(_tap_matrix(b, w, tap), (w.shape[3],))
        term = b.mul(v, b.broadcast(row, v))
        y = term if y is None else b.add(y, term)
    assert y is not None
    return y


# -- gradient of the image -----------------------------------------------------------------------------------------


def adjoint_kernel(b: Builder, w: Value, groups: int) -> Value:
    """[kh, kw, I, G Og] -> [kh, kw, Og, G I], both spatial axes reversed; without groups [kh, kw, I, O] as it is."""
    kh, kw, i, o = w.shape
    if groups == 1:
        return b.op("reverse", w, dims=(0, 1))
    split = b.transpose(b.reshape(w, (kh, kw, i, groups, o // groups)), (0, 1, 4, 3, 2))
    return b.op("reverse", b.reshape(split, (kh, kw, o // groups, groups * i)), dims=(0, 1))


def adjoint_padding(win: Window) -> Sides:
    """How dy, spread by the stride, is padded so that a window over it sees what saw a pixel; negative sides cut."""
    sides = []
    for axis in (0, 1):
        reach = (win.kernel[axis] - 1) * win.dilation[axis]
        spread = (win.out[axis] - 1) * win.stride[axis] + 1
        low = reach - win.padding[axis][0]
        sides.append((low, win.size[axis] + reach - spread - low))
    return sides[0], sides[1]


def input_direct(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """A convolution of dy, spread by the stride, with the reversed and transposed kernel."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    padding = (t, bottom), (left, r) = adjoint_padding(win)
    if win.stride != (1, 1) or min(t, bottom, left, r) < 0:
        interior = (0, win.stride[0] - 1, win.stride[1] - 1, 0)
        dy = b.pad(dy, (0, t, left, 0), (0, bottom, r, 0), interior)
        padding = ((0, 0), (0, 0))
    groups = op.attr("groups")
    kernel = adjoint_kernel(b, w, groups)
    window = {"stride": (1, 1), "padding": padding, "dilation": win.dilation, "groups": groups}
    return b.op("conv", dy, kernel, **window, **({"swap": True} if groups == 1 else {}))


def input_widened(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """`direct`, in float32 of bf16 numbers."""
    return input_direct(b, op, wide_copy(b, dy), wide_copy(b, w))


def input_phase_shifted(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """For each phase, one product for each of its taps, summed. groups = 1."""

    def phase(pairs: list[tuple[Pair, Pair]], size: Pair) -> Value:
        total: Value | None = None
        for tap, shift in pairs:
            term = b.dot(_rows(b, shifted(b, dy, shift, size)), _tap_matrix(b, w, tap), (1, 1))
            total = term if total is None else b.add(total, term)
        assert total is not None
        return b.reshape(total, (dy.shape[0], *size, w.shape[2]))

    return input_by_phase(b, op, dy, w, phase)


def input_phase_im2col(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """For each phase, its taps side by side, then one product. groups = 1."""

    def phase(pairs: list[tuple[Pair, Pair]], size: Pair) -> Value:
        columns = b.concatenate([shifted(b, dy, shift, size) for _, shift in pairs], 3)
        kernel = b.concatenate([b.transpose(_tap_matrix(b, w, tap), (1, 0)) for tap, _ in pairs], 0)
        return b.reshape(b.dot(_rows(b, columns), kernel, (1, 0)), (dy.shape[0], *size, w.shape[2]))

    return input_by_phase(b, op, dy, w, phase)


def input_col2im(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """One product for all taps, then each tap's part put where its pixels are. groups = 1."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    n, p, q, o = dy.shape
    channels = w.shape[2]
    kernel = b.reshape(w, (math.prod(w.shape[:3]), o))
    parts = b.reshape(b.dot(_rows(b, dy), kernel, (1, 1)), (n, p, q, len(win.positions) * channels))
    dx: Value | None = None
    for number, tap in enumerate(win.positions):
        part = b.slice(parts, (0, 0, 0, number * channels), (n, p, q, (number + 1) * channels))
        placed = place(b, part, win, tap)
        dx = placed if dx is None else b.add(dx, placed)
    assert dx is not None
    return dx


def input_patches(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """One product, then the windows back to their places. Windows that `tiles` says of; groups = 1."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    (n, p, q, o), (kh, kw, c, _) = dy.shape, w.shape
    parts = b.dot(_rows(b, dy), b.reshape(w, (kh * kw * c, o)), (1, 1))
    apart = b.transpose(b.reshape(parts, (n, p, q, kh, kw, c)), (0, 1, 3, 2, 4, 5))
    seen = b.reshape(apart, (n, p * kh, q * kw, c))
    return b.pad(seen, (0, 0, 0, 0), (0, win.size[0] - p * kh, win.size[1] - q * kw, 0))


def input_depthwise(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """For each shift, dy times what every phase's tap weighs, or 0. groups = channels = features."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    margin = tuple(count - 1 for count in win.phases)  # what is no tap weighs 0
    between = tuple(d - 1 for d in win.dilation)
    taps = b.pad(w, (*margin, 0, 0), (*margin, 0, 0), (*between, 0, 0))

    def term(first: Pair, values: list[Value]) -> Value:
        (row, column), (rows, columns) = [f + m for f, m in zip(first, margin, strict=True)], win.phases
        weights = b.slice(taps, (row, column, 0, 0), (row + rows, column + columns, 1, w.shape[3]))
        weights = b.reshape(weights, (rows, columns, w.shape[3]))
        return b.mul(values[0], b.broadcast(weights, values[0], (2, 4, 5)))

    return by_shift(b, win, [dy], term)


# -- gradient of the kernel ----------------------------------------------------------------------------------------


def kernel_shifted(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """dw[tap] = (pixels of the tap)ᵀ dy: one product for each tap and, with groups, each group."""
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    image, groups = padded(b, x, win), op.attr("groups")
    per_tap = [_tap_product(b, view(b, image, win, tap), dy, groups) for tap in win.positions]
    return b.reshape(_stacked(b, per_tap), op.result.shape)


def _stacked(b: Builder, parts: list[Value]) -> Value:
    """Tensors of one shape along a new first axis."""
    return b.concatenate([b.reshape(p, (1, *p.shape)) for p in parts], 0)


def _tap_product(b: Builder, x: Value, dy: Value, groups: int) -> Value:
    """[N, P, Q, G I], [N, P, Q, G Og] -> [I, G Og]."""
    if groups == 1:
        return b.dot(x, dy, ((0, 1, 2), (0, 1, 2)))
    x, dy = _rows(b, x), _rows(b, dy)
    m, i, o = x.shape[0], x.shape[1] // groups, dy.shape[1] // groups
    if i == 1:  # depthwise: a sum over rows of elementwise products
        wide = b.broadcast(x, TensorType((m, groups, o)), (0, 1))
        product = b.mul(b.reshape(wide, dy.shape), dy)
        return b.reshape(b.sum(product, (0,)), (1, dy.shape[1]))
    parts = b.dot(b.reshape(x, (m, groups, i)), b.reshape(dy, (m, groups, o)), ((0,), (0,)), ((1,), (1,)))
    return b.reshape(b.transpose(parts, (1, 0, 2)), (i, groups * o))


def kernel_depthwise(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """dw[tap, c] = sum over pixels of x[pixel + tap, c] dy[pixel, c], along the longer side first.

    groups = channels = features. The barriers keep the padded image out of the loops of all taps, and each tap's sum
    out of the loop that stacks them.
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    image, side = b.op("barrier", padded(b, x, win)), 2 if win.out[1] >= win.out[0] else 1
    rows = [b.sum(b.mul(view(b, image, win, tap), dy), (side,)) for tap in win.positions]
    return b.reshape(b.sum(b.op("barrier", _stacked(b, rows)), (1, 2)), op.result.shape)


def kernel_across(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """A depthwise convolution of x with dy as kernel, for each channel of each image, then the sum over images.

    x [N, H, W, C] -> image [1, H, W, N C], dy [N, P, Q, C] -> kernel [P, Q, 1, N C], result [1, kh, kw, N C]. Stride
    and dilation change places. groups = channels = features. The barriers keep the turned tensors out of the loop.
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    n, p, q, c = dy.shape
    _, (e, f) = tap_bounds((win.kernel[0] - 1, win.kernel[1] - 1), win.out, win.stride, win.dilation)
    image = b.slice(padded(b, x, win), (0, 0, 0, 0), (n, e, f, c))
    image, kernel = (b.op("barrier", b.transpose(v, (1, 2, 0, 3))) for v in (image, dy))
    y = b.op(
        "conv", b.reshape(image, (1, e, f, n * c)), b.reshape(kernel, (p, q, 1, n * c)), stride=win.dilation,
        padding=((0, 0), (0, 0)), dilation=win.stride, groups=n * c,
    )  # fmt: skip
    return b.reshape(b.sum(b.reshape(y, (*win.kernel, n, c)), (2,)), op.result.shape)


def kernel_im2col(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """All taps side by side, transposed, times dy: one product. groups = 1."""
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    image = padded(b, x, win)
    columns = b.concatenate([view(b, image, win, tap) for tap in win.positions], 3)
    return b.reshape(b.dot(_rows(b, columns), _rows(b, dy), (0, 0)), op.result.shape)


def kernel_patches(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """The windows side by side, transposed, times dy: one product. Windows that `tiles` says of; groups = 1."""
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    return b.reshape(b.dot(_patches(b, x, win), _rows(b, dy), (0, 0)), op.result.shape)


def kernel_convolution(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """A convolution of x with dy as kernel: channels play the images, stride and dilation change places. groups = 1.

    x [N, H, W, C] -> image [C, H, W, N], dy [N, P, Q, O] -> kernel [P, Q, N, O], result [C, kh, kw, O].
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    sides = []
    for axis in (0, 1):  # what the forward window never saw at the high side must not be seen here either
        low = win.padding[axis][0]
        seen = (win.kernel[axis] - 1) * win.dilation[axis] + (win.out[axis] - 1) * win.stride[axis] + 1
        sides.append((low, seen - win.size[axis] - low))
    image, padding = b.transpose(x, (3, 1, 2, 0)), ((sides[0]), (sides[1]))
    if min(sides[0][1], sides[1][1]) < 0:
        image = b.pad(image, (0, 0, 0, 0), (0, min(sides[0][1], 0), min(sides[1][1], 0), 0))
        padding = ((sides[0][0], max(sides[0][1], 0)), (sides[1][0], max(sides[1][1], 0)))
    kernel = b.transpose(dy, (1, 2, 0, 3))
    dw = b.op("conv", image, kernel, stride=win.dilation, padding=padding, dilation=win.stride, groups=1)
    return b.transpose(dw, (1, 2, 0, 3))


CONV_FORMS: dict[str, dict[str, Form]] = {
    "conv": {
        "direct": forward_direct,
        "im2col": forward_im2col,
        "shifted": forward_shifted,
        "depthwise": forward_depthwise,
        "grouped": forward_grouped,
        "patches": forward_patches,
        "winograd": forward_winograd,
        "winograd-stacked": forward_stacked,
        "widened": forward_widened,
    },
    "conv_input_grad": {
        "direct": input_direct,
        "phase-shifted": input_phase_shifted,
        "phase-im2col": input_phase_im2col,
        "col2im": input_col2im,
        "depthwise": input_depthwise,
        "grouped": input_grouped,
        "patches": input_patches,
        "winograd": input_winograd,
        "winograd-stacked": input_stacked,
        "widened": input_widened,
    },
    "conv_kernel_grad": {
        "shifted": kernel_shifted,
        "depthwise": kernel_depthwise,
        "across": kernel_across,
        "im2col": kernel_im2col,
        "convolution": kernel_convolution,
        "patches": kernel_patches,
        "outer": kernel_outer,
        "folded": kernel_folded,
        "winograd": kernel_winograd,
        "winograd-stacked": kernel_stacked,
    },
}


def geometry(op: Op) -> tuple[Window, int, int, int]:
    """(window, channels, features, groups) of any of the three convolution ops."""
    first, second = (v.shape for v in op.operands)
    out = op.result.shape
    if op.kind == "conv":
        return window_of(op, first[1:3], out[1:3], second[:2]), first[3], out[3], op.attr("groups")
    if op.kind == "conv_input_grad":
        return window_of(op, op.attr("size"), first[1:3], second[:2]), out[3], first[3], op.attr("groups")
    return window_of(op, first[1:3], second[1:3], op.attr("kernel")), first[3], second[3], op.attr("groups")


def tiles(w: Window) -> bool:
    """Whether windows lie side by side from the first pixel on, so that none overlap and none see padding."""
    return (
        w.kernel == w.stride
        and w.dilation == (1, 1)
        and all(lo == 0 and o * k <= n for n, o, k, (lo, _) in zip(w.size, w.out, w.kernel, w.padding, strict=True))
    )
