"""Operations that make or move data without computing with it."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netc.codegen.ir import IrError, Op
from netc.codegen.ops import any_batch
from netc.codegen.ops.table import Dialect, MultiResult, OpDef, arrow, ints, mlir_type, no_flops, want
from netc.netspec.types import BYTES, DType, TensorType

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Raw:
    """The elements of a large constant, such as a trained weight: little-endian and row-major, in `data`.

    Passes tell constants apart by how they are shown, hence the digest.
    """

    data: bytes

    def __repr__(self) -> str:
        return f"Raw({hashlib.sha256(self.data).hexdigest()})"


@dataclass(frozen=True)
class PerBatch:
    """The number factor / (times B), where the batch B is no number (codegen/symbolic)."""

    factor: float
    times: int = 1

    def at(self, batch: int) -> float:
        """The number at a batch."""
        return self.factor / (self.times * batch)


def _constant(*, value: object, shape: Ints, dtype: DType) -> TensorType:
    if isinstance(value, Raw):
        wanted = math.prod(shape) * BYTES[dtype]
        want(len(value.data) == wanted, f"{wanted} bytes", len(value.data))
    if isinstance(value, tuple):
        want(len(value) == math.prod(shape), f"{math.prod(shape)} elements", len(value))
    return TensorType(shape, dtype)


def literal(value: float | int | bool, dtype: DType) -> str:
    """A number as MLIR reads it: exact, and the nearest of its type. Infinities and NaN by their bits."""
    if dtype == "i1":
        return "true" if value else "false"
    if dtype in ("i32", "i64", "ui32", "ui8"):
        return str(int(value))
    if not math.isfinite(value):
        bits = {"f64": ("<d", "<Q", 16), "f32": ("<f", "<I", 8)}.get(dtype)
        if bits is None:
            return {math.inf: "0x7F80", -math.inf: "0xFF80"}.get(value, "0x7FC0")
        return f"0x{struct.unpack(bits[1], struct.pack(bits[0], value))[0]:0{bits[2]}X}"
    text = repr(float(value))
    return text if "." in text else text.replace("e", ".0e") if "e" in text else text + ".0"


def _spell_constant(op: Op, args: Sequence[str]) -> str:
    value, t = op.attr("value"), op.result.type
    if isinstance(value, Raw):
        return f'stablehlo.constant dense<"0x{value.data.hex().upper()}"> : {mlir_type(t)}'
    if isinstance(value, tuple):
        return f"stablehlo.constant dense<{_nested([literal(v, t.dtype) for v in value], t.shape)}> : {mlir_type(t)}"
    return f"stablehlo.constant dense<{literal(value, t.dtype)}> : {mlir_type(t)}"


def _spell_filled(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    value, dtype = op.attr("value"), op.result.type.dtype
    if isinstance(value, PerBatch):
        return any_batch.share(op, literal(value.factor, dtype), value.times, name)
    return any_batch.filled(op, literal(value, dtype), name)


def _nested(items: list[str], shape: Ints) -> str:
    if not shape:
        return items[0]
    step = len(items) // shape[0]
    return "[" + ", ".join(_nested(items[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])) + "]"


def _iota(*, dim: int, shape: Ints, dtype: DType) -> TensorType:
    want(0 <= dim < len(shape), f"an axis below {len(shape)}", dim)
    return TensorType(shape, dtype)


def _reshape(x: TensorType, *, shape: Ints) -> TensorType:
    same = sum(n < 0 for n in shape) == sum(n < 0 for n in x.shape)  # multiples of the batch: codegen/symbolic
    want(same and math.prod(shape) == x.size, f"{x.size} elements", shape)
    return TensorType(shape, x.dtype)


def _transpose(x: TensorType, *, perm: Ints) -> TensorType:
    want(sorted(perm) == list(range(x.rank)), f"a permutation of {x.rank} axes", perm)
    return TensorType(tuple(x.shape[p] for p in perm), x.dtype)


def _broadcast(x: TensorType, *, shape: Ints, dims: Ints) -> TensorType:
    want(len(dims) == x.rank and list(dims) == sorted(set(dims)), f"{x.rank} increasing axes", dims)
    for size, dim in zip(x.shape, dims, strict=True):
        if not 0 <= dim < len(shape) or size not in (1, shape[dim]):
            raise IrError(f"wants axis {dim} of size 1 or that of {shape}, got {x}")
    return TensorType(shape, x.dtype)


def _slice(x: TensorType, *, start: Ints, limit: Ints, stride: Ints) -> TensorType:
    want(len(start) == len(limit) == len(stride) == x.rank, f"bounds for {x.rank} axes", (start, limit, stride))
    for n, lo, hi, s in zip(x.shape, start, limit, stride, strict=True):
        if not (0 <= lo <= hi <= n and s > 0) and (lo, hi, s) != (0, n, 1):
            raise IrError(f"wants bounds inside {x}, got {lo}:{hi}:{s}")
    return TensorType(tuple(-(-(hi - lo) // s) for lo, hi, s in zip(start, limit, stride, strict=True)), x.dtype)


def _pad(x: TensorType, value: TensorType, *, low: Ints, high: Ints, interior: Ints) -> TensorType:
    want(value == TensorType((), x.dtype), f"a scalar {x.dtype} to pad with", value)
    want(len(low) == len(high) == len(interior) == x.rank, f"padding for {x.rank} axes", (low, high, interior))
    shape = tuple(n + lo + hi + max(n - 1, 0) * i for n, lo, hi, i in zip(x.shape, low, high, interior, strict=True))
    grown = zip(shape, x.shape, low, high, interior, strict=True)
    fit = all((n >= 0 and m >= 0 and i >= 0) or (n == m and lo == hi == i == 0) for n, m, lo, hi, i in grown)
    want(fit, "sizes of at least 0", shape)
    return TensorType(shape, x.dtype)


def _concatenate(*parts: TensorType, dim: int) -> TensorType:
    want(bool(parts), "at least one operand", parts)
    first = parts[0]
    want(0 <= dim < first.rank, f"an axis below {first.rank}", dim)
    for p in parts:
        rest = [n for i, n in enumerate(p.shape) if i != dim]
        if p.dtype != first.dtype or rest != [n for i, n in enumerate(first.shape) if i != dim]:
            raise IrError(f"wants operands that agree on all axes but {dim}, got {first} and {p}")
    total = sum(p.shape[dim] for p in parts)
    return TensorType((*first.shape[:dim], total, *first.shape[dim + 1 :]), first.dtype)


def _reverse(x: TensorType, *, dims: Ints) -> TensorType:
    want(all(0 <= d < x.rank for d in dims), f"axes below {x.rank}", dims)
    return x


def _update(held: TensorType, part: TensorType, *starts: TensorType) -> TensorType:
    fits = part.dtype == held.dtype and part.rank == held.rank
    want(fits and all(p in (1, n) for p, n in zip(part.shape, held.shape, strict=False)), f"a part of {held}", part)
    want(starts == (TensorType((), "i32"),) * held.rank, f"{held.rank} starts i32[]", ", ".join(map(str, starts)))
    return held


def _mean_update(A: Any, op: Op, held: Any, part: Any, *starts: Any) -> Any:
    """Where the index is the start, the part; a start that is too small or too large means the nearest that fits."""
    shape, kept = op.result.shape, A.broadcast(part, op.result.shape, tuple(range(op.result.type.rank)))
    for dim, (size, own) in enumerate(zip(shape, op.operands[1].shape, strict=True)):
        if own == size:
            continue
        at, index = starts[dim], TensorType(shape, "i32")
        for direction, bound in (("GE", 0), ("LE", size - 1)):
            limit = A.constant(bound, TensorType((), "i32"))
            at = A.select(A.compare(direction, at, limit), at, limit)
        here = A.compare("EQ", A.iota(dim, index), A.broadcast(at, shape, ()))
        kept = A.select(here, kept, held)
    return kept


def _spell_slice(op: Op, args: Sequence[str]) -> str:
    bounds = zip(op.attr("start"), op.attr("limit"), op.attr("stride"), strict=True)
    shown = ", ".join(f"{lo}:{hi}" + (f":{s}" if s != 1 else "") for lo, hi, s in bounds)
    return f"stablehlo.slice {args[0]} [{shown}] : {arrow(op)}"


def _spell_pad(op: Op, args: Sequence[str]) -> str:
    sides = ", ".join(f"{n} = {ints(op.attr(n))}" for n in ("low", "high", "interior"))
    return f"stablehlo.pad {args[0]}, {args[1]}, {sides} : {arrow(op)}"


def _barrier(x: TensorType) -> TensorType:
    return x


def compute_barrier(value: str, t: str) -> str:
    """IREE's barrier on one value of that MLIR type, as any MLIR parser reads it.

    It keeps two computations apart and is gone once dispatches are formed.
    """
    return f'"iree_tensor_ext.compute_barrier.start"({value}) : ({t}) -> {t}'


def _joint_barrier(*operands: TensorType) -> TensorType:
    want(len(operands) > 1, "at least two operands", len(operands))
    return operands[0]


def _state_joint_barrier(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    names = ", ".join(f"{stem}_{n}" for n in range(len(op.results)))
    types = ", ".join(mlir_type(v.type) for v in op.operands)
    return [f"{names} = stablehlo.optimization_barrier {', '.join(args)} : {types} {location}"]


ROWS: tuple[OpDef, ...] = (
    OpDef(
        "barrier", _barrier,
        lambda op, args: f"stablehlo.optimization_barrier {args[0]} : {mlir_type(op.result.type)}",
        lambda A, op, x: x, no_flops,
        iree=lambda op, args: compute_barrier(args[0], mlir_type(op.result.type)), any_batch=any_batch.barrier,
    ),
    OpDef(  # no result is there before every operand is
        "joint_barrier", _joint_barrier, None, lambda A, op, call, *xs: list(xs), no_flops,
        MultiResult(lambda *types: types[1:], _state_joint_barrier, None, "joint"),
    ),
    OpDef(
        "constant", _constant, _spell_constant,
        lambda A, op: A.constant(op.attr("value"), op.result.type), no_flops, any_batch=_spell_filled,
    ),
    OpDef(
        "iota", _iota, lambda op, args: f"stablehlo.iota dim = {op.attr('dim')} : {mlir_type(op.result.type)}",
        lambda A, op: A.iota(op.attr("dim"), op.result.type), no_flops, any_batch=any_batch.iota,
    ),
    OpDef(
        "reshape", _reshape, lambda op, args: f"stablehlo.reshape {args[0]} : {arrow(op)}",
        lambda A, op, x: A.reshape(x, op.attr("shape")), no_flops, any_batch=any_batch.reshape,
    ),
    OpDef(
        "transpose", _transpose,
        lambda op, args: f"stablehlo.transpose {args[0]}, dims = {ints(op.attr('perm'))} : {arrow(op)}",
        lambda A, op, x: A.transpose(x, op.attr("perm")), no_flops,
    ),
    OpDef(
        "broadcast", _broadcast,
        lambda op, args: f"stablehlo.broadcast_in_dim {args[0]}, dims = {ints(op.attr('dims'))} : {arrow(op)}",
        lambda A, op, x: A.broadcast(x, op.attr("shape"), op.attr("dims")), no_flops, any_batch=any_batch.broadcast,
    ),
    OpDef(
        "slice", _slice, _spell_slice,
        lambda A, op, x: A.slice(x, op.attr("start"), op.attr("limit"), op.attr("stride")), no_flops,
        any_batch=any_batch.slice_,
    ),
    OpDef(  # `held` with a part of it replaced, from `starts` on; along an axis a part is whole, or one index
        "update", _update,
        lambda op, args: f"stablehlo.dynamic_update_slice {', '.join(args)} : {arrow(op)}",
        _mean_update, no_flops,
    ),
    OpDef(
        "pad", _pad, _spell_pad,
        lambda A, op, x, v: A.pad(x, v, op.attr("low"), op.attr("high"), op.attr("interior")), no_flops,
    ),
    OpDef(
        "concatenate", _concatenate,
        lambda op, args: f"stablehlo.concatenate {', '.join(args)}, dim = {op.attr('dim')} : {arrow(op)}",
        lambda A, op, *xs: A.concatenate(xs, op.attr("dim")), no_flops,
    ),
    OpDef(
        "reverse", _reverse,
        lambda op, args: f"stablehlo.reverse {args[0]}, dims = {ints(op.attr('dims'))} : {mlir_type(op.result.type)}",
        lambda A, op, x: A.reverse(x, op.attr("dims")), no_flops,
    ),
)  # fmt: skip

MADE = frozenset({"constant", "iota"})  # of nothing
BARRIERS = frozenset({"barrier", "joint_barrier"})  # give what they are given
