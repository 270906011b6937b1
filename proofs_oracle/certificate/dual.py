"""Dual numbers over prime fields: an arithmetic for the evaluator.

Each float tensor is held three times: in float64, which decides comparisons; as residues modulo the primes; and, where
it depends on what is differentiated, as the residues of its tangent. Integer tensors are plain NumPy arrays.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES, FloatArithmetic
from netc.netspec.errors import NetcError
from netc.netspec.types import DType, TensorType
from netc.proofs_oracle.certificate.degree import CONSTANT, VARIABLE, Degree, Joined, Reciprocals
from netc.proofs_oracle.certificate.identities import FIXED, Identities
from netc.proofs_oracle.certificate.reading import Number, read
from netc.proofs_oracle.certificate.residues import Array, Residues, bare

Ints = tuple[int, ...]


class CertifyError(NetcError):
    """The certificate cannot be judged: an operation without a rule, a float run that is not finite."""


class UnreadError(CertifyError):
    """A claim needs what the reader could not read; the message says where that is."""


class FloatRunError(CertifyError):
    """A float run that is not finite: another point is wanted."""


@dataclass(frozen=True)
class Dual:
    """`real` [..] float64; `res` and `tan` [R, ..] residues of the value and of its tangent, None for zero.

    `made`: how it was made of others, where exponent.py asks. `joined`: what it is a concatenation of.
    """

    real: Array
    res: Array
    tan: Array | None
    deg: Degree
    tdeg: Degree = CONSTANT
    made: Any = None
    joined: Joined | None = None

    @property
    def value(self) -> Dual:
        """Without the tangent."""
        return self if self.tan is None else replace(self, tan=None, tdeg=CONSTANT)


class DualField:
    """One random point: what the evaluator calls, but for `scalar`, which functions.TranscendentalField adds.

    `key` chooses the functions that are not rational.
    """

    def __init__(self, field: Residues, rng: np.random.Generator, identities: Identities, exact: bool) -> None:
        self.field, self.identities, self.exact = field, identities, exact
        self.floats = FloatArithmetic("f64")
        self.key = int(rng.integers(1 << 62))
        self.reciprocals = Reciprocals()
        self.instances = 0  # values of functions that are not rational
        self.operand_degree = 0  # the highest of what they are taken of
        self.made_of: dict[tuple[str, int, int], tuple[Dual, Array | None, Dual]] = {}  # of exponent.py
        self.tied: Any = None  # the variables of tied.py, where it is in use
        self.readings: dict[tuple[float, str], Number] = {}
        self.root = field.half_root()
        self.pi = field.transcendental(2 / math.sqrt(math.pi), rng)
        self.ln2 = field.transcendental(math.log(2), rng)

    # -- making tensors ----------------------------------------------------------------------------------------

    def residues(self, number: Number) -> tuple[int, ...]:
        """The residues of a literal."""
        powers = ((self.root, number.root), (self.pi, number.pi), (self.ln2, number.ln2))
        return self.field.powers(number.fraction, *[(element, power) for element, power in powers if power])

    def literal(self, value: float, dtype: str) -> Number:
        """The number that a literal stands for; it is listed in the certificate."""
        if (value, dtype) not in self.readings:
            self.readings[value, dtype] = read(value, dtype, self.exact)
        return self.readings[value, dtype]

    def constant(self, value: Any, type: TensorType) -> Any:  # noqa: A002
        """Literals, each as the number that it stands for. Infinities live in the float run only."""
        if type.dtype in INTEGER_DTYPES:
            return self.floats.constant(value, type)
        several = isinstance(value, tuple)
        numbers = [float(v) for v in value] if several else [float(value)]
        read_ = [self.literal(v, type.dtype) if math.isfinite(v) else None for v in numbers]
        rows = [self.residues(n) if n else (0,) * len(self.field.primes) for n in read_]
        shape = type.shape if several else (1,) * type.rank
        res = self.field.of(np.zeros(())) if not rows else np.stack(
            [self.field.column(row, 0) for row in rows], -1
        ).reshape(-1, *shape)  # fmt: skip
        real = np.broadcast_to(np.array(numbers).reshape(shape), type.shape)
        degree = Degree(max((abs(n.pi) + 2 * abs(n.ln2) for n in read_ if n), default=0))
        return Dual(real, np.broadcast_to(res, (len(res), *type.shape)), None, degree)

    def number(self, n: int, like: Dual) -> Dual:
        """The whole number n, in the shape of `like`."""
        rank = like.real.ndim
        res = np.broadcast_to(self.field.column([n] * len(self.field.primes), rank), like.res.shape)
        return Dual(np.broadcast_to(np.float64(n), like.real.shape), res, None, CONSTANT)

    def iota(self, dim: int, type: TensorType) -> Any:  # noqa: A002
        """The index along an axis."""
        line = self.floats.iota(dim, type)
        return line if type.dtype in INTEGER_DTYPES else self.whole(line)

    def whole(self, x: Array) -> Dual:
        """Whole numbers as constants."""
        if x.dtype.kind == "f" and not (np.abs(x) < 2.0**53).all():
            raise CertifyError("wants integers below 2^53 in the float run, got larger ones; try another `seed`")
        return Dual(x.astype(np.float64), self.field.of(x), None, CONSTANT)

    def shape(self, x: Any) -> Ints:
        """The sizes of the axes."""
        return tuple(x.real.shape if isinstance(x, Dual) else x.shape)

    # -- rational operations -----------------------------------------------------------------------------------

    def add(self, x: Any, y: Any) -> Any:
        """d(x + y) = dx + dy."""
        if not isinstance(x, Dual):
            with np.errstate(over="ignore"):
                return self.floats.add(x, y)
        tan, tdeg = self._sum((x.tan, x.tdeg), (y.tan, y.tdeg))
        made = self._made("add", x, y)
        return Dual(x.real + y.real, self.field.add(x.res, y.res), tan, x.deg | y.deg, tdeg, made)

    def sub(self, x: Any, y: Any) -> Any:
        """d(x - y) = dx - dy."""
        if not isinstance(x, Dual):
            with np.errstate(over="ignore"):
                return self.floats.sub(x, y)
        tan, tdeg = self._sum((x.tan, x.tdeg), (None if y.tan is None else self.field.neg(y.tan), y.tdeg))
        made = self._made("sub", x, y)
        return Dual(x.real - y.real, self.field.sub(x.res, y.res), tan, x.deg | y.deg, tdeg, made)

    def _made(self, how: str, *of: Any) -> Any:
        """What exponent.py may ask for; nothing where it is not in use, since it keeps what it names alive."""
        return (how, *(x.value if isinstance(x, Dual) else x for x in of)) if self.identities.additive else None

    def neg(self, x: Any) -> Any:
        """d(-x) = -dx."""
        if not isinstance(x, Dual):
            return self.floats.neg(x)
        tan = None if x.tan is None else self.field.neg(x.tan)
        return Dual(-x.real, self.field.neg(x.res), tan, x.deg, x.tdeg, self._made("neg", x))

    def mul(self, x: Any, y: Any) -> Any:
        """d(x y) = dx y + x dy."""
        if not isinstance(x, Dual):
            with np.errstate(over="ignore"):
                return self.floats.mul(x, y)
        found = self._bilinear(x, y, np.multiply, self.field.mul)
        return replace(found, made=self._made("mul", x, y)) if self.identities.additive else found

    def _bilinear(self, x: Dual, y: Dual, real: Callable[..., Array], product: Callable[[Array, Array], Array]) -> Dual:
        left = None if x.tan is None else product(x.tan, y.res)
        right = None if y.tan is None else product(x.res, y.tan)
        tan, tdeg = self._sum((left, x.tdeg * y.deg), (right, x.deg * y.tdeg))
        value = self.finite(real(x.real, y.real))
        return Dual(value, product(x.res, y.res), tan, x.deg * y.deg, tdeg)

    def _sum(self, *terms: tuple[Array | None, Degree]) -> tuple[Array | None, Degree]:
        total: Array | None = None
        degree = CONSTANT
        for tan, tdeg in terms:
            if tan is not None:
                total = tan if total is None else self.field.add(total, tan)
                degree = degree | tdeg
        return total, degree

    def finite(self, real: Array) -> Array:
        """The numbers of the float run. Raises FloatRunError for an infinity or NaN."""
        if not np.isfinite(bare(real)).all():
            raise FloatRunError("wants finite numbers in the float run, got an infinity or NaN; try another `seed`")
        return real

    def div(self, x: Any, y: Any) -> Any:
        """x times 1/y; d(1/y) = -(1/y)² dy. Where y is 0 there is no number: `finite` stops what would use it."""
        self.finite(y.real)
        with np.errstate(all="ignore"):
            real = np.divide(x.real, y.real)
        if not bare(y.real).all():
            y = self.select(y.real == 0, self.number(1, y), y)
        return replace(self.mul(x, self._reciprocal(y)), real=real, made=self._made("div", x, y))

    def _reciprocal(self, y: Dual) -> Dual:
        inverse = self.field.inverse(y.res)
        base = np.ascontiguousarray(bare(y.res))
        key = hashlib.sha256(base.tobytes()).digest()[:12]
        degree = self.reciprocals.of(key, base[0].size, y.deg)
        with np.errstate(all="ignore"):
            u = Dual(np.divide(1.0, y.real), inverse, None, degree)
        if y.tan is None:
            return u
        slope = self.field.neg(self.field.mul(inverse, inverse))
        return replace(u, tan=self.field.mul(slope, y.tan), tdeg=degree * degree * y.tdeg)

    def dot(self, x: Dual, y: Dual, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> Dual:
        """Sums of products; bilinear."""
        if not isinstance(x, Dual):
            raise CertifyError("wants products of floats, got integers; this operation has no rule")

        def real(a: Array, b: Array) -> Array:
            return self.floats.dot(a, b, contract, batch)

        return self._bilinear(x, y, real, lambda a, b: self.field.dot(a, b, contract, batch))

    # -- functions that are not rational -----------------------------------------------------------------------

    def unknown(self, function: str, x: Dual) -> Dual:
        """f(x) for a function of which nothing is known but that equal operands give equal values."""
        self.instances += bare(x.res)[0].size
        self.operand_degree = max(self.operand_degree, self.reciprocals.cleared(x.deg))
        res = self.field.function(function, self.key, x.res)
        return Dual(x.real, self._fixed(function, x.res, res), None, VARIABLE)

    def _fixed(self, function: str, x: Array, y: Array) -> Array:
        """y, but at the operands where the value is known."""
        for at, value in FIXED.get(function, ()):
            met = (bare(x) == self.field.column([at] * len(x), x.ndim - 1)).all(axis=0)
            if met.any():
                known = self.field.column(self.residues(value), x.ndim - 1)
                y = np.broadcast_to(np.where(met, known, bare(y)), y.shape)
        return y

    # -- choices -----------------------------------------------------------------------------------------------

    def bits(self, function: str, x: Array, y: Any = None) -> Array:
        """Operations on the bits of integers."""
        return self.floats.bits(function, x, y)

    def compare(self, direction: str, x: Any, y: Any) -> Array:
        """As the float run has it: this is the branch of which the certificate speaks."""
        a, b = (v.real if isinstance(v, Dual) else v for v in (x, y))
        return self.floats.compare(direction, a, b)

    def select(self, condition: Array, x: Any, y: Any) -> Any:
        """One or the other, and its tangent."""
        if not isinstance(x, Dual):
            return self.floats.select(condition, x, y)
        tan, tdeg = None, CONSTANT
        if x.tan is not None or y.tan is not None:
            zero = np.zeros((1,) * x.res.ndim)
            left, right = (zero if v.tan is None else v.tan for v in (x, y))
            tan, tdeg = np.where(condition, left, right), x.tdeg | y.tdeg
        real, res = (np.where(condition, a, b) for a, b in ((x.real, y.real), (x.res, y.res)))
        return Dual(real, res, tan, x.deg | y.deg, tdeg, self._made("select", condition, x, y))

    def convert(self, x: Any, dtype: DType) -> Any:
        """Integers to floats exactly; floats to integers as the float run has it; float to float is the identity."""
        if isinstance(x, Dual):
            return self._whole_part(x.real, dtype) if dtype in INTEGER_DTYPES else x
        return self.floats.convert(x, dtype) if dtype in INTEGER_DTYPES else self.whole(x)

    def _whole_part(self, real: Array, dtype: DType) -> Array:
        """Towards 0. Raises FloatRunError for a number that the integers do not hold: what that gives is not said."""
        self.finite(real)
        if dtype != "i1":
            info = np.iinfo(INTEGER_DTYPES[dtype])
            if ((np.trunc(bare(real)) < info.min) | (np.trunc(bare(real)) > info.max)).any():
                raise FloatRunError(
                    f"wants numbers that {dtype} holds, got others in the float run; try another `seed`"
                )
        return self.floats.convert(real, dtype)

    def _extreme(self, x: Any, dims: Ints, arg: Callable[..., Array], plain: Callable[..., Array]) -> Any:
        if not isinstance(x, Dual):
            return plain(x, dims)
        kept = tuple(i for i in range(x.real.ndim) if i not in dims)
        shape = tuple(x.real.shape[i] for i in kept)
        at = arg(x.real.transpose(*kept, *dims).reshape(*shape, -1), -1)[..., None]

        def chosen(v: Array) -> Array:
            flat = v.transpose(0, *(i + 1 for i in (*kept, *dims))).reshape(len(v), *shape, -1)
            return np.take_along_axis(flat, np.broadcast_to(at, (len(v), *at.shape)), -1)[..., 0]

        tan = None if x.tan is None else chosen(x.tan)
        return Dual(plain(x.real, dims), chosen(x.res), tan, x.deg, x.tdeg, self._made("move", chosen, x))

    def reduce_max(self, x: Any, dims: Ints) -> Any:
        """The first maximum of the float run."""
        return self._extreme(x, dims, np.argmax, self.floats.reduce_max)

    def reduce_min(self, x: Any, dims: Ints) -> Any:
        """The first minimum of the float run."""
        return self._extreme(x, dims, np.argmin, self.floats.reduce_min)

    def reduce_sum(self, x: Any, dims: Ints) -> Any:
        """Sums of values and of tangents."""
        if not isinstance(x, Dual):
            return self.floats.reduce_sum(x, dims)
        tan = None if x.tan is None else self.field.sum(x.tan, dims)
        real = self.finite(self.floats.reduce_sum(x.real, dims))
        return Dual(real, self.field.sum(x.res, dims), tan, x.deg, x.tdeg)

    # -- movement ----------------------------------------------------------------------------------------------

    def _moved(self, x: Any, real: Callable[[Array], Array], res: Callable[[Array], Array]) -> Any:
        if not isinstance(x, Dual):
            return real(x)
        tan = None if x.tan is None else res(x.tan)
        return replace(x, real=real(x.real), res=res(x.res), tan=tan, made=self._made("move", res, x), joined=None)

    def reshape(self, x: Any, shape: Ints) -> Any:
        """Another shape."""
        return self._moved(x, lambda v: v.reshape(shape), lambda v: v.reshape(len(v), *shape))

    def transpose(self, x: Any, perm: Ints) -> Any:
        """Another order of axes."""
        return self._moved(x, lambda v: v.transpose(perm), lambda v: v.transpose(0, *(i + 1 for i in perm)))

    def broadcast(self, x: Any, shape: Ints, dims: Ints) -> Any:
        """Repetition along new axes."""
        after, F = tuple(d + 1 for d in dims), self.floats
        return self._moved(
            x, lambda v: F.broadcast(v, shape, dims), lambda v: F.broadcast(v, (len(v), *shape), (0, *after))
        )  # fmt: skip

    def slice(self, x: Any, start: Ints, limit: Ints, stride: Ints) -> Any:
        """A strided part."""
        F = self.floats
        found = self._moved(
            x,
            lambda v: F.slice(v, start, limit, stride),
            lambda v: F.slice(v, (0, *start), (len(v), *limit), (1, *stride)),
        )
        if not isinstance(x, Dual) or x.joined is None or x.joined.res is not x.res or x.joined.deg is not x.deg:
            return found
        deg, tdeg = x.joined.within(start, limit)
        return replace(found, deg=deg, tdeg=CONSTANT if x.tan is None else tdeg)

    def reverse(self, x: Any, dims: Ints) -> Any:
        """Reverse order."""
        return self._moved(x, lambda v: np.flip(v, dims), lambda v: np.flip(v, tuple(d + 1 for d in dims)))

    def pad(self, x: Any, value: Any, low: Ints, high: Ints, interior: Ints) -> Any:
        """`value` around and between the elements."""
        F = self.floats
        if not isinstance(x, Dual):
            return F.pad(x, value, low, high, interior)
        tan = None
        if x.tan is not None or value.tan is not None:
            fill = np.zeros(len(x.res)) if value.tan is None else value.tan
            inner = np.broadcast_to(np.zeros(()), x.res.shape) if x.tan is None else x.tan
            tan = np.stack([F.pad(v, f, low, high, interior) for v, f in zip(inner, fill, strict=True)])
        res = np.stack([F.pad(v, f, low, high, interior) for v, f in zip(x.res, value.res, strict=True)])
        real = F.pad(x.real, value.real, low, high, interior)
        return Dual(real, res, tan, x.deg | value.deg, x.tdeg | value.tdeg)

    def concatenate(self, parts: Sequence[Any], dim: int) -> Any:
        """One after the other."""
        if not isinstance(parts[0], Dual):
            return np.concatenate(parts, dim)
        tan, tdeg, deg = None, CONSTANT, CONSTANT
        for v in parts:
            tdeg, deg = tdeg | v.tdeg, deg | v.deg
        if any(v.tan is not None for v in parts):
            zero = np.zeros(())
            tans = [np.broadcast_to(zero, v.res.shape) if v.tan is None else v.tan for v in parts]
            tan = np.concatenate(tans, dim + 1)
        real = np.concatenate([v.real for v in parts], dim)
        res = np.concatenate([v.res for v in parts], dim + 1)
        joined = Joined(res, deg, tdeg, dim, tuple((v.real.shape[dim], v.deg, v.tdeg) for v in parts))
        return Dual(real, res, tan, deg, tdeg, joined=joined)

    # -- indices, for foreign.py -------------------------------------------------------------------------------

    def gather(self, x: Any, at: Array) -> Any:
        """The elements at places of the flat tensor."""
        return self._moved(x, lambda v: v.reshape(-1)[at], lambda v: v.reshape(len(v), -1)[:, at])
