"""Random erasing as IR. Places and sides are integers, so that every backend erases the same rectangle."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.mixing import UNIT, bits_of, happens, looked_up, roots_reached
from netc.codegen.random import SPREAD, centred_sum, words
from netc.codegen.rules import part_stream
from netc.netspec.erasing import LARGEST_AREA, LEAST_AREA, LEAST_ASPECT, Erasing
from netc.netspec.types import TensorType

ATTEMPTS = 10
STREAM = part_stream(0, "(erasing)")  # no layer has such a name
WHETHER, NOISE = part_stream(STREAM, "whether"), (part_stream(STREAM, "noise0"), part_stream(STREAM, "noise1"))
COARSE = 64  # the aspect is one of 64 times one of 64: 4096 numbers, evenly spaced in the logarithm
STEP = -2 * math.log(LEAST_ASPECT) / COARSE**2
ASPECTS = tuple(LEAST_ASPECT * math.exp(STEP * COARSE * i) for i in range(COARSE))
FINER = tuple(math.exp(STEP * (i + 0.5)) for i in range(COARSE))


def erase(b: Builder, erasing: Erasing, key: Value, x: Value) -> Value:
    """The images x [B, H, W, C], in some of which a rectangle is erased. Nothing is derived by x."""
    batch, height, width, _ = x.shape
    high, low = words(b, key, STREAM, batch * ATTEMPTS)
    high, low = (b.reshape(v, (batch, ATTEMPTS)) for v in (high, low))
    rows, columns = _sides(b, high, (height, width))
    fits = b.op("and", b.compare("LT", rows, height), b.compare("LT", columns, width))
    attempt = b.iota(1, (batch, ATTEMPTS))
    first = b.op("reduce_min", b.select(fits, attempt, ATTEMPTS), b.scalar(ATTEMPTS, "i32"), dims=(1,))
    taken = b.compare("EQ", attempt, b.broadcast(first, attempt, (0,)))
    top, left = _place(b, _bits(b, low, 16), rows, height), _place(b, _bits(b, low, 0), columns, width)
    # of the attempt that was taken; all 0 where none fits
    top, left, rows, columns = (b.sum(b.select(taken, v, 0), (1,)) for v in (top, left, rows, columns))
    (word, _) = words(b, key, WHETHER, batch)
    rows = b.select(happens(b, word, erasing.random_erasing), rows, 0)
    inside = b.op("and", _within(b, top, rows, x, 1), _within(b, left, columns, x, 2))
    return b.select(b.broadcast(inside, x, (0, 1, 2)), _filling(b, erasing, key, x), x)


def _bits(b: Builder, word: Value, start: int, count: int = 16) -> Value:
    return b.convert(bits_of(b, word, start, count), "i32")


def _sides(b: Builder, word: Value, size: tuple[int, int]) -> tuple[Value, Value]:
    """Rows and columns i32 of the rectangles of some words ui32: the roots, rounded, of area aspect and area / aspect.

    The upper 16 bits of a word draw the area, the lower 12 the aspect.
    """
    span = round((LARGEST_AREA - LEAST_AREA) * 2**16)
    drawn = b.op("shr", b.mul(_bits(b, word, 16), span), b.constant(8, TensorType(word.shape, "i32")))
    share = b.add(drawn, round(LEAST_AREA * 2**24))  # of 2^-24
    area = b.mul(b.convert(share, "f32"), size[0] * size[1] * UNIT)
    coarse, fine = _bits(b, word, 6, 6), _bits(b, word, 0, 6)
    aspect = b.mul(looked_up(b, ASPECTS, coarse), looked_up(b, FINER, fine))
    inverse = b.mul(
        looked_up(b, tuple(1 / a for a in ASPECTS), coarse), looked_up(b, tuple(1 / a for a in FINER), fine)
    )
    rows, columns = (_rounded_root(b, b.mul(area, by), most) for by, most in zip((aspect, inverse), size, strict=True))
    return rows, columns


def _rounded_root(b: Builder, squared: Value, most: int) -> Value:
    """The root, rounded, i32, or `most` where it is larger: how many of (k - 1/2)^2, k = 1 .. most, it reaches."""
    shape = (*squared.shape, most)
    return roots_reached(b, squared, b.add(b.convert(b.iota(2, shape), "f32"), 0.5))


def _place(b: Builder, bits: Value, length: Value, size: int) -> Value:
    """A place from 0 to size - length: the part of size - length + 1 that 16 bits are. Exact."""
    free = b.sub(size + 1, length)
    return b.convert(b.mul(b.mul(b.convert(bits, "f32"), b.convert(free, "f32")), 2.0**-16), "i32")


def _within(b: Builder, start: Value, length: Value, x: Value, axis: int) -> Value:
    """Truth values [B, H, W]: whether the index along an axis is from `start` to before `start + length`."""
    index = b.iota(axis, x.shape[:3])
    low, high = b.broadcast(start, index, (0,)), b.broadcast(b.add(start, length), index, (0,))
    return b.op("and", b.compare("GE", index, low), b.compare("LT", index, high))


def _filling(b: Builder, erasing: Erasing, key: Value, x: Value) -> Value:
    """0, or noise: sums of eight 16-bit uniforms, as the initial values are."""
    if not erasing.erasing_pixels:
        return b.constant(0.0, x.type)
    return b.reshape(b.mul(centred_sum(b, key, x.type.size, NOISE), 1 / SPREAD), x.shape)
