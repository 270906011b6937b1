"""The linear recurrence along one axis."""

from __future__ import annotations

from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import OpDef, same_types, want
from netc.netspec.types import TensorType


def _linear_scan(a: TensorType, u: TensorType, *, axis: int, reverse: bool) -> TensorType:
    want(0 <= axis < u.rank and u.shape[axis] > 0, f"an axis of {u} with elements", axis)
    want(u.dtype in ("f32", "f64", "bf16"), "float operands", u)
    return same_types(a, u)


def _at(A: Any, x: Any, axis: int, t: int) -> Any:
    shape = A.shape(x)
    start = tuple(t if i == axis else 0 for i in range(len(shape)))
    limit = tuple(t + 1 if i == axis else n for i, n in enumerate(shape))
    return A.slice(x, start, limit, (1,) * len(shape))


def _mean_linear_scan(A: Any, op: Op, a: Any, u: Any) -> Any:
    """h[t] = a[t] h[t - 1] + u[t], h[-1] = 0; with `reverse` h[t] = a[t] h[t + 1] + u[t], from the end."""
    axis, n = op.attr("axis"), op.result.shape[op.attr("axis")]
    order = range(n - 1, -1, -1) if op.attr("reverse") else range(n)
    h: dict[int, Any] = {}
    before: Any = None
    for t in order:
        now = _at(A, u, axis, t)
        before = now if before is None else A.add(A.mul(_at(A, a, axis, t), before), now)
        h[t] = before
    return A.concatenate([h[t] for t in range(n)], axis)


def _flops(op: Op) -> int:
    return 2 * op.result.type.size


ROWS: tuple[OpDef, ...] = (OpDef("linear_scan", _linear_scan, None, _mean_linear_scan, _flops),)
