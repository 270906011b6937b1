"""The C of an elementwise operation: one expression of its operands, for each row of the op table that has one.

Integers wrap as on every backend: signed ones are added as unsigned. A truth value is an unsigned char of 0 or 1.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from netc.codegen.c.any_batch import Share
from netc.codegen.ir import Op
from netc.netspec.types import DType

C_TYPES: dict[str, str] = {
    "f64": "double", "f32": "float", "bf16": "float", "i32": "int32_t", "i64": "int64_t", "ui32": "uint32_t",
    "ui8": "uint8_t", "i1": "uint8_t",
}  # fmt: skip
FLOATS = frozenset(("f64", "f32", "bf16"))
_UNSIGNED = {"i32": "uint32_t", "i64": "uint64_t"}

Expression = Callable[[Op, Sequence[str]], str]


def suffix(dtype: DType) -> str:
    """What libm and our own functions of that type end with."""
    return "" if dtype == "f64" else "f"


def number(value: float | int | bool, dtype: DType) -> str:
    """A literal: the shortest decimal that is read back as the same number; of any batch, its expression."""
    if isinstance(value, Share):
        return value.text(C_TYPES[dtype])
    if dtype == "i1":
        return "1" if value else "0"
    if dtype == "i32":
        return str(int(value)) if int(value) > -(2**31) else "INT32_MIN"
    if dtype == "ui32":
        return f"{int(value) & 0xFFFFFFFF}u" if int(value) < 65536 else f"0x{int(value):08X}u"
    if dtype == "i64":
        return f"INT64_C({int(value)})" if int(value) > -(2**63) else "INT64_MIN"
    if dtype == "ui8":
        return str(int(value))
    if math.isnan(value):
        return "NAN" if dtype != "f64" else "(double)NAN"
    if math.isinf(value):
        named = "INFINITY" if dtype != "f64" else "(double)INFINITY"
        return named if value > 0 else f"-{named}"
    text = repr(float(value)) if dtype == "f64" else _single(rounded(value, dtype))
    return text if dtype == "f64" else f"{text}f"


def rounded(value: float, dtype: DType) -> float:
    """The nearest number of a type."""
    if dtype == "f64":
        return float(value)
    try:
        single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    if dtype == "bf16" and math.isfinite(single):
        bits = struct.unpack("<I", struct.pack("<f", single))[0]
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
        single = struct.unpack("<f", struct.pack("<I", bits))[0]
    return single


def _single(value: float) -> str:
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value)}.0" if value or math.copysign(1, value) > 0 else "-0.0"
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if rounded(float(text), "f32") == value:
            break
    return text if any(c in text for c in ".en") else f"{text}.0"


def bare(text: str) -> str:
    """An expression without brackets around the whole of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for n, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and n < len(text) - 1:
            return text
    return text[1:-1]


def _infix(sign: str, wrapped: bool = False) -> Expression:
    def spell(op: Op, args: Sequence[str]) -> str:
        dtype = op.result.type.dtype
        plain = f" {sign} ".join(args)
        if dtype in FLOATS or dtype == "ui32":
            return plain
        if dtype in _UNSIGNED and wrapped:
            unsigned = _UNSIGNED[dtype]
            return f"({C_TYPES[dtype]})" + "(" + f" {sign} ".join(f"({unsigned}){a}" for a in args) + ")"
        return f"({C_TYPES[dtype]})({plain})" if dtype in ("ui8", "i1") else plain

    return spell


def _or_truth(sign: str, truth: str) -> Expression:
    """What a sum, a product, the larger or the smaller of truth values is."""
    numbers, truths = _infix(sign, wrapped=True), _infix(truth)
    return lambda op, args: (truths if op.result.type.dtype == "i1" else numbers)(op, args)


def _extreme(name: str, sign: str, truth: str) -> Expression:
    def spell(op: Op, args: Sequence[str]) -> str:
        dtype = op.result.type.dtype
        if dtype in FLOATS:
            return f"net_{name}{suffix(dtype)}({', '.join(map(bare, args))})"
        if dtype == "i1":
            return _infix(truth)(op, args)
        return f"{args[0]} {sign} {args[1]} ? {args[0]} : {args[1]}"

    return spell


def _function(name: str, own: bool = False) -> Expression:
    """A function of libm, or one of our own, whose bits depend on no libm; in double precision libm's."""

    def spell(op: Op, args: Sequence[str]) -> str:
        dtype = op.result.type.dtype
        prefix = "net_" if own and (dtype != "f64" or name == "logistic") else ""
        return f"{prefix}{name}{suffix(dtype)}({', '.join(map(bare, args))})"

    return spell


def _negative(op: Op, args: Sequence[str]) -> str:
    dtype = op.result.type.dtype
    if dtype in FLOATS:
        return f"-{args[0]}"
    return f"({C_TYPES[dtype]})(0u - ({_UNSIGNED.get(dtype, C_TYPES[dtype])}){args[0]})"


def _not(op: Op, args: Sequence[str]) -> str:
    dtype = op.result.type.dtype
    return f"(uint8_t)!{args[0]}" if dtype == "i1" else f"({C_TYPES[dtype]})~{args[0]}"


def _shift(sign: str) -> Expression:
    def spell(op: Op, args: Sequence[str]) -> str:
        dtype = op.result.type.dtype
        if dtype == "ui32":
            return f"{args[0]} {sign} {args[1]}"
        wide = _UNSIGNED.get(dtype, C_TYPES[dtype])
        return f"({C_TYPES[dtype]})(({wide}){args[0]} {sign} {args[1]})"

    return spell


_SIGNS = {"EQ": "==", "NE": "!=", "GE": ">=", "GT": ">", "LE": "<=", "LT": "<"}


def _compare(op: Op, args: Sequence[str]) -> str:
    return f"{args[0]} {_SIGNS[op.attr('direction')]} {args[1]}"


def _convert(op: Op, args: Sequence[str]) -> str:
    given, wanted = op.operands[0].type.dtype, op.attr("dtype")
    if wanted == "bf16":
        return f"net_bf16({args[0] if given in ('f32', 'bf16') else f'(float){args[0]}'})"
    if wanted == "i1":
        return f"{args[0]} != 0"
    return args[0] if C_TYPES[given] == C_TYPES[wanted] else f"({C_TYPES[wanted]}){args[0]}"


EXPRESSIONS: dict[str, Expression] = {
    "add": _or_truth("+", "|"),
    "sub": _infix("-", wrapped=True),
    "mul": _or_truth("*", "&"),
    "div": _infix("/"),
    "max": _extreme("max", ">", "|"),
    "min": _extreme("min", "<", "&"),
    "neg": _negative,
    "exp": _function("exp", own=True),
    "log": _function("log", own=True),
    "log1p": _function("log1p"),
    "sqrt": _function("sqrt"),
    "rsqrt": lambda op, args: (
        f"{number(1.0, op.result.type.dtype)} / sqrt{suffix(op.result.type.dtype)}({bare(args[0])})"
    ),
    "sin": _function("sin"),
    "cos": _function("cos"),
    "tanh": _function("tanh", own=True),
    "logistic": _function("logistic", own=True),
    "erf": _function("erf", own=True),
    "and": _infix("&"),
    "or": _infix("|"),
    "xor": _infix("^"),
    "not": _not,
    "shl": _shift("<<"),
    "shr": _shift(">>"),
    "compare": _compare,
    "select": lambda op, args: f"{args[0]} ? {args[1]} : {args[2]}",
    "convert": _convert,
}
# what costs no more than reading its result would
CHEAP = frozenset(("add", "sub", "mul", "max", "min", "neg", "and", "or", "xor", "not", "compare", "select", "convert"))
