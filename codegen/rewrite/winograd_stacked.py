"""Winograd's F(2x2, 3x3) with each transform as two elementwise operations: what a compiler makes a kernel of each.

The sums are those of winograd.py, in the same order. There each of the 16 places is an expression and they are
concatenated, which IREE makes a kernel and a copy a place. Here a transform along one axis is one tensor with an axis
for its places, an element of which looks up by its index which expression it is: a select, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.table import summed
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import padded, window_of
from netc.codegen.rewrite.winograd import (
    FORWARD,
    REVERSED,
    Line,
    Transform,
    every_other,
    gradient_line,
    image_line,
    image_of_gradient,
    kernel_line,
    output_line,
    tap_line,
    tiles_of,
)  # fmt: skip
from netc.netspec.types import TensorType


def chosen(b: Builder, parts: Sequence[Value], axes: tuple[int, ...], at: int) -> Value:
    """The parts along a new axis `at`, as a concatenation would have them; a part's axes are `axes` there."""
    sizes = dict(zip(axes, parts[0].shape, strict=True)) | {at: len(parts)}
    like = TensorType(tuple(sizes[axis] for axis in range(len(sizes))), parts[0].type.dtype)
    index = b.iota(0, (len(parts),))
    found = b.broadcast(parts[-1], like, axes)
    for n in reversed(range(len(parts) - 1)):
        here = b.broadcast(b.compare("EQ", index, n), TensorType(like.shape, "i1"), (at,))
        found = b.select(here, b.broadcast(parts[n], like, axes), found)
    return found


def _along(b: Builder, x: Value, axis: int, order: Sequence[int] = ()) -> Line:
    """The elements along an axis, in an order, without it."""

    def line(place: int) -> Value:
        start, limit = [0] * len(x.shape), list(x.shape)
        start[axis] = order[place] if order else place
        limit[axis] = start[axis] + 1
        return b.reshape(b.slice(x, tuple(start), tuple(limit)), (*x.shape[:axis], *x.shape[axis + 1 :]))

    return line


def _of_image(
    b: Builder, transform: Transform, x: Value, tiles: Pair, margin: int, order: Sequence[int] = FORWARD
) -> Value:
    """T x Tᵀ at its 16 places, in that order along both axes, of an image that zeros fill up: [16, rows, C]."""
    n, height, width, channels = x.shape
    x = b.pad(x, (0, 0, 0, 0), (0, 2 * tiles[0] + margin - height, 2 * tiles[1] + margin - width, 0))
    lines = transform(b, every_other(b, x, 1, tiles[0]))
    bands = chosen(b, [lines[i] for i in order], (1, 2, 3, 4), 0)
    lines = transform(b, every_other(b, bands, 3, tiles[1]))
    places = chosen(b, [lines[i] for i in order], (0, 2, 3, 4, 5), 1)
    return b.reshape(places, (16, n * tiles[0] * tiles[1], channels))


def _of_kernel(b: Builder, w: Value) -> Value:
    """G w Gᵀ at its 16 places, [16, I, O]."""
    lines = chosen(b, kernel_line(b, _along(b, w, 0)), (1, 2, 3), 0)
    places = chosen(b, kernel_line(b, _along(b, lines, 1)), (0, 2, 3), 1)
    return b.reshape(places, (16, *w.shape[2:]))


def _back(b: Builder, transform: Transform, products: Value, order: Sequence[int] = FORWARD) -> list[Value]:
    """T m Tᵀ of the 4x4 places m of [16, rows, C], in that order along both axes: its columns, each [.., rows, C]."""
    places = b.reshape(products, (4, 4, *products.shape[1:]))
    columns = chosen(b, transform(b, _along(b, places, 0, order)), (1, 2, 3), 0)  # T m
    return transform(b, _along(b, columns, 1, order))


def _convolved(b: Builder, image: Value, w: Value, out: Pair, order: Sequence[int]) -> Value:
    """An image [N, H, W, C], padded already, with w [3, 3, I, O], over I; or with its reverse, over O.

    As in winograd.py place i of the image's transform takes the kernel's place order[i].
    """
    image, w = (b.convert(v, summed(v.type.dtype)) for v in (image, w))
    n, (down, across) = image.shape[0], tiles_of(out)
    pixels, kernel = _of_image(b, image_line, image, (down, across), 2, order), _of_kernel(b, w)
    products = b.dot(pixels, kernel, ((2,), (1 if order == FORWARD else 2,)), ((0,), (0,)))
    features = products.shape[2]
    apart = (2, n, down, across, features)
    columns = [b.transpose(b.reshape(v, apart), (1, 2, 0, 3, 4)) for v in _back(b, output_line, products, order)]
    whole = b.reshape(chosen(b, columns, (0, 1, 2, 3, 5), 4), (n, 2 * down, 2 * across, features))
    return b.slice(whole, (0, 0, 0, 0), (n, *out, features))


def forward_stacked(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """A convolution that winograd.py's `suits` says of."""
    win = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2])
    return _convolved(b, padded(b, x, win), w, win.out, FORWARD)


def input_stacked(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """The gradient of the image of a convolution that `suits` says of; the kernel's transform is the forward's."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    return _convolved(b, image_of_gradient(b, win, dy), w, win.size, REVERSED)


def kernel_stacked(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """The gradient of the kernel of a convolution that `suits` says of: NaN where dy's first number is not finite."""
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    x, dy = (b.convert(v, summed(v.type.dtype)) for v in (x, dy))
    first = b.reshape(b.slice(dy, (0,) * 4, (1,) * 4), ())
    x = b.add(x, b.broadcast(b.mul(first, 0), x, ()))  # not there before dy is, so that no transform is held until then
    tiles = tiles_of(win.out)
    pixels = _of_image(b, image_line, padded(b, x, win), tiles, 2)
    gradients = _of_image(b, gradient_line, dy, tiles, 0)
    products = b.dot(pixels, gradients, ((1,), (1,)), ((0,), (0,)))
    return b.reshape(chosen(b, _back(b, tap_line, products), (0, 2, 3), 1), op.result.shape)
