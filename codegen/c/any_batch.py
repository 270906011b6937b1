"""Sizes of a program of any batch, as C has them: `batch`, an argument of its functions.

Such a size is an int, so that all that reads sizes reads these: what is decided by one (threads, lanes) is decided as
for a batch of 32. It is equal to a size that is the same at every batch, and to no other. Sums and multiples of it are
such sizes; what is none of these is refused.
"""

from __future__ import annotations

from typing import Any, NoReturn

from netc.codegen.ir import Function, Module
from netc.codegen.ops.movement import PerBatch
from netc.codegen.symbolic.abstract import BatchMisfitError
from netc.codegen.symbolic.sizes import symbolic_functions
from netc.codegen.symbolic.specialise import specialised

USUAL = 32
NAME = "batch"


class Size(int):
    """`fixed` + `times` B elements."""

    fixed: int
    times: int

    def __new__(cls, fixed: int, times: int) -> Size:
        """The size; `size` gives an int where it is no multiple of B."""
        self = super().__new__(cls, fixed + times * USUAL)
        self.fixed, self.times = fixed, times
        return self

    def at(self, batch: int) -> int:
        """The number at a batch."""
        return self.fixed + self.times * batch

    def __str__(self) -> str:
        many = NAME if self.times == 1 else f"{NAME} * {self.times}"
        return many if self.fixed == 0 else f"({self.fixed} + {many})"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return _pair(other) == (self.fixed, self.times)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.fixed, self.times))

    def __add__(self, other: int) -> int:
        fixed, times = _pair(other)
        return size(self.fixed + fixed, self.times + times)

    __radd__ = __add__

    def __sub__(self, other: int) -> int:
        return self + -other

    def __rsub__(self, other: int) -> int:
        return -self + other

    def __neg__(self) -> int:
        return size(-self.fixed, -self.times)

    def __mul__(self, other: int) -> int:
        if isinstance(other, Size):
            _refuse(f"the product of {self} and {other} is no multiple of the batch")
        return size(self.fixed * other, self.times * other)

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> int:
        if isinstance(other, Size):
            if self.fixed == other.fixed == 0 and self.times % other.times == 0:
                return self.times // other.times
        elif self.fixed % other == self.times % other == 0:
            return size(self.fixed // other, self.times // other)
        _refuse(f"{self} by {other} is no whole number at every batch")

    def __mod__(self, other: int) -> int:
        return self - self // other * other

    def _none(self, *_: object) -> NoReturn:
        _refuse(f"{self} is not known")

    __truediv__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __pow__ = __divmod__ = _none
    __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = _none


class Share(float):
    """A number by a size, as a mean's 1 / B is."""

    factor: float
    by: Size

    def __new__(cls, factor: float, by: Size) -> Share:
        """The number, and its text."""
        self = super().__new__(cls, factor / int.__int__(by))
        self.factor, self.by = factor, by
        return self

    def text(self, real: str) -> str:
        """The C of it, of a type."""
        quotient = f"({self.factor!r} / (double)({self.by}))"
        return quotient if real == "double" else f"({real}){quotient}"


def size(fixed: int, times: int) -> int:
    """So many elements."""
    return Size(fixed, times) if times else fixed


def _pair(n: object) -> tuple[Any, int]:
    return (n.fixed, n.times) if isinstance(n, Size) else (n, 0)


def _refuse(what: str) -> NoReturn:
    raise BatchMisfitError("", what)


def larger(x: int, y: int) -> int:
    """A size that is no smaller than either at any batch."""
    (a, p), (b, q) = _pair(x), _pair(y)
    return size(max(a, b), max(p, q))


def number_at(n: int, batch: int) -> int:
    """A size at a batch."""
    return n.at(batch) if isinstance(n, Size) else n


def sized(module: Module) -> Module:
    """A module whose sizes are multiples of the batch (codegen/symbolic) with sizes of C; any other as it is."""
    return specialised(module, Size(0, 1), _share) if symbolic_functions(module) else module


def _share(given: PerBatch, batch: int) -> float:
    by = given.times * batch
    assert isinstance(by, Size)
    return Share(given.factor, by)


def has_sizes(function: Function) -> bool:
    """Whether a function is one of any batch."""
    return any(isinstance(n, Size) for op in function.ops for v in (*op.operands, *op.results) for n in v.shape)
