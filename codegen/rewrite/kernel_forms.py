"""Forms of a convolution's kernel gradient for few channels, where packing both operands of a product for each tap
takes as long as the products: outer products added pixel by pixel, and strided windows of few channels folded first.
"""

from __future__ import annotations

import itertools
import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.table import summed
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import Window, padded, view, window_of
from netc.netspec.types import TensorType

BLOCK = 7 << 20  # bytes of x and dy that stay near a core while every tap passes over them
MOST_BLOCKS = 16  # each is written out, for each tap
FEWEST = 8  # images of a block: less are too short a loop


def kernel_outer(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """dw[tap, i, o] = sum over pixels of x[pixel + tap, i] dy[pixel, o], elementwise and a sum. groups = 1.

    A compiler that knows a product of matrices when it sees one packs both operands for it, at each tap. Where `splits`
    holds it sees none here, because the products of two or four pixels are added before the sum over the others;
    nothing is packed, and both are read where they lie. Pixels go in blocks that stay in the cache for all taps.
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    x, dy = (b.convert(v, summed(v.type.dtype)) for v in (x, dy))
    image = padded(b, x, win)
    (n, p, q, features), channels = dy.shape, x.shape[3]
    size = block_of((n, p), x.type.bytes + dy.type.bytes, len(win.positions))
    axis, parts = _apart((*size, q))
    views = [view(b, image, win, tap) for tap in win.positions]

    def tap_sum(seen: Value, first: Pair) -> Value:
        total: Value | None = None
        for number in range(parts):
            start, extent = [*first, 0], [*size, q]
            extent[axis] //= parts
            start[axis] += number * extent[axis]
            limit = [s + e for s, e in zip(start, extent, strict=True)]
            left, right = (b.slice(v, (*start, 0), (*limit, v.shape[3])) for v in (seen, dy))
            wide = TensorType((*left.shape, features), dy.type.dtype)
            term = b.mul(b.broadcast(left, wide, (0, 1, 2, 3)), b.broadcast(right, wide, (0, 1, 2, 4)))
            total = term if total is None else b.add(total, term)
        assert total is not None
        return b.reshape(b.sum(b.sum(total, (1, 2)), (0,)), (1, channels, features))

    dw: Value | None = None
    for first in itertools.product(range(0, n, size[0]), range(0, p, size[1])):
        block = b.concatenate([tap_sum(seen, first) for seen in views], 0)
        dw = block if dw is None else b.add(dw, block)
    assert dw is not None
    return b.reshape(dw, op.result.shape)


def block_of(size: Pair, total: int, taps: int) -> Pair:
    """The images and rows of a block: of so many with `total` bytes, halves until one fits or is odd; all for one tap.

    >>> block_of((128, 28), 25 << 20, 9), block_of((8, 112), 50 << 20, 9), block_of((7, 7), 50 << 20, 9)
    ((32, 28), (8, 14), (7, 7))
    """
    images, rows = size
    while total > BLOCK and taps > 1:
        if images % 2 == 0 and images // 2 >= FEWEST:
            images //= 2
        elif rows % 2 == 0:
            rows //= 2
        else:
            break
        total //= 2
    return images, rows


def splits(op: Op) -> bool:
    """Whether the pixels of a kernel gradient go into few even blocks."""
    x, dy = op.operands
    return few_blocks(dy.shape[0], dy.shape[1:3], x.type.bytes + dy.type.bytes, math.prod(op.attr("kernel")))


def few_blocks(images: int, out: tuple[int, ...], total: int, taps: int) -> bool:
    """Whether so many outputs go into at most MOST_BLOCKS blocks that fit, each of an even number of pixels.

    >>> few_blocks(128, (28, 28), 25 << 20, 9), few_blocks(32, (112, 112), 200 << 20, 9)
    (True, False)
    >>> few_blocks(8, (147, 147), 63 << 20, 9)
    False
    """
    size = block_of((images, out[0]), total, taps)
    count = images // size[0] * (out[0] // size[1])
    fit = taps == 1 or total <= BLOCK * count
    return fit and count <= MOST_BLOCKS and _apart((*size, out[1]))[1] > 1


def _apart(size: tuple[int, int, int]) -> tuple[int, int]:
    """The axis of (images, rows, columns) along which pixels are added first, and how many: 4 or 2, or 1 at worst."""
    for parts in (4, 2):
        for axis in (2, 0, 1):
            if size[axis] % parts == 0:
                return axis, parts
    return 2, 1


def folds(w: Window, groups: int) -> bool:
    """Whether a window is strided along both axes, undilated, in one group."""
    return groups == 1 and min(w.stride) > 1 and w.dilation == (1, 1)


def kernel_folded(b: Builder, op: Op, x: Value, dy: Value) -> Value:
    """Space to depth by the stride, then one product for each column of taps. Windows that `folds` says of.

    The image's s x s blocks become pixels of s s C channels, and the kernel, with taps added that are dropped in the
    end, one of stride 1: 7x7/2 on 3 channels is 4x4 on 12. Its rows of taps are stacked as channels.
    """
    win = window_of(op, x.shape[1:3], dy.shape[1:3], op.attr("kernel"))
    (n, height, width, c), (p, q), features = x.shape, win.out, dy.shape[3]
    (sh, sw), (kh, kw) = win.stride, (-(-k // s) for k, s in zip(win.kernel, win.stride, strict=True))
    (top, _), (left, _) = win.padding
    rows, columns = p + kh - 1, q + kw - 1
    image = b.pad(x, (0, top, left, 0), (0, rows * sh - height - top, columns * sw - width - left, 0))
    apart = b.transpose(b.reshape(image, (n, rows, sh, columns, sw, c)), (0, 1, 3, 2, 4, 5))
    folded = b.reshape(apart, (n, rows, columns, sh * sw * c))
    stacked = b.concatenate([b.slice(folded, (0, a, 0, 0), (n, a + p, *folded.shape[2:])) for a in range(kh)], 3)
    parts = []
    for a in range(kw):
        seen = b.slice(stacked, (0, 0, a, 0), (n, p, a + q, stacked.shape[3]))
        parts.append(b.reshape(b.dot(seen, dy, ((0, 1, 2), (0, 1, 2))), (kh, 1, sh, sw, c, features)))
    taps = b.transpose(b.concatenate(parts, 1), (0, 2, 1, 3, 4, 5))
    whole = b.reshape(taps, (kh * sh, kw * sw, c, features))
    return b.slice(whole, (0, 0, 0, 0), op.result.shape)
