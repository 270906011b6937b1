"""The next token from the logits of all: which are left by the settings, and the draw among those."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Value
from netc.codegen.losses import first_maximum
from netc.codegen.random import step_key, words
from netc.netspec.types import TensorType

SETTINGS, LIMITS = ("temperature", "repetition"), ("top_k", "top_p", "min_p")
"""Scalars f32. `repetition` applies first, then `temperature`, then the limits in their order (docs/sampling.md)."""

WAYS, ROUNDS = 16, 8
"""A threshold is found to the 16^-8 of the range in which it is looked for: closer logits count as equal."""

DRAWABLE = 64.0
"""A token whose logit is so far below the largest one is never drawn: -log(-log u) lies between -3 and 17. So no
threshold is looked for further down, and one logit of -1e9 does not make the others count as equal."""

LEFT_OUT = -3e38


def draw(b: Builder, z: Value, seen: Value, number: Value, key: Value, settings: Mapping[str, Value]) -> Value:
    """A token for each row of logits z [B, V], i32 [B]: the likeliest at temperature 0, else draw `number` of the key.

    `seen` [B, V] is 1 for tokens that the repetition penalty falls on. Without the limits among the settings, any
    token may be drawn; with them the module needs `narrow(B, V)`.
    """
    with b.at("repetition"):
        # Keskar et al. 2019, section 4.1, for either sign
        factor = b.broadcast(settings["repetition"], z, ())
        again = b.select(b.compare("GT", z, 0.0), b.div(z, factor), b.mul(z, factor))
        z = b.select(b.compare("GT", seen, 0.5), again, z)
    with b.at("temperature"):
        hot = b.compare("GT", b.broadcast(settings["temperature"], z, ()), 0.0)
        below = b.sub(z, b.broadcast(b.max_over(z, (1,)), z, (0,)))  # the likeliest stays finite at any temperature
        scaled = b.div(below, b.select(hot, b.broadcast(settings["temperature"], z, ()), 1.0))
    kept = allowed(b, scaled, settings) if "top_k" in settings else None
    with b.at("draw"):
        noisy = b.add(scaled, _gumbel(b, z, key, number))
        noisy = noisy if kept is None else b.select(kept, noisy, LEFT_OUT)
        return first_maximum(b, b.select(hot, noisy, z))


def allowed(b: Builder, z: Value, settings: Mapping[str, Value]) -> Value:
    """Which tokens top_k, top_p and min_p leave, truth values [B, V]; of those that cannot be drawn all or none."""
    top = b.broadcast(b.max_over(z, (1,)), z, (0,))
    z = b.maximum(z, b.sub(top, DRAWABLE))
    rows = TensorType(z.shape[:1], z.type.dtype)
    with b.at("top_k"):
        some = settings["top_k"]
        many = b.select(b.compare("GE", some, 1.0), some, float(z.shape[1]))
        kept = _largest(b, z, b.constant(1.0, z.type), b.broadcast(many, rows, ()))
    with b.at("top_p"):
        e = b.unary("exp", b.sub(z, top))
        e = b.select(kept, e, 0.0)
        least = b.mul(b.sum(e, (1,)), b.broadcast(settings["top_p"], rows, ()))
        every = b.broadcast(b.compare("GE", settings["top_p"], 1.0), kept, ())  # sums round: a small e may not count
        kept = b.op("and", kept, b.op("or", every, _largest(b, z, e, least)))
    with b.at("min_p"):  # the likeliest has e = 1
        return b.op("and", kept, b.compare("GE", e, b.broadcast(settings["min_p"], z, ())))


def _largest(b: Builder, z: Value, weight: Value, least: Value) -> Value:
    """The largest z [B, V] whose weights together come to `least` [B], truth values: the fewest, and ties with them."""
    low = b.op("reduce_min", z, b.scalar(math.inf), dims=(1,))
    high = b.max_over(z, (1,))
    threshold, _ = b.loop(narrow(*z.shape), ROUNDS, (low, high), constants=(z, weight, least))
    return b.compare("GE", z, b.broadcast(threshold, z, (0,)))


def narrow(batch: int, vocabulary: int) -> Function:
    """(low, high [B]; z, weight [B, V], least [B]) -> the sixteenth of the range in which the threshold lies.

    The threshold is the largest t for which the weights of z >= t come to `least`; `low` is taken to be one such.
    """
    b = Builder("narrow")
    few, wide = TensorType((batch,)), TensorType((batch, vocabulary))
    low, high = b.parameter("low", few), b.parameter("high", few)
    z, weight, least = b.parameter("z", wide), b.parameter("weight", wide), b.parameter("least", few)
    ways = TensorType((batch, WAYS))
    parts = b.mul(b.iota(1, ways.shape, "f32"), 1 / WAYS)
    at = b.add(b.broadcast(low, ways, (0,)), b.mul(b.broadcast(b.sub(high, low), ways, (0,)), parts))
    whole = TensorType((batch, WAYS, vocabulary))
    above = b.compare("GE", b.broadcast(z, whole, (0, 2)), b.broadcast(at, whole, (0, 1)))
    mass = b.sum(b.select(above, b.broadcast(weight, whole, (0, 2)), 0.0), (2,))
    enough = b.compare("GE", mass, b.broadcast(least, ways, (0,)))
    new_low = b.max_over(b.select(enough, at, b.broadcast(low, ways, (0,))), (1,))
    beyond = b.select(enough, b.broadcast(high, ways, (0,)), at)
    new_high = b.op("reduce_min", beyond, b.scalar(math.inf), dims=(1,))
    return replace(b.finish([("low", new_low), ("high", b.maximum(new_low, new_high))]), private=True)


def _gumbel(b: Builder, like: Value, key: Value, number: Value) -> Value:
    """-log(-log(u)), u uniform on (0, 1): the index of the largest z + g is a draw of softmax z.

    Source: Gumbel 1954; Maddison et al. 2014, section 2.
    """
    own = step_key(b, key, number)
    (word, _) = words(b, own, 0, like.type.size)
    g = b.unary("neg", b.unary("log", b.unary("neg", b.unary("log", open_unit(b, word)))))
    return b.reshape(g, like.shape)


def open_unit(b: Builder, word: Value) -> Value:
    """(n + 1/2) 2^-23 with n the upper 23 bits of words ui32: exact in float32, above 0 and below 1."""
    whole = b.convert(b.convert(b.op("shr", word, b.constant(9, word.type)), "i32"), "f32")
    return b.mul(b.add(whole, 0.5), 2.0**-23)
