"""Arithmetic modulo several primes at once, exact in float64.

A tensor of residues is an array [R, ..] of float64 integers, one row for each prime p < 2^26, every element the
representative of least size, |a| <= (p - 1) / 2 < 2^25. So a product is below 2^50, and a sum of products in which one
factor was split into halves of 13 bits is below 2^53 up to 2^15 terms: a BLAS product in float64 rounds nothing.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache, reduce
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Ints = tuple[int, ...]

BITS = 26  # primes are below 2^26
HALF = 13  # bits of the low part of a split factor
TERMS = 1 << 15  # of one BLAS product: 2^25 2^12 2^15 = 2^52
CHUNK = 1 << 14  # elements reduced at a time: two buffers of that many stay in a core's cache
ALONE = 1 << 17  # elements below which threads do not pay


def is_prime(n: int) -> bool:
    """By trial division: for numbers below 2^26."""
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def draw_primes(count: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Different primes between 2^25 and 2^26, congruent 7 modulo 8, so that 2 has a square root.

    There are about 470,000 of them; they are drawn, so that no program can be wrong by a multiple of them on purpose.
    """
    found: list[int] = []
    while len(found) < count:
        candidate = int(rng.integers(1 << (BITS - 4), 1 << (BITS - 3))) * 8 + 7
        if candidate not in found and is_prime(candidate):
            found.append(candidate)
    return tuple(found)


class ZeroDivisorError(Exception):
    """A denominator is 0 at this point; another point is wanted."""


def bare(x: Array) -> Array:
    """x with every axis along which it only repeats cut to size 1."""
    axes = zip(x.shape, x.strides, strict=True)
    return x[tuple(slice(0, 1) if step == 0 and n > 1 else slice(None) for n, step in axes)]


class Residues:
    """The fields of integers modulo each of `primes`, side by side."""

    def __init__(self, primes: Sequence[int]) -> None:
        self.primes = tuple(primes)
        self.p = np.array(self.primes, np.float64)

    def column(self, numbers: Sequence[int], rank: int) -> Array:
        """One number for each prime, beside tensors of that rank: [R, 1, ..]."""
        return np.array([_least(n, p) for n, p in zip(numbers, self.primes, strict=True)], np.float64).reshape(
            (-1,) + (1,) * rank
        )

    def of(self, x: Array) -> Array:
        """[..] integers -> [R, ..] residues."""
        whole = x if x.dtype == np.uint64 else x.astype(np.int64)
        rows = np.stack([np.mod(whole, whole.dtype.type(p)) for p in self.primes]).astype(np.float64)
        return self._reduced(rows)

    def dyadic(self, x: Array) -> Array:
        """[..] finite floats -> [R, ..] residues of exactly these numbers."""
        part, exponent = np.frexp(x)
        odd = self.of(np.ldexp(part, 53))
        power = exponent.astype(np.int64) - 53
        low = int(power.min())
        rows = [_powers_of_two(low, int(power.max()), p)[power - low] for p in self.primes]
        return self.mul(odd, self._reduced(np.stack(rows)))

    def fraction(self, value: Fraction) -> tuple[int, ...]:
        """The residues of a rational number; raises ZeroDivisorError where its denominator is 0."""
        if any(value.denominator % p == 0 for p in self.primes):
            raise ZeroDivisorError
        return tuple(value.numerator * pow(value.denominator, -1, p) % p for p in self.primes)

    def powers(self, value: Fraction, *factors: tuple[Sequence[int], int]) -> tuple[int, ...]:
        """A rational number times powers of elements."""
        found = self.fraction(value)
        for element, power in factors:
            found = tuple(n * pow(e, power, p) % p for n, e, p in zip(found, element, self.primes, strict=True))
        return found

    def half_root(self) -> tuple[int, ...]:
        """A square root of one half."""
        return square_root_of(self, pow(2, -1, math.prod(self.primes)))

    def transcendental(self, value: float, rng: np.random.Generator) -> tuple[int, ...]:
        """What stands for a transcendental number: any element, since it obeys no polynomial. `value` is not used."""
        return tuple(int(v) for v in uniform(self, (), rng))

    def argument(self, numbers: Array, rng: np.random.Generator) -> Array:
        """What stands for an argument that has these numbers in the float run: any elements."""
        return uniform(self, numbers.shape, rng)

    def direction(self, shape: Sequence[int], rng: np.random.Generator) -> Array:
        """A random tangent."""
        return uniform(self, shape, rng)

    def function(self, name: str, key: int, x: Array) -> Array:
        """What stands for a function that is not rational, of n operands from [n R, ..]: a random one."""
        label = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        return random_function(self, key ^ label, x)

    def _reduced(self, x: Array, twice: bool = False) -> Array:
        """x modulo each prime, in place where x is contiguous: x - p round(x / p).

        Exact for |x| < 2^50, and for less than 2^53 if `twice`: x / p is off by at most 2^-28, and half of an odd p is
        further than that from any integer.
        """
        x = np.ascontiguousarray(x)
        rows = x.reshape(len(self.primes), -1)
        _each(x.size, len(rows), lambda r: _reduce_row(rows[r], self.primes[r], twice))
        return x

    def _binary(self, function: Any, x: Array, y: Array) -> Array:
        a, b = bare(x), bare(y)
        # the first axis tells the primes apart, also where only repetitions of one number meet
        out = np.empty(np.broadcast_shapes(a.shape, b.shape, (len(self.primes),) + (1,) * (x.ndim - 1)))

        def one(r: int) -> None:
            own = slice(r, r + 1)
            function(a if len(a) == 1 else a[own], b if len(b) == 1 else b[own], out=out[own])
            _reduce_row(out[own].reshape(-1), self.primes[r])

        _each(out.size, len(out), one)
        return np.broadcast_to(out, np.broadcast_shapes(x.shape, y.shape))

    def add(self, x: Array, y: Array) -> Array:
        """x + y."""
        return self._binary(np.add, x, y)

    def sub(self, x: Array, y: Array) -> Array:
        """x - y."""
        return self._binary(np.subtract, x, y)

    def mul(self, x: Array, y: Array) -> Array:
        """x y."""
        return self._binary(np.multiply, x, y)

    def neg(self, x: Array) -> Array:
        """-x."""
        return np.broadcast_to(np.negative(bare(x)), x.shape)

    def inverse(self, x: Array) -> Array:
        """1 / x; raises ZeroDivisorError if an element is 0."""
        base = np.ascontiguousarray(bare(x))
        base = base if base.shape[0] == len(self.primes) else np.repeat(base, len(self.primes), 0)
        if not base.all():
            raise ZeroDivisorError
        return np.broadcast_to(self._inverse(base.reshape(len(base), -1)).reshape(base.shape), x.shape)

    def _inverse(self, flat: Array) -> Array:
        """[R, n]: for a pair a, b from 1/(a b): 1/a = b/(a b), 1/b = a/(a b); so n inverses cost 3 n products."""
        half = flat.shape[1] // 2
        if half < 8:
            powers = [[pow(int(v), -1, p) for v in row] for row, p in zip(flat, self.primes, strict=True)]
            return self._reduced(np.array(powers, np.float64).reshape(flat.shape))
        a, b, rest = flat[:, :half], flat[:, half : 2 * half], flat[:, 2 * half :]
        both = self._inverse(self.mul(a, b))
        parts = [self.mul(both, b), self.mul(both, a), *([self._inverse(rest)] if rest.size else [])]
        return np.concatenate(parts, 1)

    def sum(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The sum over axes of the tensor (counted without that of the primes): 2^27 terms stay below 2^53."""
        return self._reduced(np.asarray(x.sum(axis=tuple(a + 1 for a in axes))), twice=True)

    def matmul(self, x: Array, y: Array) -> Array:
        """[R, .., M, K] by [R, .., K, N]: x y = (x y1) 2^13 + x y0 for y = y1 2^13 + y0, |y0| and |y1| up to 2^12."""
        if x.shape[-2] < y.shape[-1]:  # the smaller factor is split
            swapped = self.matmul(np.swapaxes(y, -1, -2), np.swapaxes(x, -1, -2))
            return np.ascontiguousarray(np.swapaxes(swapped, -1, -2))
        k, out = x.shape[-1], np.empty((*x.shape[:-1], y.shape[-1]))
        if k > TERMS:
            parts = (self.matmul(x[..., i : i + TERMS], y[..., i : i + TERMS, :]) for i in range(0, k, TERMS))
            return reduce(self.add, parts)

        def one(r: int) -> None:
            high = np.rint(y[r] * 2.0**-HALF)
            np.matmul(x[r], high, out=out[r])
            flat = out[r].reshape(-1)
            _reduce_row(flat, self.primes[r], twice=True)
            flat *= 2.0**HALF
            low = np.matmul(x[r], y[r] - high * 2.0**HALF)
            flat += low.reshape(-1)
            _reduce_row(flat, self.primes[r], twice=True)

        _each(out.size + x.size + y.size, len(out), one)
        return out

    def plus(self, x: Sequence[int], y: Sequence[int]) -> list[int]:
        """x + y of numbers from 0 to p - 1, one for each prime."""
        return [(a + b) % p for a, b, p in zip(x, y, self.primes, strict=True)]

    def times(self, x: Sequence[int], y: Sequence[int]) -> list[int]:
        """x y of numbers, one for each prime, from 0 to p - 1."""
        return [a * b % p for a, b, p in zip(x, y, self.primes, strict=True)]

    def dot(
        self,
        x: Array,
        y: Array,
        contract: tuple[Ints, Ints],
        batch: tuple[Ints, Ints],
    ) -> Array:
        """Sums of products over `contract` for each element of `batch`; the primes' axis is not counted."""

        def arranged(v: Array, c: Ints, b: Ints, first: bool) -> tuple[Array, Ints, Ints]:
            rank = v.ndim - 1
            free = tuple(i for i in range(rank) if i not in c and i not in b)
            order = (*b, *free, *c) if first else (*b, *c, *free)
            lead = tuple(v.shape[i + 1] for i in b)
            kept = tuple(v.shape[i + 1] for i in free)
            k = math.prod(v.shape[i + 1] for i in c)
            sizes = (math.prod(kept), k) if first else (k, math.prod(kept))
            return v.transpose(0, *(i + 1 for i in order)).reshape(len(v), *lead, *sizes), lead, kept

        left, lead, rows = arranged(x, contract[0], batch[0], True)
        right, _, columns = arranged(y, contract[1], batch[1], False)
        return self.matmul(left, right).reshape(len(x), *lead, *rows, *columns)

    def inner(self, x: Array, y: Array) -> list[int]:
        """sum x y over all elements, for each prime, from 0 to p - 1."""
        totals = self.sum(self.mul(x, y), tuple(range(x.ndim - 1)))
        return [int(total) % p for total, p in zip(totals, self.primes, strict=True)]


def _reduce_row(flat: Array, p: int, twice: bool = False) -> None:
    scratch = np.empty(min(CHUNK, flat.size))
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        q = scratch[: part.size]
        for _ in range(2 if twice else 1):
            np.multiply(part, 1.0 / p, out=q)
            np.rint(q, out=q)
            np.multiply(q, p, out=q)
            np.subtract(part, q, out=part)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1)


def _each(elements: int, rows: int, one: Callable[[int], None]) -> None:
    """Call `one` for each prime; together where that is worth a thread, since NumPy lets go of Python's lock."""
    if elements < ALONE or rows == 1:
        for r in range(rows):
            one(r)
    else:
        list(_threads().map(one, range(rows)))


def _powers_of_two(low: int, high: int, p: int) -> Array:
    return np.array([pow(2, e, p) for e in range(low, high + 1)], np.float64)


def _least(n: int, p: int) -> int:
    r = n % p
    return r - p if r > p // 2 else r


MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # Steele, Lea and Flood 2014, the finaliser of SplitMix64
GOLDEN = 0x9E3779B97F4A7C15


def _mix(h: Array) -> Array:
    h = (h ^ (h >> np.uint64(30))) * np.uint64(MIX[0])
    h = (h ^ (h >> np.uint64(27))) * np.uint64(MIX[1])
    return np.asarray(h ^ (h >> np.uint64(31)))


def random_function(field: Residues, key: int, x: Array) -> Array:
    """A function of residues that looks random: [R, ..] -> [R, ..], none of it 0; of n operands from [n R, ..].

    Each value hangs on the operands modulo all primes: two meet only if they are equal modulo each.
    """
    base = np.ascontiguousarray(bare(x))
    with np.errstate(over="ignore"):
        h = np.full(base.shape[1:], key & (1 << 64) - 1, np.uint64)
        for row in base:
            h = _mix((h + np.uint64(GOLDEN)) ^ row.astype(np.int64).view(np.uint64))
        rows = []
        for index, p in enumerate(field.primes):
            word = _mix(h + np.uint64((index + 1) * GOLDEN & (1 << 64) - 1))
            rows.append((word % np.uint64(p - 1)).astype(np.int64) + 1)
    signed = [np.where(r > p // 2, r - p, r) for r, p in zip(rows, field.primes, strict=True)]
    return np.broadcast_to(np.stack(signed).astype(np.float64), (len(field.primes), *x.shape[1:]))


def uniform(field: Residues, shape: Sequence[int], rng: np.random.Generator) -> Array:
    """A random element of each field at each place."""
    return np.stack([rng.integers(-(p // 2), p // 2, shape, endpoint=True).astype(np.float64) for p in field.primes])


def square_root_of(field: Residues, value: int) -> tuple[int, ...]:
    """A square root modulo each prime, p = 3 modulo 4: value^((p + 1) / 4); `value` must be a square."""
    roots = tuple(pow(value, (p + 1) // 4, p) for p in field.primes)
    assert all(r * r % p == value % p for r, p in zip(roots, field.primes, strict=True))
    return roots
