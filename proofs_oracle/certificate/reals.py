"""The real numbers in the place of the prime fields: the same program in float64, with dual numbers.

Each tensor has `rows` copies whose every result is off by a random part of a few units in the last place. How far the
copies are from one another shows how much of a number is rounding (Vignes, the CESTAC method, 1974 on).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from netc.proofs_oracle.certificate.float_runs import float_run
from netc.proofs_oracle.certificate.residues import Array, Residues, ZeroDivisorError, bare

NOISE = 2.0**-50  # 8 times the relative error of one operation


class Reals(Residues):
    """Float64 numbers where Residues has elements of fields; one copy without noise, or several with."""

    def __init__(self, rows: int, rng: np.random.Generator | None = None) -> None:
        super().__init__((0,) * rows)
        self.rng = rng

    def _noisy(self, x: Array) -> Array:
        if self.rng is None:
            return x
        return np.asarray(x * self.rng.uniform(1 - NOISE, 1 + NOISE, (len(self.primes), *x.shape[1:])))

    def column(self, numbers: Sequence[float], rank: int) -> Array:
        """One number for each copy."""
        return np.array(numbers, np.float64).reshape((-1,) + (1,) * rank)

    def of(self, x: Array) -> Array:
        """Integers as they are."""
        return np.stack([np.asarray(x, np.float64)] * len(self.primes))

    def fraction(self, value: Fraction) -> tuple[float, ...]:  # type: ignore[override]
        """The nearest float."""
        return (float(value),) * len(self.primes)

    def powers(self, value: Fraction, *factors: tuple[Sequence[float], int]) -> tuple[float, ...]:  # type: ignore[override]
        """A rational number times powers of real ones."""
        found = self.fraction(value)
        for element, power in factors:
            found = tuple(n * e**power for n, e in zip(found, element, strict=True))
        return found

    def half_root(self) -> tuple[float, ...]:  # type: ignore[override]
        """The square root of one half."""
        return (0.5**0.5,) * len(self.primes)

    def transcendental(self, value: float, rng: np.random.Generator) -> tuple[float, ...]:  # type: ignore[override]
        """The number itself."""
        return (value,) * len(self.primes)

    def argument(self, numbers: Array, rng: np.random.Generator) -> Array:
        """The numbers of the float run."""
        return self.of(numbers)

    def direction(self, shape: Sequence[int], rng: np.random.Generator) -> Array:
        """A random tangent, the same in each copy."""
        return self.of(rng.standard_normal(shape))

    def dyadic(self, x: Array) -> Array:
        """Floats as they are."""
        return self.of(x)

    def function(self, name: str, key: int, x: Array) -> Array:
        """The function; of two operands, atan2; `root 1/3` is x to that power."""
        with np.errstate(all="ignore"):
            if name == "atan2":
                return self._noisy(np.arctan2(*np.split(x, 2)))
            if name.startswith("root "):
                return self._noisy(np.power(x, float(Fraction(name[5:]))))
            return np.broadcast_to(self._noisy(float_run(name, bare(x))), x.shape)

    def _reduced(self, x: Array, twice: bool = False) -> Array:
        return self._noisy(x)

    def _binary(self, function: object, x: Array, y: Array) -> Array:
        a, b = bare(x), bare(y)
        with np.errstate(all="ignore"):
            out = self._noisy(function(a, b))  # type: ignore[operator]
        return np.broadcast_to(out, np.broadcast_shapes(x.shape, y.shape))

    def inverse(self, x: Array) -> Array:
        """1 / x; raises ZeroDivisorError if an element is 0."""
        base = bare(x)
        if not base.all():
            raise ZeroDivisorError
        return np.broadcast_to(self._noisy(1 / base), x.shape)

    def sum(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The sum over axes of the tensor; each term is off by itself, since terms may cancel."""
        return np.asarray(self._noisy(x).sum(axis=tuple(a + 1 for a in axes)))

    def matmul(self, x: Array, y: Array) -> Array:
        """Products of matrices; each element is off by itself, since products may cancel."""
        return np.asarray(np.matmul(self._noisy(x), self._noisy(y)))

    def plus(self, x: Sequence[float], y: Sequence[float]) -> list[float]:  # type: ignore[override]
        """x + y, one for each copy."""
        return [a + b for a, b in zip(x, y, strict=True)]

    def times(self, x: Sequence[float], y: Sequence[float]) -> list[float]:  # type: ignore[override]
        """x y, one for each copy."""
        return [a * b for a, b in zip(x, y, strict=True)]

    def inner(self, x: Array, y: Array) -> list[float]:  # type: ignore[override]
        """The sum of x y, for each copy."""
        return [float(v) for v in self.sum(self.mul(x, y), tuple(range(x.ndim - 1)))]
