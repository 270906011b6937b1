"""Forms of reading and adding rows by index: `stablehlo.gather` and `scatter`, or a product with a one-hot matrix.

docs/convolution-forms.md has what was measured.
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.netspec.types import TensorType

ONE_HOT_BELOW = 1024  # rows; on GPUs, where the sum of a scatter is in no fixed order or one row after the other


def _clamped(b: Builder, ids: Value, rows: int) -> Value:
    """The rows that ids mean, flat: [number of ids]."""
    flat = b.reshape(ids, (math.prod(ids.shape),))
    return b.minimum(b.maximum(flat, 0), rows - 1)


def one_hot(b: Builder, op: Op, ids: Value, dy: Value) -> Value:
    """dtable = onehot(ids)ᵀ dy."""
    rows, features = op.result.shape
    flat = _clamped(b, ids, rows)
    wide = TensorType((flat.shape[0], rows), "i32")
    hit = b.compare("EQ", b.broadcast(flat, wide, (0,)), b.iota(1, wide.shape))
    hot = b.select(hit, b.constant(1.0, TensorType(wide.shape, dy.type.dtype)), 0.0)
    # Without the barrier IREE 3.12 makes a product of truth values and floats of it, which its data tiling refuses
    return b.dot(b.op("barrier", hot), b.reshape(dy, (flat.shape[0], features)), (0, 0))


def scatter(b: Builder, op: Op, ids: Value, dy: Value) -> Value:
    """Row by row into zeros. `add_rows` would leave out what is outside, so the ids are clamped first."""
    flat = _clamped(b, ids, op.result.shape[0])
    rows = b.reshape(dy, (flat.shape[0], op.result.shape[1]))
    return b.op("add_rows", b.constant(0.0, op.result.type), flat, rows)


def few_rows_one_hot(b: Builder, op: Op, ids: Value, dy: Value) -> Value:
    """The product for a small table, and row by row for a large one."""
    return (one_hot if op.result.shape[0] < ONE_HOT_BELOW else scatter)(b, op, ids, dy)
