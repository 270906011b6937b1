"""Products of one row with a weight, as IREE's CPU backend reads a weight once and nothing else of its size.

It packs both sides of a product for tiles of many rows, anew at every call, which for one row is most of the work; and
a sum of products is a product to it. A kernel [K, N] is laid out once as [N / n, K, n], by a function of its own, so
that a sum over K goes through memory in order. A kernel [V, K] whose rows are summed stays as it is: the lanes of K
are summed first, behind a maximum that changes no finite number and keeps the sum from being taken for a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Op, Value
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.types import TensorType

WIDTHS = (64, 32, 16)
"""How many columns of a kernel are summed side by side, the first that divides their number."""

LANES = 16
LOWEST = -3.4028234663852886e38  # of float32


def packed(function: Function, weights: Sequence[str]) -> tuple[Function, tuple[str, ...]]:
    """The function that takes some of its `weights` packed, and their names, in order.

    A weight is packed if all that reads it are products of one row with its columns.
    """
    by_name = dict(zip(function.names, function.params, strict=True))
    readers: dict[Value, list[Op]] = {}
    for op in function.ops:
        for v in op.operands:
            readers.setdefault(v, []).append(op)
    held = {by_name[name]: name for name in weights if by_name[name].type.dtype == "f32"}
    wide = {v: n for v in held if (n := _width(v)) and v in readers and all(_of_one_row(op, v, 0) for op in readers[v])}
    new = {v: Value(_layout(v, n)) for v, n in wide.items()}

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        w = op.operands[1]
        if w in new:
            return _by_columns(b, op, operands[0], new[w])
        if w in held and _of_one_row(op, w, 1) and w.shape[1] % LANES == 0:
            return _by_rows(b, op, *operands)
        return None

    made = rewrite(function, visit, ("dot",))
    params = tuple(new.get(v, v) for v in function.params)
    return replace(made, params=params), tuple(held[v] for v in wide)


def packing(name: str, types: Sequence[tuple[str, TensorType]]) -> Function:
    """The function that packs the weights of these names and types."""
    b = Builder(name)
    results = []
    for weight, kind in types:
        with b.at(weight):
            v = b.parameter(weight, kind)
            n = _width(v)
            apart = b.reshape(v, (v.shape[0], v.shape[1] // n, n))
            results.append((weight, b.transpose(apart, (1, 0, 2))))
    return b.finish(results)


def _width(v: Value) -> int:
    """How many columns of a kernel stand together, or 0 where it is none that is packed."""
    return next((n for n in WIDTHS if len(v.shape) == 2 and v.shape[1] % n == 0), 0)


def _layout(v: Value, n: int) -> TensorType:
    return TensorType((v.shape[1] // n, v.shape[0], n), v.type.dtype)


def _of_one_row(op: Op, w: Value, axis: int) -> bool:
    """Whether an operation is a product of one row with w [.., ..], summed over that axis of w alone."""
    if op.kind != "dot" or op.operands[1] is not w or op.operands[0] is w or len(w.shape) != 2:
        return False
    joined, batch = op.attr("contract"), op.attr("batch")
    return batch == ((), ()) and joined[1] == (axis,) and op.operands[0].type.size == w.shape[axis]


def _by_columns(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """y[m n + l] = sum_k x[k] w[m, k, l]."""
    spread = b.broadcast(b.reshape(x, (w.shape[1],)), w, (1,))
    return b.reshape(b.sum(b.mul(spread, w), (1,)), op.result.shape)


def _by_rows(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """y[v] = sum_l sum_k x[k, l] w[v, k, l], k before l."""
    shape = (w.shape[1] // LANES, LANES)
    apart = b.reshape(w, (w.shape[0], *shape))
    product = b.mul(b.broadcast(b.reshape(x, shape), apart, (1, 2)), apart)
    return b.reshape(b.sum(b.sum(b.maximum(product, LOWEST), (1,)), (1,)), op.result.shape)
