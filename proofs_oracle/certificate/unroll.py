"""A loop as what it does: the function that it calls, written out once for each call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.loop import LOOPS, parts_of
from netc.proofs_oracle.certificate.dual import CertifyError


def unrolled(module: Module, name: str) -> Function:
    """A function of the module without loops: what each call of a loop is given and gives is as the loop op says.

    Raises CertifyError for a loop that does not begin at 0, as none that netc makes does.
    """
    function = module.function(name)
    b = Builder(name)
    new: dict[Value, Value] = {}
    zeros = {op.result for op in function.ops if op.kind == "constant" and op.attr("value") == 0}
    for op in function.ops:
        operands = tuple([new.get(v, v) for v in op.operands])
        if op.kind not in LOOPS:
            b.ops.append(replace(op, operands=operands))
            continue
        if op.operands[0] not in zeros:
            raise CertifyError(f"{op.loc}: wants a loop from 0, got {op}")
        b.place(op.loc)
        results = _calls(b, op, operands, unrolled(module, op.attr("callee")))
        new.update(zip(op.extra_results, results, strict=True))
        new[op.result] = b.scalar(op.attr("trips"), "i32")
    return replace(function, ops=tuple(b.ops), results=tuple([new.get(v, v) for v in function.results]))


def _calls(b: Builder, op: Op, operands: Sequence[Value], callee: Function) -> list[Value]:
    """The carried values after the last call, and the outputs, every row of which a call gave."""
    given, trips = parts_of(op, operands), op.attr("trips")
    carried, outputs = list(given.carried), [[v] * trips for v in given.outputs]
    for i in range(trips):
        b.place(op.loc)
        at = trips - 1 - i if op.attr("reverse") else i
        rows = [b.reshape(b.rows(x, at, at + 1), x.shape[1:]) for x in given.stacked]
        results = _inlined(b, callee, [*carried, *rows, *given.constants])
        carried = results[: len(carried)]
        for output, row in zip(outputs, results[len(carried) :], strict=True):
            output[at] = b.reshape(row, (1, *row.shape))
    b.place(op.loc)
    return [*carried, *(b.concatenate(rows, 0) for rows in outputs)]


def _inlined(b: Builder, callee: Function, given: Sequence[Value]) -> list[Value]:
    """The results of the callee's operations, each made anew, on these arguments."""
    new = dict(zip(callee.params, given, strict=True))
    for op in callee.ops:
        made = [Value(v.type) for v in op.results]
        operands = tuple([new[v] for v in op.operands])
        b.ops.append(replace(op, operands=operands, result=made[0], extra_results=tuple(made[1:])))
        new.update(zip(op.results, made, strict=True))
    return [new[v] for v in callee.results]
