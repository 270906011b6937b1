"""The operations that a text for IREE has besides StableHLO's: barriers, numbers outside of tensors, and loops.

A number of the types i32, i1 or index is read as a tensor without axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netc.codegen.ir import Value
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.reader import Reader, Row, type_of
from netc.proofs_oracle.certificate.regions import ROUNDS

LESS = 2  # arith.cmpi's number of its predicate slt


def _integers(r: Reader, op: Any, args: list[Value]) -> None:
    """An i1 of arith is a signed integer of one bit, where 1 + 1 = 0 and 1 is -1; StableHLO's is a truth value."""
    if any(v.type.dtype == "i1" for v in args):
        raise CertifyError(f"{r.loc}: {op.name} of i1 has no rule")


def _alone(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """One value to one: MLIR knows IREE's operations by their looks only, and does not count for us."""
    if len(args) != 1 or len(op.results) != 1:
        raise CertifyError(f"{r.loc}: {op.name} of {len(args)} tensors to {len(op.results)} has no rule")
    return args


def _number(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    value = getattr(op.attributes["value"], "value", None)
    if not isinstance(value, int):
        raise CertifyError(f"{r.loc}: a constant {op.attributes['value']} outside of tensors has no rule")
    return [r.filled(value, type_of(op.results[0].type))]


def _less(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    if op.attributes["predicate"].value != LESS:
        raise CertifyError(f"{r.loc}: a comparison of numbers other than slt has no rule")
    _integers(r, op, args)
    return [r.add("compare", *args, direction="LT")]


def _sum(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    _integers(r, op, args)
    return [r.add("add" if op.name == "arith.addi" else "sub", *args)]


def _cast(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    _integers(r, op, args)
    if type_of(op.results[0].type).dtype == "i1":
        raise CertifyError(f"{r.loc}: {op.name} to i1 has no rule")
    return [r.add("convert", *args, dtype=type_of(op.results[0].type).dtype)]


def _for(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """Written out, turn by turn; what it goes from and to, and by what, are known numbers."""
    bounds, carried, outer, here = [r.single(v) for v in args[:3]], args[3:], r.env, r.loc
    if any(b is None or v in r.rounded for b, v in zip(bounds, args, strict=False)):
        why = next((r.unread[v] for v in args[:3] if v in r.unread), None)
        raise CertifyError(why or f"{here}: a loop whose turns the text does not fix has no rule")
    first, last, by = (int(b) for b in bounds if b is not None)
    if by < 1 or (last - first) // by > ROUNDS:
        raise CertifyError(f"{here}: wants loops of at most {ROUNDS:,} iterations, got more")
    block = op.regions[0].blocks[0]
    for turn in range(first, last, by):
        carried = r.block(block, [r.filled(turn, args[0].type), *carried], outer)
    return carried


IREE: Mapping[str, Mapping[str, Row]] = {
    "iree_tensor_ext": {"compute_barrier.start": Row(_alone, passes=True)},
    "flow": {"tensor.barrier": Row(_alone, idle=("target",), passes=True)},  # where a value lies
    "tensor": {"extract": Row(_alone), "from_elements": Row(_alone)},
    "arith": {
        "constant": Row(_number, ("value",)),
        "cmpi": Row(_less, ("predicate",)),
        "addi": Row(_sum, idle=("overflowFlags",)),
        "subi": Row(_sum, idle=("overflowFlags",)),
        "index_cast": Row(_cast),
    },
    "scf": {"for": Row(_for, regions=1, passes=True)},
}
