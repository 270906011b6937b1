"""Mixup, CutMix and random erasing in JAX: its Threefry draws, and its incomplete beta function has the quantiles."""

from __future__ import annotations

import math
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc

from netc.netspec.erasing import Erasing
from netc.netspec.mixing import Mixing

if TYPE_CHECKING:
    from jax import Array


class Mixture(NamedTuple):
    """The examples [B, ..], and the share of each one's own loss."""

    x: Array
    share: Array


def words(key: Array, number: int, count: int) -> tuple[Array, Array]:
    """Two vectors of Threefry-2x32's words, at the counters (0.., number)."""
    index = jnp.arange(count, dtype=jnp.uint32)
    both = jax.extend.random.threefry_2x32(key, jnp.concatenate([index, jnp.full_like(index, np.uint32(number))]))
    return both[:count], both[count:]


def stream(*path: str) -> int:
    """The number of a path's draws."""
    number = 0
    for part in path:
        number = (number * 0x9E3779B1 + zlib.crc32(part.encode())) % 2**32
    return number


def quantiles(alpha: float) -> np.ndarray[Any, Any]:
    """Of Beta(alpha, alpha) at 0 (1/4096 where alpha is above 1), 1/512, .. 256/512, in whole 2^-20, by bisection."""
    return _quantiles(alpha, bool(jax.config.jax_enable_x64))


@lru_cache(maxsize=32)
def _quantiles(alpha: float, _wide: bool) -> np.ndarray[Any, Any]:
    """Computed once, and not by each program that draws from them: XLA compiles 40 turns of `betainc` for a second."""
    with jax.ensure_compile_time_eval():
        return np.asarray(_bisected(alpha))


def _bisected(alpha: float) -> Array:
    at = jnp.arange(257.0).at[0].set(1 / 8 if alpha > 1 else 0) / 512
    low, high = jnp.zeros_like(at), jnp.full_like(at, 0.5)

    def halved(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        lower, upper = bounds
        middle = (lower + upper) / 2
        under = betainc(alpha, alpha, middle) < at
        return jnp.where(under, middle, lower), jnp.where(under, upper, middle)

    low, high = jax.lax.fori_loop(0, 40, halved, (low, high))
    return jnp.round((low + high) / 2 * 2**20)


def beta(word: Array, alpha: float) -> Array:
    """Beta(alpha, alpha) by its quantile function, straight between 511 points of it; a word is a probability.

    Quantiles are rounded to 20 bits, the probability to 20, the result downwards to 24.
    """
    at = quantiles(alpha)
    place = (word >> 12).astype(jnp.float64)
    lower = place < 2**19
    found = jnp.floor(jnp.interp(jnp.where(lower, place, place - 2**19), jnp.arange(257) * 2**11, at) * 2**4) / 2**24
    return jnp.where(lower, found, 1 - found)


def _chance(word: Array, probability: float) -> Array:
    return (word >> 8) / 2**24 < round(probability * 2**24) / 2**24


def _root(squared: Array) -> Array:
    """Its whole part."""
    return jnp.floor(jnp.sqrt(squared))


def mixture(mixing: Mixing, key: Array, x: Array) -> Mixture:
    """Zhang et al. 2018 and Yun et al. 2019, one draw for the whole batch, which is paired with itself reversed."""
    high, low = words(key, stream("(mixing)"), 3)
    partner, kinds = x[::-1], []
    if mixing.mixup:
        share = beta(high[1], mixing.mixup)
        kinds.append(Mixture(share * x + (1 - share) * partner, share))
    if mixing.cutmix:
        size = x.shape[1:3]
        share = beta(high[1], mixing.cutmix)
        bounds = []
        for length, word in zip(size, (low[1], high[2]), strict=True):
            cut, centre = _root((1 - share) * length**2), jnp.floor((word >> 8) / 2**24 * length)
            bounds.append((jnp.maximum(centre - cut // 2, 0), jnp.minimum(centre + (cut + 1) // 2, length)))
        rows, columns = ((jnp.arange(n) >= lo) & (jnp.arange(n) < hi) for n, (lo, hi) in zip(size, bounds, strict=True))
        inside = (rows[:, None] & columns)[None, :, :, None]
        kept = 1 - jnp.sum(rows) * jnp.sum(columns) / math.prod(size)
        kinds.append(Mixture(jnp.where(inside, partner, x), kept))
    found = kinds[-1]
    if len(kinds) == 2:
        cut_this = _chance(low[0], mixing.mixup_switch_prob)
        found = Mixture(*(jnp.where(cut_this, c, m) for m, c in zip(*kinds, strict=True)))
    mixed = _chance(high[0], mixing.mixup_prob)
    return Mixture(jnp.where(mixed, found.x, x), jnp.where(mixed, found.share, 1.0))


def erased(erasing: Erasing, key: Array, x: Array) -> Array:
    """Zhong et al. 2020, algorithm 1: the first of ten rectangles that fits, for each image by itself."""
    batch, height, width, _ = x.shape
    high, low = (v.reshape(batch, 10) for v in words(key, stream("(erasing)"), batch * 10))
    whether = _chance(words(key, stream("(erasing)", "whether"), batch)[0], erasing.random_erasing)
    span = round((1 / 3 - 0.02) * 2**16)
    share = (round(0.02 * 2**24) + ((high >> 16).astype(jnp.int32) * span >> 8)) / 2**24
    aspect = 0.3 * jnp.exp(2 * math.log(1 / 0.3) * ((high & 0xFFF) + 0.5) / 4096)
    area = share * height * width
    rows, columns = jnp.floor(jnp.sqrt(area * aspect) + 0.5), jnp.floor(jnp.sqrt(area / aspect) + 0.5)
    top = jnp.floor((low >> 16) / 2**16 * (height - rows + 1))
    left = jnp.floor((low & 0xFFFF) / 2**16 * (width - columns + 1))
    fits = (rows < height) & (columns < width)
    first, some = jnp.argmax(fits, axis=1), jnp.any(fits, axis=1)
    rows, columns, top, left = (jnp.take_along_axis(v, first[:, None], 1)[:, 0] for v in (rows, columns, top, left))
    i, j = jnp.arange(height)[:, None], jnp.arange(width)
    top, rows, left, columns = (v[:, None, None] for v in (top, rows, left, columns))
    inside = (i >= top) & (i < top + rows) & (j >= left) & (j < left + columns)
    inside = inside & (whether & some)[:, None, None]
    noise = gaussian(key, x.shape, *(stream("(erasing)", f"noise{i}") for i in (0, 1)))
    return jnp.where(inside[..., None], noise if erasing.erasing_pixels else 0.0, x)


def gaussian(key: Array, shape: tuple[int, ...], *streams: int) -> Array:
    """Sums of eight uniforms of 16 bits, less their mean, by their deviation."""
    drawn = [word for number in streams for word in words(key, number, math.prod(shape))]
    total = sum((word & 0xFFFF) + (word >> 16) for word in drawn).astype(jnp.float64) - 8 * 65535 / 2
    return (total / math.sqrt(8 * (2**32 - 1) / 12)).reshape(shape)
