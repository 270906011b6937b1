"""The builder: operations appended one by one, their types inferred, their place remembered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netc.codegen.ir import Function, IrError, Op, Value
from netc.codegen.ops import infer
from netc.codegen.ops.movement import Raw
from netc.netspec.types import DType, TensorType

Number = float | int | bool
# told of each operation that is made, and of the one that a pass makes it in the place of
WATCHERS: list[Callable[[Op, Op | None], None]] = []
Ints = tuple[int, ...]


class Builder:
    """Appends operations to one function. A Python number where a value is wanted becomes a constant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ops: list[Op] = []
        self.params: list[Value] = []
        self.names: list[str] = []
        self._path: list[str] = []
        self._phase = ""
        self._loc = name
        self.visiting: Op | None = None

    # -- where we are ------------------------------------------------------------------------------------------

    @contextmanager
    def at(self, part: str, phase: str | None = None) -> Iterator[None]:
        """Name the operations built inside: `stem.conv`, or `stem.conv (vjp)` in the phase `vjp`."""
        saved = self._phase
        self._path.append(part)
        self._phase = self._phase if phase is None else phase
        self._relocate()
        try:
            yield
        finally:
            self._path.pop()
            self._phase = saved
            self._relocate()

    def place(self, loc: str) -> None:
        """Give the operations built from here on this place: for passes, which keep the place of what they replace."""
        self._loc = loc

    def _relocate(self) -> None:
        path = ".".join(p for p in self._path if p) or self.name
        self._loc = f"{path} ({self._phase})" if self._phase else path

    # -- the general way ---------------------------------------------------------------------------------------

    def parameter(self, name: str, type: TensorType) -> Value:  # noqa: A002
        """A new argument of the function."""
        value = Value(type)
        self.params.append(value)
        self.names.append(name)
        return value

    def op(self, kind: str, *operands: Value, **attrs: Any) -> Value:
        """Append an operation; its type is inferred by the op table, which raises IrError for a wrong operand."""
        return self._append(kind, operands, attrs).result

    def again(self, kind: str, operands: tuple[Value, ...], attrs: dict[str, Any]) -> tuple[Value, ...]:
        """Append an operation, of which a pass has the parts, and give all of its results."""
        return self._append(kind, operands, attrs).results

    def _append(self, kind: str, operands: tuple[Value, ...], attrs: dict[str, Any]) -> Op:
        named = tuple(sorted(attrs.items())) if attrs else ()
        try:
            first, *others = infer(kind, tuple([v.type for v in operands]), named)
        except IrError as error:
            raise IrError(f"{self._loc}: {kind} {error}") from error
        op = Op(kind, operands, named, Value(first), self._loc, tuple([Value(t) for t in others]) if others else ())
        self.ops.append(op)
        for watch in WATCHERS:
            watch(op, self.visiting)
        return op

    def loop(
        self,
        callee: Function,
        trips: int,
        carried: Sequence[Value],
        stacked: Sequence[Value] = (),
        constants: Sequence[Value] = (),
        *,
        reverse: bool = False,
        apart: bool = True,
    ) -> list[Value]:
        """Call `callee` for i = 0 .. trips - 1 with (carried.., stacked[i].., constants..).

        Of its results the first replace the carried values and each other is a row of an output [trips, ..]. Gives the
        carried values after the last call, then those outputs. With `reverse` the rows are taken and put from the last
        to the first. Without `apart` compilers may fuse the taking and putting of rows with what is in the call.
        """
        rows = [v.type for v in callee.results[len(carried) :]]
        buffers = [self.constant(0, TensorType((trips, *t.shape), t.dtype)) for t in rows]
        operands = (self.scalar(0, "i32"), *carried, *buffers, *stacked, *constants)
        counts = {"carried": len(carried), "outputs": len(buffers), "stacked": len(stacked)}
        attrs = {"callee": callee.name, "trips": trips, **counts, "reverse": reverse, "apart": apart}
        return list(self._append("loop", operands, attrs).extra_results)

    def joint_barrier(self, *values: Value) -> tuple[Value, ...]:
        """The same values, none of which is there before all are: what reads one cannot be computed earlier."""
        return self._append("joint_barrier", values, {}).results

    def finish(self, results: Sequence[tuple[str, Value]]) -> Function:
        """The function, with its results named."""
        return Function(
            self.name, tuple(self.params), tuple(self.names), tuple(self.ops),
            tuple(v for _, v in results), tuple(n for n, _ in results),
        )  # fmt: skip

    # -- constants ---------------------------------------------------------------------------------------------

    def constant(self, value: Number | tuple[Number, ...] | Raw, like: TensorType) -> Value:
        """A tensor of that type filled with `value`."""
        return self.op("constant", value=value, shape=like.shape, dtype=like.dtype)

    def scalar(self, value: Number, dtype: DType = "f32") -> Value:
        """A tensor without axes."""
        return self.constant(value, TensorType((), dtype))

    def iota(self, dim: int, shape: Ints, dtype: DType = "i32") -> Value:
        """The index along `dim`."""
        return self.op("iota", dim=dim, shape=shape, dtype=dtype)

    def _both(self, x: Value | Number, y: Value | Number) -> tuple[Value, Value]:
        if isinstance(x, Value):
            return x, y if isinstance(y, Value) else self.constant(y, x.type)
        if isinstance(y, Value):
            return self.constant(x, y.type), y
        raise IrError(f"{self._loc}: wants at least one value, got {x} and {y}")

    # -- elementwise -------------------------------------------------------------------------------------------

    def add(self, x: Value | Number, y: Value | Number) -> Value:
        """x + y."""
        return self.op("add", *self._both(x, y))

    def sub(self, x: Value | Number, y: Value | Number) -> Value:
        """x - y."""
        return self.op("sub", *self._both(x, y))

    def mul(self, x: Value | Number, y: Value | Number) -> Value:
        """x y."""
        return self.op("mul", *self._both(x, y))

    def div(self, x: Value | Number, y: Value | Number) -> Value:
        """x / y."""
        return self.op("div", *self._both(x, y))

    def maximum(self, x: Value | Number, y: Value | Number) -> Value:
        """The larger."""
        return self.op("max", *self._both(x, y))

    def minimum(self, x: Value | Number, y: Value | Number) -> Value:
        """The smaller."""
        return self.op("min", *self._both(x, y))

    def compare(self, direction: str, x: Value | Number, y: Value | Number) -> Value:
        """EQ, NE, GE, GT, LE or LT."""
        return self.op("compare", *self._both(x, y), direction=direction)

    def select(self, condition: Value, x: Value | Number, y: Value | Number) -> Value:
        """x where the condition holds, else y."""
        return self.op("select", condition, *self._both(x, y))

    def unary(self, kind: str, x: Value) -> Value:
        """neg, exp, log, log1p, sqrt, rsqrt, sin, cos, tanh, logistic, erf."""
        return self.op(kind, x)

    def convert(self, x: Value, dtype: DType) -> Value:
        """Another element type."""
        return x if x.type.dtype == dtype else self.op("convert", x, dtype=dtype)

    # -- movement ----------------------------------------------------------------------------------------------

    def reshape(self, x: Value, shape: Ints) -> Value:
        """The same elements, row-major."""
        return x if x.shape == shape else self.op("reshape", x, shape=shape)

    def transpose(self, x: Value, perm: Ints) -> Value:
        """Axis i of the result is axis perm[i] of x."""
        return self.op("transpose", x, perm=perm)

    def broadcast(self, x: Value, like: Value | TensorType, dims: Ints | None = None) -> Value:
        """`x` repeated to the shape of `like`; its axes are `dims` there, by default the last ones."""
        shape = like.shape
        axes = tuple(range(len(shape) - len(x.shape), len(shape))) if dims is None else dims
        return x if x.shape == shape else self.op("broadcast", x, shape=shape, dims=axes)

    def slice(self, x: Value, start: Ints, limit: Ints, stride: Ints | None = None) -> Value:
        """Every stride-th element from start to before limit."""
        stride = stride or (1,) * len(start)
        if start == (0,) * len(start) and limit == x.shape and set(stride) <= {1}:
            return x
        return self.op("slice", x, start=start, limit=limit, stride=stride)

    def rows(self, x: Value, start: int, limit: int) -> Value:
        """The slice of the first axis from `start` to before `limit`."""
        rest = x.shape[1:]
        return self.slice(x, (start, *(0 for _ in rest)), (limit, *rest))

    def update(self, held: Value, part: Value, dim: int, start: Value) -> Value:
        """`held` with `part`, of size 1 along `dim`, at an index i32 []."""
        zero = self.scalar(0, "i32")
        return self.op("update", held, part, *(start if axis == dim else zero for axis in range(len(held.shape))))

    def pad(self, x: Value, low: Ints, high: Ints, interior: Ints | None = None, value: Number = 0.0) -> Value:
        """`value` around the elements, and between them."""
        interior = interior or (0,) * len(low)
        if not any((*low, *high, *interior)):
            return x
        return self.op("pad", x, self.scalar(value, x.type.dtype), low=low, high=high, interior=interior)

    def concatenate(self, parts: Sequence[Value], dim: int) -> Value:
        """The parts one after the other."""
        return parts[0] if len(parts) == 1 else self.op("concatenate", *parts, dim=dim)

    # -- sums --------------------------------------------------------------------------------------------------

    def sum(self, x: Value, dims: Ints) -> Value:
        """The sum over `dims`, which disappear."""
        return self.op("reduce_sum", x, self.scalar(0, x.type.dtype), dims=tuple(sorted(dims))) if dims else x

    def max_over(self, x: Value, dims: Ints) -> Value:
        """The maximum over `dims`, which disappear."""
        return self.op("reduce_max", x, self.scalar(-math.inf, x.type.dtype), dims=tuple(sorted(dims)))

    def over_replicas(self, x: Value, replicas: int) -> Value:
        """The sum of x over all replicas; x where there is one."""
        return self.op("all_reduce", x, replicas=replicas, channel=0) if replicas > 1 else x

    def dot(
        self, x: Value, y: Value, contract: tuple[int, int] | tuple[Ints, Ints], batch: tuple[Ints, Ints] = ((), ())
    ) -> Value:
        """The sum of products over the joined axes; result axes: batch, free of x, free of y."""
        cx, cy = contract
        joined = (cx if isinstance(cx, tuple) else (cx,), cy if isinstance(cy, tuple) else (cy,))
        return self.op("dot", x, y, contract=joined, batch=batch)
