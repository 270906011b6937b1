"""Products of one row with a weight, as IREE's CPU backend reads a weight once and nothing else of its size.

It packs both sides of a product for tiles of many rows, anew at every call, which for one row is most of the work; and
a sum of products is a product to it. A kernel [K, N] is laid out once as [N / 16, K, 16], by a function of its own, so
that a sum over K goes through memory in order. A kernel [V, K] whose rows are summed stays as it is: the lanes of K
are summed first, behind a maximum that changes no finite number and keeps the sum from being taken for a product. So
are the products of one query with all keys, and of its weights with all values, without lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Op, Value
from netc.codegen.layers.softmax_attention import PER_HEAD
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.types import TensorType

LANES = 16
"""How many columns, or parts of a row, are summed side by side: 32 or 64 take longer on AVX-512."""

LOWEST = -3.4028234663852886e38  # of float32


def packed(function: Function, weights: Sequence[str]) -> tuple[Function, tuple[str, ...]]:
    """The function that takes some of its `weights` packed, and their names, in order.

    A weight is packed if all that reads it are products of one row with its columns. One whose rows are summed is read
    where it lies.
    """
    by_name = dict(zip(function.names, function.params, strict=True))
    readers: dict[Value, list[Op]] = {}
    for op in function.ops:
        for v in op.operands:
            readers.setdefault(v, []).append(op)
    held = {by_name[name]: name for name in weights if by_name[name].type.dtype == "f32"}
    new = {
        v: Value(_layout(v.type))
        for v in held
        if _fits(v, 1) and v in readers and all(_of_one_row(op, v, 0) for op in readers[v])
    }

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        x, w = operands
        if w in new:
            return _by_columns(b, op, x, new[w])
        if _of_one_row(op, w, 1) and _fits(w, 1):
            return _by_rows(b, op, x, w)
        return _by_heads(b, op, x, w) if op.attr("batch") == PER_HEAD and x.shape[2] == 1 else None

    made = rewrite(function, visit, ("dot",))
    params = tuple(new.get(v, v) for v in function.params)
    return replace(made, params=params), tuple(held[v] for v in new)


def packing(name: str, types: Sequence[tuple[str, TensorType]]) -> Function:
    """The function that packs the weights of these names and types."""
    b = Builder(name)
    results = []
    for weight, kind in types:
        with b.at(weight):
            v = b.parameter(weight, kind)
            apart = b.reshape(v, (v.shape[0], v.shape[1] // LANES, LANES))
            results.append((weight, b.transpose(apart, (1, 0, 2))))
    return b.finish(results)


def _fits(v: Value, axis: int) -> bool:
    """Whether a value is a matrix of which that axis falls into lanes."""
    return len(v.shape) == 2 and v.shape[axis] % LANES == 0


def _layout(kernel: TensorType) -> TensorType:
    """[K, N] -> [N / 16, K, 16]."""
    return TensorType((kernel.shape[1] // LANES, kernel.shape[0], LANES), kernel.dtype)


def _of_one_row(op: Op, w: Value, axis: int) -> bool:
    """Whether an operation is a product of one row with w [.., ..], summed over that axis of w alone."""
    if op.kind != "dot" or op.operands[1] is not w or op.operands[0] is w or len(w.shape) != 2:
        return False
    joined, batch = op.attr("contract"), op.attr("batch")
    return batch == ((), ()) and joined[1] == (axis,) and op.operands[0].type.size == w.shape[axis]


def _by_columns(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """y[16 m + l] = sum_k x[k] w[m, k, l]."""
    spread = b.broadcast(b.reshape(x, (w.shape[1],)), w, (1,))
    return b.reshape(b.sum(b.mul(spread, w), (1,)), op.result.shape)


def _by_rows(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """y[v] = sum_l sum_k x[k, l] w[v, k, l], k before l."""
    shape = (w.shape[1] // LANES, LANES)
    apart = b.reshape(w, (w.shape[0], *shape))
    product = b.mul(b.broadcast(b.reshape(x, shape), apart, (1, 2)), apart)
    return b.reshape(b.sum(b.sum(b.maximum(product, LOWEST), (1,)), (1,)), op.result.shape)


def _by_heads(b: Builder, op: Op, x: Value, y: Value) -> Value:
    """sum_d x[n, h, 0, d] y[n, h, t, d], or sum_t x[n, h, 0, t] y[n, h, t, d]."""
    axis = op.attr("contract")[1][0]
    spread = b.broadcast(b.reshape(x, (*x.shape[:2], x.shape[3])), y, (0, 1, axis))
    return b.reshape(b.sum(b.maximum(b.mul(spread, y), LOWEST), (axis,)), op.result.shape)
