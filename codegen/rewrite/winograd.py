"""Winograd's F(2x2, 3x3): a 3x3 convolution of stride 1 as 16 products on a quarter of the pixels, 4/9 of the flops.

Each 2x2 of the output comes from a 4x4 of the image: y = Aᵀ [(G w Gᵀ) * (Bᵀ d B)] A, where * is elementwise and, summed
over channels, a product of matrices for each of the 16 places (Lavin and Gray, Fast Algorithms for Convolutional
Neural Networks, 2016, section 4.1). Exact but for rounding: float32 errors are a few times those of a sum of products.

y is linear in w, so that the kernel's gradient is the transpose: dw = Gᵀ [(Bᵀ d B) * (A dy Aᵀ)] G, the same 16 products
summed over tiles where the forward sums over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.table import summed
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import Window, padded, window_of

Line = Callable[[int], Value]  # the part at one place along an axis
Transform = Callable[[Builder, Line], list[Value]]  # along one axis

FORWARD, REVERSED = (0, 1, 2, 3), (3, 1, 2, 0)  # where along an axis of G w Gᵀ a kernel's places are, and its reverse's


def suits(w: Window, groups: int) -> bool:
    """Whether the window is 3x3 of stride 1, undilated, in one group."""
    return w.kernel == (3, 3) and w.stride == w.dilation == (1, 1) and groups == 1


def image_line(b: Builder, d: Line) -> list[Value]:
    """Bᵀ d: (d0 - d2, d1 + d2, d2 - d1, d1 - d3)."""
    d0, d1, d2, d3 = d(0), d(1), d(2), d(3)
    return [b.sub(d0, d2), b.add(d1, d2), b.sub(d2, d1), b.sub(d1, d3)]


def kernel_line(b: Builder, g: Line) -> list[Value]:
    """G g: (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2)."""
    g0, g1, g2 = g(0), g(1), g(2)
    ends, middle = b.mul(b.add(g0, g2), 0.5), b.mul(g1, 0.5)
    return [g0, b.add(ends, middle), b.sub(ends, middle), g2]


def output_line(b: Builder, m: Line) -> list[Value]:
    """Aᵀ m: (m0 + m1 + m2, m1 - m2 - m3)."""
    m0, m1, m2, m3 = m(0), m(1), m(2), m(3)
    return [b.add(b.add(m0, m1), m2), b.sub(b.sub(m1, m2), m3)]


def gradient_line(b: Builder, dy: Line) -> list[Value]:
    """A dy: (y0, y0 + y1, y0 - y1, -y1)."""
    y0, y1 = dy(0), dy(1)
    return [y0, b.add(y0, y1), b.sub(y0, y1), b.op("neg", y1)]


def tap_line(b: Builder, m: Line) -> list[Value]:
    """Gᵀ m: (m0 + (m1 + m2) / 2, (m1 - m2) / 2, (m1 + m2) / 2 + m3)."""
    m0, m1, m2, m3 = m(0), m(1), m(2), m(3)
    half = b.mul(b.add(m1, m2), 0.5)
    return [b.add(m0, half), b.mul(b.sub(m1, m2), 0.5), b.add(half, m3)]


def every_other(b: Builder, x: Value, axis: int, count: int) -> Line:
    """From a place on, every second element along an axis, `count` of them."""

    def line(first: int) -> Value:
        start, limit, stride = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
        start[axis], limit[axis], stride[axis] = first, first + 2 * count - 1, 2
        return b.slice(x, tuple(start), tuple(limit), tuple(stride))

    return line


def _one(b: Builder, x: Value, axis: int) -> Line:
    """One element along an axis, which stays, with one place."""

    def line(place: int) -> Value:
        start, limit = [0] * len(x.shape), list(x.shape)
        start[axis], limit[axis] = place, place + 1
        return b.slice(x, tuple(start), tuple(limit))

    return line


def _of(values: Sequence[Value]) -> Line:
    return lambda place: values[place]


def _stacked(b: Builder, parts: Sequence[Value], rows: int) -> Value:
    """16 tensors [.., C] -> [16, rows, C]."""
    return b.concatenate([b.reshape(p, (1, rows, p.shape[-1])) for p in parts], 0)


def tiles_of(out: Pair) -> Pair:
    """How many 2x2 tiles cover an output."""
    return -(-out[0] // 2), -(-out[1] // 2)


def _transformed(b: Builder, transform: Transform, x: Value, tiles: Pair, margin: int) -> list[Value]:
    """T x Tᵀ at its 16 places, each [N, *tiles, C], of an image that zeros fill up to twice the tiles and a margin."""
    _, height, width, _ = x.shape
    x = b.pad(x, (0, 0, 0, 0), (0, 2 * tiles[0] + margin - height, 2 * tiles[1] + margin - width, 0))
    bands = transform(b, every_other(b, x, 1, tiles[0]))
    return [v for band in bands for v in transform(b, every_other(b, band, 2, tiles[1]))]


def _back(b: Builder, transform: Transform, products: Value, order: Sequence[int]) -> list[list[Value]]:
    """T m Tᵀ of the 4x4 places m of [16, rows, C], in that order along both axes, line by line, each [1, rows, C]."""
    place = _one(b, products, 0)
    columns = [transform(b, _of([place(4 * i + j) for i in order])) for j in order]  # T m, by column
    return [transform(b, _of(line)) for line in zip(*columns, strict=True)]


def _convolved(b: Builder, image: Value, w: Value, out: Pair, order: Sequence[int]) -> Value:
    """An image [N, H, W, C], padded already, with w [3, 3, I, O], over I; or with its reverse, over O.

    The products stand in the order of G w Gᵀ; place i of the image's transform takes the kernel's place order[i].
    The transforms of bf16 numbers are no bf16 numbers: they and their products are float32.
    """
    image, w = (b.convert(v, summed(v.type.dtype)) for v in (image, w))
    n, tiles = image.shape[0], tiles_of(out)
    places = _transformed(b, image_line, image, tiles, 2)
    pixels = [places[4 * i + j] for i in order for j in order]  # `order` is its own inverse
    taps = [v for band in kernel_line(b, _one(b, w, 0)) for v in kernel_line(b, _one(b, band, 1))]
    rows = n * tiles[0] * tiles[1]
    kernel = b.concatenate([b.reshape(t, (1, *w.shape[2:])) for t in taps], 0)
    summed_over = 1 if order == FORWARD else 2
    products = b.dot(_stacked(b, pixels, rows), kernel, ((2,), (summed_over,)), ((0,), (0,)))
    features = products.shape[2]
    one = (n, tiles[0], 1, tiles[1], 1, features)
    joined = [b.concatenate([b.reshape(p, one) for p in line], 4) for line in _back(b, output_line, products, order)]
    whole = b.reshape(b.concatenate(joined, 2), (n, 2 * tiles[0], 2 * tiles[1], features))
    return b.slice(whole, (0, 0, 0, 0), (n, *out, features))


def forward_winograd(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """A convolution that `suits` says of."""
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    return _convolved(b, padded(b, x, win), w, win.out, FORWARD)


def image_of_gradient(b: Builder, win: Window, dy: Value) -> Value:
    """dy with zeros around it, as far as the reversed kernel sees from the pixels of the image."""
    low = [2 - side[0] for side in win.padding]
    high = [n + 2 - p - lo for n, p, lo in zip(win.size, win.out, low, strict=True)]
    return b.pad(dy, (0, *low, 0), (0, *high, 0))


def input_winograd(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """The gradient of the image of a convolution that `suits` says of: dy with the reversed kernel, over features.

    G (g2, g1, g0) is G (g0, g1, g2) with its ends exchanged: the kernel's transform is the forward's, computed once.
    """
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    return _convolved(b, image_of_gradient(b, win, dy), w, win.size, REVERSED)


def kernel_winograd(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """The gradient of the kernel of a convolution that `suits` says of.

    The barrier keeps the image's transform, four times its size as dy's is, from being the forward's, held until here.
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    x, dy = (b.convert(v, summed(v.type.dtype)) for v in (b.op("barrier", x), dy))
    tiles = tiles_of(win.out)
    rows = dy.shape[0] * tiles[0] * tiles[1]
    pixels = _transformed(b, image_line, padded(b, x, win), tiles, 2)
    gradients = _transformed(b, gradient_line, dy, tiles, 0)
    products = b.dot(_stacked(b, pixels, rows), _stacked(b, gradients, rows), ((1,), (1,)), ((0,), (0,)))
    taps = [tap for line in _back(b, tap_line, products, FORWARD) for tap in line]
    return b.reshape(b.concatenate(taps, 0), op.result.shape)
