"""Elementwise operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import Op
from netc.codegen.ops.table import Meaning, OpDef, arrow, extreme, mlir_type, no_flops, one_each, same_types, want
from netc.netspec.types import DType, TensorType

INTEGERS = ("i32", "i64", "ui32", "ui8", "i1")


def _simple(name: str) -> Any:
    def spell(op: Op, args: Sequence[str]) -> str:
        return f"stablehlo.{name} {', '.join(args)} : {mlir_type(op.result.type)}"

    return spell


def _float(x: TensorType, *more: TensorType) -> TensorType:
    want(x.dtype not in INTEGERS, "a float operand", x)
    return same_types(x, *more)


def _integer(x: TensorType, *more: TensorType) -> TensorType:
    want(x.dtype in INTEGERS, "an integer operand", x)
    return same_types(x, *more)


def _row(kind: str, rule: Any, name: str, meaning: Meaning) -> OpDef:
    return OpDef(kind, rule, _simple(name), meaning, one_each)


def _compare(x: TensorType, y: TensorType, *, direction: str) -> TensorType:
    want(direction in ("EQ", "NE", "GE", "GT", "LE", "LT"), "a direction", direction)
    return TensorType(same_types(x, y).shape, "i1")


def _spell_compare(op: Op, args: Sequence[str]) -> str:
    x = op.operands[0].type
    how = "FLOAT" if x.dtype not in INTEGERS else "UNSIGNED" if x.dtype in ("ui32", "ui8", "i1") else "SIGNED"
    return f"stablehlo.compare {op.attr('direction')}, {', '.join(args)}, {how} : {arrow(op)}"


def _select(condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
    want(condition == TensorType(x.shape, "i1"), f"a condition i1{list(x.shape)}", condition)
    return same_types(x, y)


def _spell_select(op: Op, args: Sequence[str]) -> str:
    condition, x, _ = op.operands
    return f"stablehlo.select {', '.join(args)} : {mlir_type(condition.type)}, {mlir_type(x.type)}"


def _convert(x: TensorType, *, dtype: DType) -> TensorType:
    return TensorType(x.shape, dtype)


def _spell_convert(op: Op, args: Sequence[str]) -> str:
    return f"stablehlo.convert {args[0]} : {arrow(op)}"


def _spell_erf(op: Op, args: Sequence[str]) -> str:
    t = mlir_type(op.result.type)
    return f"chlo.erf {args[0]} : {t} -> {t}"


def _number(x: TensorType, *more: TensorType) -> TensorType:
    want(x.dtype != "i1", "an operand of numbers", x)
    return same_types(x, *more)


ROWS: tuple[OpDef, ...] = (
    _row("add", same_types, "add", lambda A, op, x, y: A.add(x, y)),
    _row("sub", _number, "subtract", lambda A, op, x, y: A.sub(x, y)),
    _row("mul", same_types, "multiply", lambda A, op, x, y: A.mul(x, y)),
    _row("div", _float, "divide", lambda A, op, x, y: A.div(x, y)),
    _row("max", same_types, "maximum", lambda A, op, x, y: extreme(A, "GE", x, y)),
    _row("min", same_types, "minimum", lambda A, op, x, y: extreme(A, "LE", x, y)),
    _row("neg", _number, "negate", lambda A, op, x: A.neg(x)),
    _row("exp", _float, "exponential", lambda A, op, x: A.scalar("exp", x)),
    _row("log", _float, "log", lambda A, op, x: A.scalar("log", x)),
    _row("log1p", _float, "log_plus_one", lambda A, op, x: A.scalar("log1p", x)),
    _row("sqrt", _float, "sqrt", lambda A, op, x: A.scalar("sqrt", x)),
    _row("rsqrt", _float, "rsqrt", lambda A, op, x: A.scalar("rsqrt", x)),
    _row("sin", _float, "sine", lambda A, op, x: A.scalar("sin", x)),
    _row("cos", _float, "cosine", lambda A, op, x: A.scalar("cos", x)),
    _row("tanh", _float, "tanh", lambda A, op, x: A.scalar("tanh", x)),
    _row("logistic", _float, "logistic", lambda A, op, x: A.scalar("logistic", x)),
    OpDef("erf", _float, _spell_erf, lambda A, op, x: A.scalar("erf", x), one_each),
    _row("and", _integer, "and", lambda A, op, x, y: A.bits("and", x, y)),
    _row("or", _integer, "or", lambda A, op, x, y: A.bits("or", x, y)),
    _row("xor", _integer, "xor", lambda A, op, x, y: A.bits("xor", x, y)),
    _row("not", _integer, "not", lambda A, op, x: A.bits("not", x)),
    _row("shl", _integer, "shift_left", lambda A, op, x, y: A.bits("shl", x, y)),
    _row("shr", _integer, "shift_right_logical", lambda A, op, x, y: A.bits("shr", x, y)),
    OpDef("compare", _compare, _spell_compare, lambda A, op, x, y: A.compare(op.attr("direction"), x, y), one_each),
    OpDef("select", _select, _spell_select, lambda A, op, c, x, y: A.select(c, x, y), one_each),
    OpDef("convert", _convert, _spell_convert, lambda A, op, x: A.convert(x, op.attr("dtype")), no_flops),
)

ELEMENTWISE = frozenset(row.kind for row in ROWS)
