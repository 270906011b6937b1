"""What an arithmetic must offer so that the evaluator can run programs over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from netc.netspec.types import DType, TensorType

Ints = tuple[int, ...]


class Arithmetic(Protocol):
    """Tensors of some kind of number: floats, dual numbers, a prime field. `Any` is the arithmetic's own tensor."""

    def constant(self, value: Any, type: TensorType) -> Any:  # noqa: A002
        """A tensor of that type whose elements are `value`, or the tuple `value` in row-major order."""

    def iota(self, dim: int, type: TensorType) -> Any:  # noqa: A002
        """The index along axis `dim`."""

    def shape(self, x: Any) -> Ints:
        """The sizes of the axes."""

    def add(self, x: Any, y: Any) -> Any:
        """x + y."""

    def sub(self, x: Any, y: Any) -> Any:
        """x - y."""

    def mul(self, x: Any, y: Any) -> Any:
        """x y."""

    def div(self, x: Any, y: Any) -> Any:
        """x / y."""

    def neg(self, x: Any) -> Any:
        """-x."""

    def scalar(self, function: str, x: Any) -> Any:
        """exp, log, sqrt, rsqrt, sin, cos, tanh, logistic or erf of each element."""

    def bits(self, function: str, x: Any, y: Any = None) -> Any:
        """and, or, xor, not, shl, shr of integers."""

    def compare(self, direction: str, x: Any, y: Any) -> Any:
        """EQ, NE, GE, GT, LE or LT, as truth values."""

    def select(self, condition: Any, x: Any, y: Any) -> Any:
        """x where the condition holds, else y."""

    def convert(self, x: Any, dtype: DType) -> Any:
        """The same numbers in another element type."""

    def reshape(self, x: Any, shape: Ints) -> Any:
        """The same elements, row-major, in another shape."""

    def transpose(self, x: Any, perm: Ints) -> Any:
        """Axis i of the result is axis perm[i] of x."""

    def broadcast(self, x: Any, shape: Ints, dims: Ints) -> Any:
        """Axis i of x is axis dims[i] of the result; all else is repeated."""

    def slice(self, x: Any, start: Ints, limit: Ints, stride: Ints) -> Any:
        """Every stride-th element from start to before limit."""

    def pad(self, x: Any, value: Any, low: Ints, high: Ints, interior: Ints) -> Any:
        """`value` around and between elements; negative low and high cut."""

    def concatenate(self, parts: Sequence[Any], dim: int) -> Any:
        """The parts one after the other."""

    def reverse(self, x: Any, dims: Ints) -> Any:
        """The elements in reverse order along dims."""

    def reduce_sum(self, x: Any, dims: Ints) -> Any:
        """The sum over dims."""

    def reduce_max(self, x: Any, dims: Ints) -> Any:
        """The maximum over dims."""

    def reduce_min(self, x: Any, dims: Ints) -> Any:
        """The minimum over dims."""

    def dot(self, x: Any, y: Any, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> Any:
        """The sum of products over the joined axes; result axes: batch, free of x, free of y."""
