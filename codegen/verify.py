"""The verifier: every pass is followed by it."""

from __future__ import annotations

from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.ops import OPS


def verify(module: Module, *, lowered: bool = False, typed: set[Op] | None = None) -> Module:
    """The module itself; raises IrError if a value is used before it is made, made twice, or has another type.

    With `lowered`, every operation must have a StableHLO spelling. `typed` holds operations whose type was inferred
    by an earlier call: an operation never changes, so once is enough.
    """
    names = [f.name for f in module]
    if len(set(names)) != len(names):
        raise IrError(f"{module.name} wants functions of different names, got {names}")
    for function in module:
        _verify(function, lowered, set() if typed is None else typed)
    return module


def _verify(function: Function, lowered: bool, typed: set[Op]) -> None:
    known: set[Value] = set(function.params)
    if len(known) != len(function.params) or len(function.names) != len(function.params):
        raise IrError(f"{function.name} wants distinct arguments, each with a name")
    for op in function.ops:
        if not known.issuperset(op.operands):
            raise _fault(function, op, "uses a value that no operation before it makes")
        if op.result in known:
            raise _fault(function, op, "makes a value a second time")
        if op not in typed:
            _check_type(function, op)
            typed.add(op)
        if lowered and OPS[op.kind].spelling is None:
            raise _fault(function, op, "has no StableHLO form; a schedule must replace it")
        known.add(op.result)
    if len(function.results) != len(function.result_names):
        raise IrError(f"{function.name} wants a name for each of {len(function.results)} results")
    for v, name in zip(function.results, function.result_names, strict=True):
        if v not in known:
            raise IrError(f"{function.name}: result {name} is made by no operation")


def _check_type(function: Function, op: Op) -> None:
    if op.kind not in OPS:
        raise _fault(function, op, "is no row of the op table")
    try:
        inferred = OPS[op.kind].rule(*(v.type for v in op.operands), **dict(op.attrs))
    except (IrError, TypeError) as error:  # TypeError: an operand or attribute too many or too few
        raise _fault(function, op, f"does not fit its rule: {error}") from error
    if inferred != op.result.type:
        raise _fault(function, op, f"is written as {op.result.type}, but its type is {inferred}")


def _fault(function: Function, op: Op, what: str) -> IrError:
    return IrError(f"{function.name}: {op.loc}: {op} {what}")
