"""Windows of an image, and attention inside them."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.attention import heads_first, heads_last, join_heads, scale_of, split_heads
from netc.codegen.layers.softmax_attention import Attention, dense_attention
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.layers.swin import SpaceToDepth, WindowAttention, WindowMerge, WindowPartition, windows_of
from netc.netspec.layers.window import Pair, pair
from netc.netspec.types import TensorType

APART = -100.0  # between pixels that the cyclic shift brought together


def _rolled(b: Builder, x: Value, axis: int, by: int) -> Value:
    """The elements along `axis` moved cyclically, element `by` first."""
    if by == 0:
        return x
    cut = tuple(by if i == axis else 0 for i in range(len(x.shape)))
    end = tuple(by if i == axis else n for i, n in enumerate(x.shape))
    return b.concatenate([b.slice(x, cut, x.shape), b.slice(x, (0,) * len(x.shape), end)], axis)


def _to_windows(b: Builder, x: Value, window: int, shift: Pair, across: bool) -> Value:
    """[B, H, W, C] -> [B, n w², C]."""
    batch, height, width, channels = x.shape
    down, along = windows_of((height, width), window)
    x = b.pad(x, (0, 0, 0, 0), (0, down * window - height, along * window - width, 0))
    x = _rolled(b, _rolled(b, x, 1, shift[0]), 2, shift[1])
    x = b.reshape(x, (batch, down, window, along, window, channels))
    x = b.transpose(x, (0, 2, 4, 1, 3, 5) if across else (0, 1, 3, 2, 4, 5))
    return b.reshape(x, (batch, down * along * window**2, channels))


def _from_windows(b: Builder, x: Value, size: Pair, window: int, shift: Pair, across: bool) -> Value:
    """[B, n w², C] -> [B, H, W, C]: the inverse of _to_windows, and its adjoint: both only move elements."""
    batch, _, channels = x.shape
    down, along = windows_of(size, window)
    parts = (window, window, down, along) if across else (down, along, window, window)
    x = b.reshape(x, (batch, *parts, channels))
    x = b.transpose(x, (0, 3, 1, 4, 2, 5) if across else (0, 1, 3, 2, 4, 5))
    x = b.reshape(x, (batch, down * window, along * window, channels))
    for axis, by in ((1, shift[0]), (2, shift[1])):
        x = _rolled(b, x, axis, (x.shape[axis] - by) % x.shape[axis])
    return b.slice(x, (0, 0, 0, 0), (batch, *size, channels))


@rule(WindowPartition)
def emit_window_partition(b: Builder, layer: WindowPartition, scope: Scope, x: Value) -> Emitted:
    """[B, H, W, C] -> [B, n w², C]."""
    size, how = (x.shape[1], x.shape[2]), (layer.window, pair(layer.shift), layer.across)
    # dx = dy, moved back; what fell on the zeros around the image is cut off
    return Emitted(_to_windows(b, x, *how), lambda dy: (_from_windows(b, dy, size, *how), {}))


@rule(WindowMerge)
def emit_window_merge(b: Builder, layer: WindowMerge, scope: Scope, x: Value) -> Emitted:
    """[B, n w², C] -> [B, H, W, C]."""
    size, how = (layer.height, layer.width), (layer.window, pair(layer.shift), layer.across)
    # dx = dy, moved back, 0 where x was cut off
    return Emitted(_from_windows(b, x, size, *how), lambda dy: (_to_windows(b, dy, *how), {}))


def _differences(b: Builder, table: Value, axis: int, n: int) -> Value:
    """Axis `axis` of size 2 n - 1, by a difference, becomes two of size n: y[.., c, a, ..] = x[.., a - c + n - 1, ..].

    Rows of length 2 n (one zero added), n times one after the other, read again in rows of length 2 n - 1: each row
    starts one element further back than the row before it.
    """
    shape = table.shape
    before, after = shape[:axis], shape[axis + 1 :]
    zeros = [0] * len(shape)
    high = tuple(1 if i == axis else 0 for i in range(len(shape)))
    row = b.pad(table, tuple(zeros), high)
    copies = TensorType((*before, n, 2 * n, *after), row.type.dtype)
    dims = tuple(i if i < axis else i + 1 for i in range(len(shape)))
    flat = b.reshape(b.broadcast(row, copies, dims), (*before, 2 * n * n, *after))
    flat = b.slice(flat, (0,) * len(shape), (*before, n * (2 * n - 1), *after))
    rows = b.reshape(flat, (*before, n, 2 * n - 1, *after))
    start = tuple(n - 1 if i == axis + 1 else 0 for i in range(len(rows.shape)))
    return b.slice(rows, start, rows.shape)


def _differences_pull(b: Builder, dy: Value, axis: int) -> Value:
    """The adjoint of _differences, each step undone: cut becomes zeros, copies become a sum."""
    n = dy.shape[axis]
    before, after = dy.shape[:axis], dy.shape[axis + 2 :]
    rank = len(dy.shape)
    low = tuple(n - 1 if i == axis + 1 else 0 for i in range(rank))
    flat = b.reshape(b.pad(dy, low, (0,) * rank), (*before, n * (2 * n - 1), *after))
    flat = b.pad(flat, (0,) * (rank - 1), tuple(n if i == axis else 0 for i in range(rank - 1)))
    row = b.sum(b.reshape(flat, (*before, n, 2 * n, *after)), (axis,))
    return b.slice(row, (0,) * (rank - 1), (*before, 2 * n - 1, *after))


def _bias(b: Builder, table: Value, window: int) -> Value:
    """table [(2 w - 1)², H] -> bias [H, t, s], for t = (a, b) and s = (c, e): by a - c and b - e."""
    span, heads = 2 * window - 1, table.shape[1]
    apart = _differences(b, b.reshape(table, (span, span, heads)), 0, window)  # [c, a, span, H]
    apart = _differences(b, apart, 2, window)  # [c, a, e, b, H]
    return b.reshape(b.transpose(apart, (4, 1, 3, 0, 2)), (heads, window**2, window**2))


def _bias_pull(b: Builder, dbias: Value, window: int) -> Value:
    """The adjoint of _bias."""
    heads = dbias.shape[0]
    apart = b.transpose(b.reshape(dbias, (heads, window, window, window, window)), (3, 1, 4, 2, 0))
    apart = _differences_pull(b, _differences_pull(b, apart, 2), 0)
    return b.reshape(apart, ((2 * window - 1) ** 2, heads))


def _region(b: Builder, layer: WindowAttention) -> Value:
    """A number for each token [windows, w²]: tokens of one window that were neighbours before the shift share it."""
    w, shift = layer.window, pair(layer.shift)
    shape = (layer.rows, w, layer.columns, w)
    region = b.constant(0, TensorType(shape, "i32"))
    for axis, (windows, by) in enumerate(((layer.rows, shift[0]), (layer.columns, shift[1]))):
        if by == 0:
            continue
        last = b.compare("EQ", b.iota(2 * axis, shape), windows - 1)
        wrapped = b.compare("GE", b.iota(2 * axis + 1, shape), w - by)
        own = b.convert(b.op("and", last, wrapped), "i32")
        region = b.add(region, b.mul(own, axis + 1))
    return b.reshape(b.transpose(region, (0, 2, 1, 3)), (layer.rows * layer.columns, w * w))


@rule(WindowAttention)
def emit_window_attention(b: Builder, layer: WindowAttention, scope: Scope, x: Value) -> Emitted:
    """y = softmax(q kᵀ / sqrt d + bias + mask) v for each head and window."""
    windows, tokens, heads = layer.rows * layer.columns, layer.window**2, layer.heads
    q, k, v = split_heads(b, x, heads, windows)
    factor = scale_of(q)
    bias = _bias(b, scope.param("table"), layer.window)

    def add(s: Value) -> Value:
        s = b.add(s, b.broadcast(bias, s, (1, 2, 3)))
        if not any(pair(layer.shift)):
            return s
        region = _region(b, layer)
        square = TensorType((windows, tokens, tokens), "i32")
        same = b.compare("EQ", b.broadcast(region, square, (0, 1)), b.broadcast(region, square, (0, 2)))
        zero = b.constant(0.0, TensorType(square.shape, s.type.dtype))
        mask = b.select(same, zero, APART)
        apart = TensorType((x.shape[0], windows, heads, tokens, tokens), s.type.dtype)
        return b.add(s, b.reshape(b.broadcast(mask, apart, (1, 3, 4)), s.shape))

    rate = layer.dropout if scope.training else 0.0
    how = Attention(tokens, rate=rate, key=scope.key, stream=scope.stream)
    o, pull = dense_attention(b, b.mul(q, factor), k, v, how, add)

    def window_attention_pull(dy: Value) -> tuple[Value, Grads]:
        (dq, dk, dv), ds = pull(heads_first(b, dy, heads, windows))
        assert ds is not None  # the dense form gives it
        dbias = b.sum(ds, (0,))  # the bias is added to the scores of every window
        grads = {"table": _bias_pull(b, dbias, layer.window)}
        return join_heads(b, (b.mul(dq, factor), dk, dv), windows), grads

    return Emitted(heads_last(b, o, windows), window_attention_pull)


@rule(SpaceToDepth)
def emit_space_to_depth(b: Builder, layer: SpaceToDepth, scope: Scope, x: Value) -> Emitted:
    """[B, H, W, C] -> [B, H / n, W / n, n² C]."""
    batch, height, width, channels = x.shape
    n = layer.block
    down, along = windows_of((height, width), n)
    blocks = (batch, down, n, along, n, channels)
    full = b.pad(x, (0, 0, 0, 0), (0, down * n - height, along * n - width, 0))
    moved = b.transpose(b.reshape(full, blocks), (0, 1, 3, 4, 2, 5))

    def space_to_depth_pull(dy: Value) -> tuple[Value, Grads]:
        back = b.transpose(b.reshape(dy, (batch, down, along, n, n, channels)), (0, 1, 4, 2, 3, 5))
        return b.slice(b.reshape(back, full.shape), (0, 0, 0, 0), x.shape), {}  # dx = dy, moved back

    return Emitted(b.reshape(moved, (batch, down, along, n * n * channels)), space_to_depth_pull)
