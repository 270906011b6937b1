"""The verifier: every pass is followed by it."""

from __future__ import annotations

from netc.codegen.ir import Function, IrError, Module, Value
from netc.codegen.ops import OPS


def verify(module: Module, *, lowered: bool = False) -> Module:
    """The module itself; raises IrError if a value is used before it is made, made twice, or has another type.

    With `lowered`, every operation must have a StableHLO spelling.
    """
    names = [f.name for f in module]
    if len(set(names)) != len(names):
        raise IrError(f"{module.name} wants functions of different names, got {names}")
    for function in module:
        _verify(function, lowered)
    return module


def _verify(function: Function, lowered: bool) -> None:
    known: set[Value] = set(function.params)
    if len(known) != len(function.params) or len(function.names) != len(function.params):
        raise IrError(f"{function.name} wants distinct arguments, each with a name")
    for op in function.ops:
        where = f"{function.name}: {op.loc}: {op}"
        for v in op.operands:
            if v not in known:
                raise IrError(f"{where} uses a value that no operation before it makes")
        if op.result in known:
            raise IrError(f"{where} makes a value a second time")
        row = OPS[op.kind]
        inferred = row.rule(*(v.type for v in op.operands), **dict(op.attrs))
        if inferred != op.result.type:
            raise IrError(f"{where} is written as {op.result.type}, but its type is {inferred}")
        if lowered and row.spelling is None:
            raise IrError(f"{where} has no StableHLO form; a schedule must replace it")
        known.add(op.result)
    for v, name in zip(function.results, function.result_names, strict=True):
        if v not in known:
            raise IrError(f"{function.name}: result {name} is made by no operation")
