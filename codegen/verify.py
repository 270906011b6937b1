"""The verifier: every pass is followed by it."""

from __future__ import annotations

from collections.abc import Mapping

from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.ops import OPS, infer

CALLS = frozenset(kind for kind, row in OPS.items() if row.multi is not None and row.multi.fits is not None)
UNSPELLED = frozenset(kind for kind, row in OPS.items() if row.spelling is None and row.multi is None)


def verify(module: Module, *, lowered: bool = False, sound: set[Op | Function] | None = None) -> Module:
    """The module itself; raises IrError if a value is used before it is made, made twice, or has another type.

    A function that is called must stand before its callers, so that none calls itself, and take and give what they do.
    With `lowered`, every operation must have a StableHLO spelling. `sound` holds operations whose type was inferred
    and functions that were looked through by an earlier call: they never change, so once is enough.
    """
    names = [f.name for f in module]
    if len(set(names)) != len(names):
        raise IrError(f"{module.name} wants functions of different names, got {names}")
    before: dict[str, Function] = {}
    sound = set() if sound is None else sound
    for function in module:
        if function not in sound:
            _verify(function, sound)
            sound.add(function)
        if lowered:
            _check_spelled(function)
        _check_calls(function, before)
        before[function.name] = function
    return module


def _verify(function: Function, sound: set[Op | Function]) -> None:
    known: set[Value] = set(function.params)
    if len(known) != len(function.params) or len(function.names) != len(function.params):
        raise IrError(f"{function.name} wants distinct arguments, each with a name")
    covers, make = known.issuperset, known.add
    for op in function.ops:
        if not covers(op.operands):
            raise _fault(function, op, "uses a value that no operation before it makes")
        if op.result in known or (op.extra_results and not known.isdisjoint(op.extra_results)):
            raise _fault(function, op, "makes a value a second time")
        if op not in sound:
            _check_type(function, op)
            sound.add(op)
        make(op.result)
        if op.extra_results:
            known.update(op.extra_results)
    if len(function.results) != len(function.result_names):
        raise IrError(f"{function.name} wants a name for each of {len(function.results)} results")
    for v, name in zip(function.results, function.result_names, strict=True):
        if v not in known:
            raise IrError(f"{function.name}: result {name} is made by no operation")


def _check_type(function: Function, op: Op) -> None:
    if op.kind not in OPS:
        raise _fault(function, op, "is no row of the op table")
    try:
        inferred = infer(op.kind, tuple([v.type for v in op.operands]), op.attrs)
    except (IrError, TypeError) as error:  # TypeError: an operand or attribute too many or too few
        raise _fault(function, op, f"does not fit its rule: {error}") from error
    written = tuple([v.type for v in op.results]) if op.extra_results else (op.result.type,)
    if inferred != written:
        shown = (", ".join(map(str, types)) for types in (written, inferred))
        raise _fault(function, op, "is written as {}, but its type is {}".format(*shown))


def _check_spelled(function: Function) -> None:
    for op in function.ops:
        if op.kind in UNSPELLED:
            raise _fault(function, op, "has no StableHLO form; a pass must replace it")


def _check_calls(function: Function, before: Mapping[str, Function]) -> None:
    for op in [op for op in function.ops if op.kind in CALLS]:
        several = OPS[op.kind].multi
        assert several is not None and several.fits is not None
        callee = before.get(op.attr("callee"))
        if callee is None:
            raise _fault(function, op, f"calls {op.attr('callee')}, which is no function before this one")
        try:
            several.fits(op, callee)
        except IrError as error:
            raise _fault(function, op, str(error)) from error


def _fault(function: Function, op: Op, what: str) -> IrError:
    return IrError(f"{function.name}: {op.loc}: {op} {what}")
