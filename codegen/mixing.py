"""Mixup and CutMix as IR. What is drawn is integers until the last product, so that every backend draws the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from netc.codegen.beta import BITS, half_quantiles
from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.random import words
from netc.codegen.rules import part_stream
from netc.netspec.mixing import Mixing
from netc.netspec.types import DType, TensorType

STREAM = part_stream(0, "(mixing)")  # no layer has such a name
FRACTION = 11  # bits of a place between two quantiles
UNIT = 2.0**-24


@dataclass(frozen=True)
class Mixed:
    """A batch that was mixed: `x` [B, ..], and the scalar `share` of each example's own loss; its partner has the rest.

    The partner of example i is example B - 1 - i, whose targets `partner` gives.
    """

    x: Value
    share: Value

    def partner(self, b: Builder, targets: Value) -> Value:
        """The targets of the partners."""
        return b.op("reverse", targets, dims=(0,))

    def sum(self, b: Builder, own: Value, other: Value) -> Value:
        """share own + (1 - share) other."""
        share, rest = (b.broadcast(s, own, ()) for s in (self.share, b.sub(1.0, self.share)))
        return b.add(b.mul(share, own), b.mul(rest, other))


def mix(b: Builder, mixing: Mixing, key: Value, x: Value) -> Mixed:
    """Mix the examples of x [B, ..] as the step's key [2] ui32 says. Nothing is derived by x, so there is no pullback.

    w x + (1 - w) x', with w the share where the batch is blended, and 0 in the box and 1 beside it where it is cut.
    """
    high, low = words(b, key, STREAM, 3)
    whether, which, share = _at(b, high, 0), _at(b, low, 0), _at(b, high, 1)
    kinds: list[tuple[Value, Value]] = []  # (share of the own loss, weight of x) by Mixup, by CutMix
    if mixing.mixup:
        blended = beta(b, share, mixing.mixup)
        kinds.append((blended, b.broadcast(blended, _weight(x), ())))
    if mixing.cutmix:
        kinds.append(_cut(b, beta(b, share, mixing.cutmix), (_at(b, low, 1), _at(b, high, 2)), x))
    own, weight = kinds[-1]
    if len(kinds) == 2:
        cut = happens(b, which, mixing.mixup_switch_prob)
        own, weight = _either(b, cut, kinds[1], kinds[0])
    if mixing.mixup_prob < 1:
        whole = (b.constant(1.0, own.type), b.constant(1.0, weight.type))
        own, weight = _either(b, happens(b, whether, mixing.mixup_prob), (own, weight), whole)
    # x [B, ..] with w [H, W] along its second and third axes, or w alone
    spread = b.broadcast(weight, x, tuple(range(1, 1 + len(weight.shape))))
    partner = b.op("reverse", x, dims=(0,))
    return Mixed(b.add(b.mul(spread, x), b.mul(b.sub(1.0, spread), partner)), own)


def _weight(x: Value) -> TensorType:
    """One number for each place of an image, or one for all."""
    return TensorType(x.shape[1:3] if len(x.shape) == 4 else ())


def _at(b: Builder, vector: Value, i: int) -> Value:
    return b.reshape(b.slice(vector, (i,), (i + 1,)), ())


def _either(b: Builder, choose: Value, yes: tuple[Value, Value], no: tuple[Value, Value]) -> tuple[Value, Value]:
    first, second = (b.select(b.broadcast(choose, a, ()), a, c) for a, c in zip(yes, no, strict=True))
    return first, second


def happens(b: Builder, word: Value, probability: float) -> Value:
    """Truth values of the words' shape, true with that probability, to 24 bits."""
    eight = b.constant(8, word.type)
    return b.compare("LT", b.op("shr", word, eight), b.constant(round(probability * 2**24), word.type))


def beta(b: Builder, word: Value, alpha: float) -> Value:
    """Numbers in [0, 1] from words ui32, each drawn from Beta(alpha, alpha): multiples of 2^-24.

    The word's first bit chooses the half, the next eight one of 256 equal steps of probability, and eleven more the
    place between the quantiles at its ends. So the distribution function is Beta's at 511 points, and anywhere within
    1/512 of it. All of it is integers.
    """
    quantiles = half_quantiles(alpha)
    bits = b.convert(b.op("shr", word, b.constant(32 - 9 - FRACTION, word.type)), "i32")
    half, cell, place = (bits_of(b, bits, *at) for at in ((8 + FRACTION, 1), (FRACTION, 8), (0, FRACTION)))
    rises = tuple(after - before for before, after in pairwise(quantiles))
    start, rise = looked_up(b, quantiles[:-1], cell), looked_up(b, rises, cell)
    fine = b.add(b.mul(start, 1 << FRACTION), b.mul(rise, place))  # of 2^-31, below 2^30
    value = b.op("shr", fine, b.constant(BITS + FRACTION - 24, fine.type))
    value = b.select(b.compare("EQ", half, 1), b.sub(1 << 24, value), value)
    return b.mul(b.convert(value, "f32"), UNIT)


def bits_of(b: Builder, v: Value, start: int, count: int) -> Value:
    """`count` bits of each integer, from bit `start` on."""
    shifted = b.op("shr", v, b.constant(start, v.type))
    return b.op("and", shifted, b.constant((1 << count) - 1, v.type))


def looked_up(b: Builder, table: tuple[int, ...] | tuple[float, ...], index: Value) -> Value:
    """table[index] for each index i32: a sum in which all but one of the numbers are 0."""
    shape, last = (*index.shape, len(table)), len(index.shape)
    dtype: DType = "i32" if isinstance(table[0], int) else "f32"
    hit = b.compare("EQ", b.iota(last, shape), b.broadcast(index, TensorType(shape), tuple(range(last))))
    numbers = b.broadcast(b.constant(table, TensorType((len(table),), dtype)), TensorType(shape), (last,))
    return b.sum(b.select(hit, numbers, 0), (last,))


def below(b: Builder, word: Value, count: int) -> Value:
    """Integers i32 from 0 to count - 1, each as probable, from words ui32: the part of `count` that their 24 bits are.

    For a count below 2^12: the product is rounded once, and its whole part taken.
    """
    u = b.convert(b.convert(b.op("shr", word, b.constant(8, word.type)), "i32"), "f32")
    return b.minimum(b.convert(b.mul(u, count * UNIT), "i32"), count - 1)


def side(b: Builder, squared: Value, size: int) -> Value:
    """The whole part of the root of `squared`, a float in 0..size^2: how many of 1, 4, 9, .., size^2 it reaches, i32.

    Counted, because a root may round otherwise on another backend. One for each element.
    """
    shape = (*squared.shape, size)
    return roots_reached(b, squared, b.convert(b.add(b.iota(len(shape) - 1, shape), 1), "f32"))


def roots_reached(b: Builder, squared: Value, roots: Value) -> Value:
    """For each element of `squared` [..] how many of the squares of `roots` [.., n] it reaches, i32 [..]."""
    last = len(squared.shape)
    reached = b.compare("LE", b.mul(roots, roots), b.broadcast(squared, roots, tuple(range(last))))
    return b.sum(b.convert(reached, "i32"), (last,))


def _cut(b: Builder, kept: Value, places: tuple[Value, Value], x: Value) -> tuple[Value, Value]:
    """The share of an image that is not in the box, and 0.0 in the box, 1.0 beside it, [H, W].

    The box has sides sqrt(1 - kept) of the image's; what of it is outside of the image is cut off.
    """
    sizes, gone = x.shape[1:3], b.sub(1.0, kept)
    inside, lengths = [], []
    for axis, (size, place) in enumerate(zip(sizes, places, strict=True)):
        length, centre = side(b, b.mul(gone, float(size * size)), size), below(b, place, size)
        one = b.scalar(1, "i32")
        low = b.maximum(b.sub(centre, b.op("shr", length, one)), 0)
        high = b.minimum(b.add(centre, b.op("shr", b.add(length, 1), one)), size)
        index = b.iota(axis, sizes)
        inside.append(b.compare("GE", index, b.broadcast(low, index, ())))
        inside.append(b.compare("LT", index, b.broadcast(high, index, ())))
        lengths.append(b.sub(high, low))
    box = b.op("and", b.op("and", *inside[:2]), b.op("and", *inside[2:]))
    left = b.sub(sizes[0] * sizes[1], b.mul(*lengths))
    own = b.mul(b.convert(left, "f32"), 1 / (sizes[0] * sizes[1]))
    return own, b.select(box, 0.0, b.constant(1.0, TensorType(sizes)))
