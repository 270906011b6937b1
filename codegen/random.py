"""Random numbers as IR: Threefry-2x32, so that every backend draws the same bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.netspec.types import Constant, Initializer, Normal, TensorType, Uniform

# Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table of Threefry-2x32 rotations
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
# Eight uniforms on 0..65535: variance of the sum 8 (2^32 - 1) / 12
FIELDS = 8
# of a run's key: initial values are drawn from streams 0 to 2, a step's key on replica r is at 3 + 4 r
STEP_STREAM, REPLICAS_APART = 3, 4
SPREAD = math.sqrt(FIELDS * (2**32 - 1) / 12)


def threefry(b: Builder, key: Value, counter0: Value, counter1: Value) -> tuple[Value, Value]:
    """Threefry-2x32 with 20 rounds. key [2] ui32; counters of one shape, ui32. Gives two words for each."""
    words = [b.reshape(b.slice(key, (i,), (i + 1,)), ()) for i in range(2)]
    words.append(b.op("xor", b.op("xor", words[0], words[1]), b.scalar(PARITY, "ui32")))
    keys = [b.broadcast(w, counter0, ()) for w in words]
    x0, x1 = b.add(counter0, keys[0]), b.add(counter1, keys[1])
    for group in range(5):
        for distance in ROTATIONS[group % 2]:
            x0 = b.add(x0, x1)
            x1 = b.op("xor", _rotate(b, x1, distance), x0)
        x0 = b.add(x0, keys[(group + 1) % 3])
        x1 = b.add(b.add(x1, keys[(group + 2) % 3]), group + 1)
    return x0, x1


def _rotate(b: Builder, x: Value, distance: int) -> Value:
    high = b.op("shl", x, b.constant(distance, x.type))
    return b.op("or", high, b.op("shr", x, b.constant(32 - distance, x.type)))


def words(b: Builder, key: Value, stream: int, count: int) -> tuple[Value, Value]:
    """Two vectors of `count` ui32 words; the counter is (index, stream), so that streams never meet."""
    vector = TensorType((count,), "ui32")
    return threefry(b, key, b.iota(0, (count,), "ui32"), b.constant(stream, vector))


def uniform(b: Builder, key: Value, count: int) -> Value:
    """`count` floats in [-1/2, 1/2) with 24 bits: exact on every backend."""
    (high, _) = words(b, key, 0, count)
    whole = b.convert(b.convert(b.op("shr", high, b.constant(8, high.type)), "i32"), "f32")
    return b.sub(b.mul(whole, 2.0**-24), 0.5)


def step_key(b: Builder, key: Value, step: Value, replicas: int = 1) -> Value:
    """The key of one train step, [2] ui32: the words at counter (step, 3), which no initial value uses.

    Of replica r of several, at counter (step, 3 + 4 r), so that each draws for itself.
    """
    counter = b.reshape(b.convert(step, "ui32"), (1,))
    stream = b.constant(STEP_STREAM, counter.type)
    if replicas > 1:
        stream = b.add(stream, b.mul(b.reshape(b.op("replica_id"), (1,)), REPLICAS_APART))
    return b.concatenate(threefry(b, key, counter, stream), 0)


def kept(b: Builder, key: Value, stream: int, shape: tuple[int, ...], rate: float) -> Value:
    """A mask i1 of that shape: each element holds with probability 1 - rate, to 24 bits."""
    (word, _) = words(b, key, stream, math.prod(shape))
    threshold = b.constant(round(rate * 2**24), word.type)
    return b.reshape(b.compare("GE", b.op("shr", word, b.constant(8, word.type)), threshold), shape)


def centred_sum(b: Builder, key: Value, count: int, streams: tuple[int, int] = (1, 2)) -> Value:
    """`count` floats, each the sum of eight 16-bit uniforms less its mean: an integer below 2^19 in size, exact."""
    total: Value | None = None
    for word in (*words(b, key, streams[0], count), *words(b, key, streams[1], count)):
        for field in (b.op("and", word, b.constant(0xFFFF, word.type)), b.op("shr", word, b.constant(16, word.type))):
            total = field if total is None else b.add(total, field)
    assert total is not None
    return b.sub(b.convert(b.convert(total, "i32"), "f32"), FIELDS * 65535 / 2)


def initial_values(b: Builder, key: Value, wanted: Sequence[tuple[Initializer, tuple[int, ...]]]) -> list[Value]:
    """The first value of each parameter.

    Each kind of draw is one long vector, of which every parameter takes its part and multiplies it once: the text
    is short, and the one rounding is the same everywhere.
    """
    flat: dict[type[Initializer], Value] = {}
    for kind, draw in ((Normal, centred_sum), (Uniform, uniform)):
        count = sum(math.prod(shape) for init, shape in wanted if isinstance(init, kind))
        if count:
            flat[kind] = draw(b, key, count)
    taken = dict.fromkeys(flat, 0)
    values: list[Value] = []
    for init, shape in wanted:
        if isinstance(init, Constant):
            values.append(b.constant(init.value, TensorType(shape)))
            continue
        start, size = taken[type(init)], math.prod(shape)
        taken[type(init)] = start + size
        part = b.slice(flat[type(init)], (start,), (start + size,))
        factor = init.std / SPREAD if isinstance(init, Normal) else 2 * init.bound
        values.append(b.reshape(b.mul(part, factor), shape))
    return values
