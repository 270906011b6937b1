"""Simplifies single operations: constants moved, neutral elements, movements that undo each other.

Computes nothing, so it changes no rounding; x + 0 becomes x, also where x is -0.
"""

from __future__ import annotations

from collections.abc import Callable

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.movement import Raw
from netc.codegen.rewrite.walk import each_function, rewrite

Makers = dict[Value, Op]
Fold = Callable[[Builder, Op, tuple[Value, ...], Makers], Value | None]


def _filled(v: Value, makers: Makers) -> float | int | bool | None:
    """The number that fills v, if it is a constant of equal elements."""
    op = makers.get(v)
    if op is None or op.kind != "constant":
        return None
    value = op.attr("value")
    return None if isinstance(value, tuple | Raw) else value


def _moved_constant(b: Builder, op: Op, args: tuple[Value, ...], makers: Makers) -> Value | None:
    value = _filled(args[0], makers)
    return None if value is None else b.constant(value, op.result.type)


def _neutral(right: float, also_left: bool) -> Fold:
    def fold(b: Builder, op: Op, args: tuple[Value, ...], makers: Makers) -> Value | None:
        x, y = args
        if op.result.type.dtype == "i1":
            return None
        if _filled(y, makers) == right:
            return x
        return y if also_left and _filled(x, makers) == right else None

    return fold


def _reshape(b: Builder, op: Op, args: tuple[Value, ...], makers: Makers) -> Value | None:
    (x,) = args
    inner = makers.get(x)
    source = inner.operands[0] if inner is not None and inner.kind == "reshape" else x
    return None if source is x and x.shape != op.result.shape else b.reshape(source, op.result.shape)


def _transpose(b: Builder, op: Op, args: tuple[Value, ...], makers: Makers) -> Value | None:
    (x,) = args
    perm = op.attr("perm")
    inner = makers.get(x)
    if inner is not None and inner.kind == "transpose":
        first = inner.attr("perm")
        x, perm = inner.operands[0], tuple(first[p] for p in perm)
        return x if perm == tuple(range(len(perm))) else b.transpose(x, perm)
    return x if perm == tuple(range(len(perm))) else None


def _select(b: Builder, op: Op, args: tuple[Value, ...], makers: Makers) -> Value | None:
    condition, x, y = args
    if x is y:
        return x
    known = _filled(condition, makers)
    return None if known is None else x if known else y


TABLE: dict[str, tuple[Fold, ...]] = {
    "add": (_neutral(0, True),),
    "sub": (_neutral(0, False),),
    "mul": (_neutral(1, True),),
    "div": (_neutral(1, False),),
    "broadcast": (_moved_constant,),
    "slice": (_moved_constant,),
    "reshape": (_moved_constant, _reshape),
    "transpose": (_moved_constant, _transpose),
    "select": (_select,),
}


def fold(module: Module) -> Module:
    """The module with every operation simplified once, operands first."""
    return each_function(module, _fold)


def _fold(function: Function) -> Function:
    makers: Makers = {}
    seen = 0

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        nonlocal seen
        for made in b.ops[seen:]:
            makers[made.result] = made
        seen = len(b.ops)
        for rule in TABLE[op.kind]:
            value = rule(b, op, operands, makers)
            if value is not None:
                return value
        return None

    return rewrite(function, visit, TABLE)
