"""Operations on windows: convolution and pooling, and their gradients as operations of their own.

How each is computed is a target's choice (codegen/rewrite); what it means is here. All images are [N, H, W, C],
all kernels [kh, kw, C / groups, O]. The meaning goes tap by tap: a tap is one position (a, b) of the window, and
the pixels that it sees are a strided slice of the padded image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import OpDef, arrow, extreme, ints, summed, want
from netc.netspec.types import TensorType

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]


def window_size(size: Sequence[int], kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    """The (H, W) of the output."""
    out = [
        (n + lo + hi - (k - 1) * d - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
    want(min(out) > 0, "a window that fits into the padded image", f"{kernel[0]}x{kernel[1]} on {tuple(size)}")
    return (out[0], out[1])


def _conv(
    x: TensorType,
    w: TensorType,
    *,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    swap: bool = False,
    spread: Pair = (1, 1),
) -> TensorType:
    """`swap`: the kernel is written [kh, kw, O, I], as a gradient finds it. `spread`: zeros between the pixels of x."""
    want(x.rank == 4 and w.rank == 4, "an image and a kernel of 4 axes", (str(x), str(w)))
    want(x.dtype == w.dtype, "operands of one element type", (x.dtype, w.dtype))
    w = TensorType((w.shape[0], w.shape[1], w.shape[3], w.shape[2]), w.dtype) if swap else w
    want(x.shape[3] == w.shape[2] * groups, f"{w.shape[2] * groups} channels", x)
    want(w.shape[3] % groups == 0, f"a multiple of {groups} features", w)
    size = [(n - 1) * s + 1 for n, s in zip(x.shape[1:3], spread, strict=True)]
    height, width = window_size(size, (w.shape[0], w.shape[1]), stride, padding, dilation)
    return TensorType((x.shape[0], height, width, w.shape[3]), summed(x.dtype))


def _conv_input_grad(
    dy: TensorType, w: TensorType, *, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> TensorType:
    x = TensorType((dy.shape[0], *size, w.shape[2] * groups), dy.dtype)
    y = _conv(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    want(y.shape == dy.shape, "dy of y's shape", dy)
    return TensorType(x.shape, summed(dy.dtype))


def _conv_kernel_grad(
    x: TensorType, dy: TensorType, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> TensorType:
    want(x.dtype == dy.dtype, "operands of one element type", (x.dtype, dy.dtype))
    w = TensorType((*kernel, x.shape[3] // groups, dy.shape[3]), x.dtype)
    y = _conv(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups)
    want(y.shape == dy.shape, "dy of y's shape", dy)
    return TensorType(w.shape, summed(x.dtype))


def pool(x: TensorType, *, kernel: Pair, stride: Pair, padding: Sides) -> TensorType:
    """The type of a pooled image."""
    want(x.rank == 4, "an image of 4 axes", x)
    return TensorType((x.shape[0], *window_size(x.shape[1:3], kernel, stride, padding, (1, 1)), x.shape[3]), x.dtype)


def _max_pool_grad(
    x: TensorType, y: TensorType, dy: TensorType, *, kernel: Pair, stride: Pair, padding: Sides
) -> TensorType:
    want(
        pool(x, kernel=kernel, stride=stride, padding=padding) == y == dy,
        "y and dy of the pool's type",
        (str(y), str(dy)),
    )
    return x


def _sum_pool_grad(dy: TensorType, *, size: Pair, kernel: Pair, stride: Pair, padding: Sides) -> TensorType:
    x = TensorType((dy.shape[0], *size, dy.shape[3]), dy.dtype)
    want(pool(x, kernel=kernel, stride=stride, padding=padding) == dy, "dy of the pool's type", dy)
    return x


def taps(kernel: Pair) -> Iterator[Pair]:
    """The positions of a window in row-major order."""
    return ((a, b) for a in range(kernel[0]) for b in range(kernel[1]))


def tap_bounds(tap: Pair, out: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Where in the padded image a tap's pixels begin and end, for each of (H, W)."""
    start = (tap[0] * dilation[0], tap[1] * dilation[1])
    limit = (start[0] + (out[0] - 1) * stride[0] + 1, start[1] + (out[1] - 1) * stride[1] + 1)
    return start, limit


class _Window:
    """The padded image of one op and the view of each tap in it."""

    def __init__(self, A: Any, size: Pair, out: Pair, stride: Pair, padding: Sides, dilation: Pair) -> None:
        self.A, self.size, self.out, self.stride, self.padding, self.dilation = A, size, out, stride, padding, dilation
        self.padded = tuple(n + lo + hi for n, (lo, hi) in zip(size, padding, strict=True))

    def pad(self, x: Any, value: Any) -> Any:
        (t, b), (le, r) = self.padding
        return self.A.pad(x, value, (0, t, le, 0), (0, b, r, 0), (0, 0, 0, 0))

    def view(self, padded: Any, tap: Pair) -> Any:
        """[N, H + pads, W + pads, C] -> [N, P, Q, C]."""
        (a, b), (c, d) = tap_bounds(tap, self.out, self.stride, self.dilation)
        n, channels = self.A.shape(padded)[0], self.A.shape(padded)[3]
        return self.A.slice(padded, (0, a, b, 0), (n, c, d, channels), (1, *self.stride, 1))

    def place(self, piece: Any, tap: Pair, zero: Any) -> Any:
        """The adjoint of pad then view: [N, P, Q, C] -> [N, H, W, C], zero elsewhere."""
        start, limit = tap_bounds(tap, self.out, self.stride, self.dilation)
        low = [s - lo for s, (lo, _) in zip(start, self.padding, strict=True)]
        high = [p - e - hi for p, e, (_, hi) in zip(self.padded, limit, self.padding, strict=True)]
        interior = (0, self.stride[0] - 1, self.stride[1] - 1, 0)
        return self.A.pad(piece, zero, (0, *low, 0), (0, *high, 0), interior)


def _split(A: Any, x: Any, groups: int) -> Any:
    """The last axis as [groups, rest]."""
    shape = A.shape(x)
    return A.reshape(x, (*shape[:-1], groups, shape[-1] // groups))


def _grouped(A: Any, x: Any, w: Any, groups: int) -> Any:
    """[N, P, Q, G I] times [I, G O] for each group: [N, P, Q, G O]."""
    if groups == 1:
        return A.dot(x, w, ((3,), (0,)), ((), ()))
    n, p, q, channels = A.shape(x)
    if A.shape(w) == (1, channels) and channels == groups:  # depthwise: one number a channel
        return A.mul(x, A.broadcast(A.reshape(w, (channels,)), (n, p, q, channels), (3,)))
    y = A.dot(_split(A, x, groups), _split(A, w, groups), ((4,), (0,)), ((3,), (1,)))  # [G, N, P, Q, O]
    return A.reshape(A.transpose(y, (1, 2, 3, 0, 4)), (n, p, q, A.shape(w)[1]))


def _kernel_tap(A: Any, w: Any, tap: Pair) -> Any:
    """[kh, kw, I, O] -> [I, O]."""
    shape = A.shape(w)
    a, b = tap
    return A.reshape(A.slice(w, (a, b, 0, 0), (a + 1, b + 1, *shape[2:]), (1, 1, 1, 1)), shape[2:])


def _of(A: Any, op: Op, size: Sequence[int], out: Sequence[int]) -> _Window:
    dilation = dict(op.attrs).get("dilation", (1, 1))
    return _Window(A, (size[0], size[1]), (out[0], out[1]), op.attr("stride"), op.attr("padding"), dilation)


def _zero(A: Any, t: TensorType) -> Any:
    return A.constant(0.0, TensorType((), t.dtype))


def _mean_conv(A: Any, op: Op, x: Any, w: Any) -> Any:
    """y = sum over taps of view(x, tap) w[tap], for each group."""
    kernel = (A.shape(w)[0], A.shape(w)[1])
    attrs = dict(op.attrs)
    w = A.transpose(w, (0, 1, 3, 2)) if attrs.get("swap") else w
    sh, sw = attrs.get("spread", (1, 1))
    if (sh, sw) != (1, 1):
        x = A.pad(x, _zero(A, op.operands[0].type), (0,) * 4, (0,) * 4, (0, sh - 1, sw - 1, 0))
    win = _of(A, op, A.shape(x)[1:3], op.result.shape[1:3])
    padded, y = win.pad(x, _zero(A, op.result.type)), None
    for tap in taps(kernel):
        term = _grouped(A, win.view(padded, tap), _kernel_tap(A, w, tap), op.attr("groups"))
        y = term if y is None else A.add(y, term)
    return y


def _mean_conv_input_grad(A: Any, op: Op, dy: Any, w: Any) -> Any:
    """dx = sum over taps of place(dy w[tap]ᵀ, tap), for each group: the adjoint of the forward sum."""
    kernel, groups = (A.shape(w)[0], A.shape(w)[1]), op.attr("groups")
    win, zero, dx = _of(A, op, op.attr("size"), A.shape(dy)[1:3]), _zero(A, op.result.type), None
    for tap in taps(kernel):
        placed = win.place(_grouped(A, dy, _adjoint(A, _kernel_tap(A, w, tap), groups), groups), tap, zero)
        dx = placed if dx is None else A.add(dx, placed)
    return dx


def _adjoint(A: Any, w: Any, groups: int) -> Any:
    """[I, G O] -> [O, G I]."""
    inputs, features = A.shape(w)
    swapped = A.transpose(_split(A, w, groups), (2, 1, 0))
    return A.reshape(swapped, (features // groups, groups * inputs))


def _mean_conv_kernel_grad(A: Any, op: Op, x: Any, dy: Any) -> Any:
    """dw[tap] = view(x, tap)ᵀ dy, summed over images and pixels, for each group."""
    groups, kernel = op.attr("groups"), op.attr("kernel")
    win = _of(A, op, A.shape(x)[1:3], A.shape(dy)[1:3])
    padded, (inputs, features) = win.pad(x, _zero(A, op.result.type)), op.result.shape[2:]
    rows = []
    for tap in taps(kernel):
        v = win.view(padded, tap)
        if groups == A.shape(v)[3] == features:  # depthwise
            row = A.reshape(A.reduce_sum(A.mul(v, dy), (0, 1, 2)), (1, features))
        else:
            pixels = ((0, 1, 2), (0, 1, 2))
            row = A.dot(_split(A, v, groups), _split(A, dy, groups), pixels, ((3,), (3,)))  # [G, I, O]
            row = A.reshape(A.transpose(row, (1, 0, 2)), (inputs, features))
        rows.append(A.reshape(row, (1, inputs, features)))
    return A.reshape(A.concatenate(rows, 0), op.result.shape)


def mean_pool(A: Any, op: Op, x: Any, out: TensorType, *, maximum: bool) -> Any:
    """The maximum, or the sum, over the taps of each window; `out` is the type of the pooled image."""
    win = _of(A, op, A.shape(x)[1:3], out.shape[1:3])
    start = A.constant(float("-inf") if maximum else 0.0, TensorType((), out.dtype))
    padded, y = win.pad(x, start), None
    for tap in taps(op.attr("kernel")):
        v = win.view(padded, tap)
        y = v if y is None else extreme(A, "GE", y, v) if maximum else A.add(y, v)
    return y


def mean_max_pool_grad(A: Any, op: Op, x: Any, y: Any, dy: Any) -> Any:
    """dy goes to the first tap in row-major order whose pixel equals y."""
    win, zero = _of(A, op, A.shape(x)[1:3], A.shape(y)[1:3]), _zero(A, op.result.type)
    low = A.constant(float("-inf"), TensorType((), op.result.type.dtype))
    padded, none = win.pad(x, low), A.constant(0.0, TensorType(A.shape(dy), op.result.type.dtype))
    rest, dx = dy, None
    for tap in taps(op.attr("kernel")):
        hit = A.compare("EQ", win.view(padded, tap), y)
        placed = win.place(A.select(hit, rest, none), tap, zero)
        rest = A.select(hit, none, rest)
        dx = placed if dx is None else A.add(dx, placed)
    return dx


def _mean_sum_pool_grad(A: Any, op: Op, dy: Any) -> Any:
    """dx = sum over taps of place(dy, tap)."""
    win, zero, dx = _of(A, op, op.attr("size"), A.shape(dy)[1:3]), _zero(A, op.result.type), None
    for tap in taps(op.attr("kernel")):
        placed = win.place(dy, tap, zero)
        dx = placed if dx is None else A.add(dx, placed)
    return dx


def _spell_conv(op: Op, args: Sequence[str]) -> str:
    attrs = dict(op.attrs)
    spread = f", lhs_dilate = {ints(attrs['spread'])}" if "spread" in attrs else ""
    window = f"{_pads(op.attr('padding'))}{spread}, rhs_dilate = {ints(op.attr('dilation'))}"
    kernel = "0, 1, o, i" if attrs.get("swap") else "0, 1, i, o"
    numbers = f"[b, 0, 1, f]x[{kernel}]->[b, 0, 1, f]"
    return _spell_convolution(op, args, numbers, f"stride = {ints(op.attr('stride'))}, {window}", 1, op.attr("groups"))


def _spell_conv_kernel_grad(op: Op, args: Sequence[str]) -> str:
    """A convolution of x with dy as kernel: channels play the images, stride and dilation change places.

    What the forward window never saw at the high side must not be seen here either: that padding may be negative.
    """
    x, dy = (v.shape for v in op.operands)
    sides = []
    for n, out, k, s, d, (low, _) in zip(
        x[1:3], dy[1:3], op.attr("kernel"), op.attr("stride"), op.attr("dilation"), op.attr("padding"), strict=True
    ):
        sides.append((low, (k - 1) * d + (out - 1) * s + 1 - n - low))
    window = f"stride = {ints(op.attr('dilation'))}, {_pads(sides)}, rhs_dilate = {ints(op.attr('stride'))}"
    return _spell_convolution(op, args, "[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]", window, op.attr("groups"), 1)


def _pads(padding: Sequence[Pair]) -> str:
    return f"pad = {ints([ints(side) for side in padding])}"


def _spell_convolution(op: Op, args: Sequence[str], numbers: str, window: str, batch: int, feature: int) -> str:
    counts = f"batch_group_count = {batch} : i64, feature_group_count = {feature} : i64"
    return (
        f"stablehlo.convolution({args[0]}, {args[1]}) dim_numbers = {numbers}, "
        f"window = {{{window}}} {{{counts}, precision_config = [#stablehlo<precision DEFAULT>, "
        f"#stablehlo<precision DEFAULT>]}} : {arrow(op)}"
    )


def _conv_flops(op: Op) -> int:
    """2 multiply-adds for each output pixel, tap, input channel of the group and feature."""
    if op.kind == "conv":
        x, w = (v.type for v in op.operands)
        return 2 * op.result.type.size * w.shape[0] * w.shape[1] * (x.shape[3] // int(op.attr("groups")))
    if op.kind == "conv_input_grad":
        dy, w = (v.type for v in op.operands)
        return 2 * dy.size * w.shape[0] * w.shape[1] * w.shape[2]
    dy, w = op.operands[1].type, op.result.type
    return 2 * dy.size * w.shape[0] * w.shape[1] * w.shape[2]


def pool_flops(op: Op) -> int:
    """One for each tap of each window."""
    kernel = op.attr("kernel")
    out = op.operands[-1].type if op.kind.endswith("_grad") else op.result.type
    return out.size * int(kernel[0] * kernel[1])


ROWS: tuple[OpDef, ...] = (
    OpDef("conv", _conv, _spell_conv, _mean_conv, _conv_flops),
    OpDef("conv_input_grad", _conv_input_grad, None, _mean_conv_input_grad, _conv_flops),
    OpDef("conv_kernel_grad", _conv_kernel_grad, _spell_conv_kernel_grad, _mean_conv_kernel_grad, _conv_flops),
    OpDef("max_pool", pool, None, lambda A, op, x: mean_pool(A, op, x, op.result.type, maximum=True), pool_flops),
    OpDef("max_pool_grad", _max_pool_grad, None, mean_max_pool_grad, pool_flops),
    OpDef("sum_pool", pool, None, lambda A, op, x: mean_pool(A, op, x, op.result.type, maximum=False), pool_flops),
    OpDef("sum_pool_grad", _sum_pool_grad, None, _mean_sum_pool_grad, pool_flops),
)
