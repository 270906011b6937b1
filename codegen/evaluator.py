"""The evaluator: the IR's own meaning, in NumPy float32 or float64 or any other arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from netc.codegen.arithmetic import Arithmetic
from netc.codegen.ir import Function, IrError, Module, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.movement import Raw
from netc.netspec.types import DType, TensorType

Array = np.ndarray[Any, Any]
Ints = tuple[int, ...]

INTEGER_DTYPES: dict[str, type] = {
    "i1": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "ui8": np.uint8,
    "ui16": np.uint16, "ui32": np.uint32, "ui64": np.uint64,
}  # fmt: skip
_BYTES_AS = {"f32": "<f4", "f64": "<f8", "i32": "<i4", "i64": "<i8", "ui32": "<u4", "ui8": "u1"}  # of a Raw constant
_erf = np.frompyfunc(math.erf, 1, 1)


def _each_erf(x: Array) -> Array:
    return np.asarray(_erf(x), x.dtype)


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), with the exponent never positive."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e)).astype(x.dtype)


def rounded_to_bf16(x: Array) -> Array:
    """The nearest numbers of 8 significant bits and float32's range, ties to even, held as x is: float32 or float64."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(x)
        step = np.maximum(exponent - 8, -133)  # of the last bit; 2^-133 is the smallest subnormal
        near = np.ldexp(np.rint(np.ldexp(x, -step)), step)
        near = np.where(np.abs(near) >= 2.0**128, np.copysign(np.inf, x), near)
    return np.where(np.isfinite(x), near, x).astype(x.dtype)


_SCALARS: dict[str, Any] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "logistic": _logistic,
    "erf": _each_erf,
}
_COMPARE: dict[str, Any] = {
    "EQ": np.equal, "NE": np.not_equal, "GE": np.greater_equal, "GT": np.greater, "LE": np.less_equal, "LT": np.less,
}  # fmt: skip
_BITS: dict[str, Any] = {
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip


class FloatArithmetic:
    """NumPy arrays. Every float type of the program is computed in `width`; bf16 is rounded to where it is made."""

    def __init__(self, width: Literal["f32", "f64"]) -> None:
        self.float = np.dtype(np.float64 if width == "f64" else np.float32)

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """The NumPy type in which that element type is held."""
        return np.dtype(INTEGER_DTYPES.get(dtype, self.float))

    def constant(self, value: Any, type: TensorType) -> Array:  # noqa: A002
        """A filled array, or one of the given elements."""
        held = self.dtype(type.dtype)
        if isinstance(value, Raw):
            made = np.frombuffer(value.data, _BYTES_AS[type.dtype]).astype(held).reshape(type.shape)
        elif isinstance(value, tuple):
            made = np.array(value, held).reshape(type.shape)
        else:
            made = np.full(type.shape, value, held)
        return rounded_to_bf16(made) if type.dtype == "bf16" else made

    def iota(self, dim: int, type: TensorType) -> Array:  # noqa: A002
        """The index along an axis."""
        line = np.arange(type.shape[dim], dtype=self.dtype(type.dtype))
        return np.broadcast_to(line.reshape([-1 if i == dim else 1 for i in range(type.rank)]), type.shape)

    def shape(self, x: Array) -> Ints:
        """The sizes of the axes."""
        return tuple(x.shape)

    def add(self, x: Array, y: Array) -> Array:
        """x + y."""
        return np.add(x, y)

    def sub(self, x: Array, y: Array) -> Array:
        """x - y."""
        return np.subtract(x, y)

    def mul(self, x: Array, y: Array) -> Array:
        """x y."""
        return np.multiply(x, y)

    def div(self, x: Array, y: Array) -> Array:
        """x / y."""
        return np.divide(x, y)

    def neg(self, x: Array) -> Array:
        """-x."""
        return np.negative(x)

    def scalar(self, function: str, x: Array) -> Array:
        """A function of one real number."""
        return _SCALARS[function](x)  # type: ignore[no-any-return]

    def bits(self, function: str, x: Array, y: Any = None) -> Array:
        """Operations on the bits of integers."""
        if function == "not":
            return np.asarray(np.invert(x))
        if function == "shr" and x.dtype.kind == "i":  # logical: the sign is a bit like any other
            unsigned = np.dtype(f"u{x.dtype.itemsize}")
            return np.asarray(np.right_shift(x.view(unsigned), y.view(unsigned))).view(x.dtype)
        return np.asarray(_BITS[function](x, y))

    def compare(self, direction: str, x: Array, y: Array) -> Array:
        """Truth values."""
        return _COMPARE[direction](x, y)  # type: ignore[no-any-return]

    def select(self, condition: Array, x: Array, y: Array) -> Array:
        """x or y."""
        return np.where(condition, x, y)

    def convert(self, x: Array, dtype: DType) -> Array:
        """Another element type."""
        held = x.astype(self.dtype(dtype))
        return rounded_to_bf16(held) if dtype == "bf16" else held

    def reshape(self, x: Array, shape: Ints) -> Array:
        """Another shape."""
        return x.reshape(shape)

    def transpose(self, x: Array, perm: Ints) -> Array:
        """Another order of axes."""
        return x.transpose(perm)

    def broadcast(self, x: Array, shape: Ints, dims: Ints) -> Array:
        """Repetition along new axes."""
        view = [1] * len(shape)
        for size, dim in zip(x.shape, dims, strict=True):
            view[dim] = size
        return np.broadcast_to(x.reshape(view), shape)

    def slice(self, x: Array, start: Ints, limit: Ints, stride: Ints) -> Array:
        """A strided part."""
        return x[tuple(slice(a, b, s) for a, b, s in zip(start, limit, stride, strict=True))]

    def pad(self, x: Array, value: Array, low: Ints, high: Ints, interior: Ints) -> Array:
        """`value` around and between the elements."""
        spread = tuple(n + max(n - 1, 0) * i for n, i in zip(x.shape, interior, strict=True))
        wide = np.full([n + max(a, 0) + max(b, 0) for n, a, b in zip(spread, low, high, strict=True)], value, x.dtype)
        wide[tuple(slice(max(a, 0), max(a, 0) + n, i + 1) for a, n, i in zip(low, spread, interior, strict=True))] = x
        return wide[tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, wide.shape, strict=True))]

    def concatenate(self, parts: Sequence[Array], dim: int) -> Array:
        """One after the other."""
        return np.concatenate(parts, dim)

    def reverse(self, x: Array, dims: Ints) -> Array:
        """Reverse order."""
        return np.flip(x, dims)

    def reduce_sum(self, x: Array, dims: Ints) -> Array:
        """Sum."""
        return np.asarray(x.sum(axis=dims, dtype=x.dtype))

    def reduce_max(self, x: Array, dims: Ints) -> Array:
        """Maximum."""
        return np.asarray(x.max(axis=dims))

    def reduce_min(self, x: Array, dims: Ints) -> Array:
        """Minimum."""
        return np.asarray(x.min(axis=dims))

    def dot(self, x: Array, y: Array, contract: tuple[Ints, Ints], batch: tuple[Ints, Ints]) -> Array:
        """Sum of products, as one matrix product for each element of the batch axes."""
        bx, by = batch
        fx = tuple(i for i in range(x.ndim) if i not in contract[0] and i not in bx)
        fy = tuple(i for i in range(y.ndim) if i not in contract[1] and i not in by)
        shape = (*(x.shape[i] for i in (*bx, *fx)), *(y.shape[i] for i in fy))
        k = math.prod(x.shape[i] for i in contract[0])
        lead = tuple(x.shape[i] for i in bx)
        left = x.transpose(*bx, *fx, *contract[0]).reshape(*lead, math.prod(x.shape[i] for i in fx), k)
        right = y.transpose(*by, *contract[1], *fy).reshape(*lead, k, math.prod(y.shape[i] for i in fy))
        return np.asarray(self.product(left, right).reshape(shape))

    def product(self, x: Array, y: Array) -> Array:
        """x [.., m, k] times y [.., k, n]. In float32 the bits depend on no BLAS and on no number of threads.

        BLAS chooses its kernel by the processor, and each adds in another order. So float32 numbers are added in
        float64 by einsum, which calls no BLAS, and rounded at the end: about a tenth of BLAS's speed.
        """
        if self.float != np.float32:
            return np.asarray(np.matmul(x, y))
        wide = np.einsum("...ij,...jk->...ik", x.astype(np.float64), y.astype(np.float64))
        return np.asarray(wide.astype(np.result_type(x, y)))


def evaluate(function: Function, args: Sequence[Any], A: Arithmetic, module: Module | None = None) -> list[Any]:
    """The results of `function` on tensors of the arithmetic A. Values are dropped after their last use.

    `module` holds what the function calls; a function without loops needs none.
    """

    def call(name: str, given: Sequence[Any]) -> list[Any]:
        if module is None:
            raise IrError(f"{function.name} calls {name}, and was given without its module")
        return evaluate(module.function(name), given, A, module)

    env: dict[Value, Any] = dict(zip(function.params, args, strict=True))
    last: dict[Value, int] = {}
    for index, op in enumerate(function.ops):
        for v in op.operands:
            last[v] = index
    keep = set(function.results)
    for index, op in enumerate(function.ops):
        operands, row = [env[v] for v in op.operands], OPS[op.kind]
        made = [row.meaning(A, op, *operands)] if row.multi is None else row.meaning(A, op, call, *operands)
        for v, result in zip(op.results, made, strict=True):
            if A.shape(result) != v.shape:
                raise IrError(f"{op.loc}: {op} was computed with shape {A.shape(result)}")
            env[v] = result
        for v in op.operands:
            if last[v] == index and v not in keep:
                env.pop(v, None)
    return [env[v] for v in function.results]


def run(module: Module, name: str, args: Sequence[Any], dtype: Literal["f32", "f64"] = "f64") -> list[Array]:
    """Run a function on NumPy arrays; floats are computed in `dtype`, integers wrap as on every backend."""
    function, A = module.function(name), FloatArithmetic(dtype)
    if len(args) != len(function.params):
        raise IrError(f"{name} wants {len(function.params)} arguments, got {len(args)}")
    held = [np.asarray(a, A.dtype(p.type.dtype)) for a, p in zip(args, function.params, strict=True)]
    for a, p, n in zip(held, function.params, function.names, strict=True):
        if a.shape != p.shape:
            raise IrError(f"{name}: argument {n} wants {p.type}, got shape {a.shape}")
    with np.errstate(all="ignore"):
        return [np.asarray(r) for r in evaluate(function, held, A, module)]
