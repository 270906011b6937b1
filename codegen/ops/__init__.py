"""The op table: one row for each operation, grouped in files by what the operations do."""

from functools import lru_cache

from netc.codegen.ir import Attrs, IrError
from netc.codegen.ops import (
    call,
    collective,
    contraction,
    elementwise,
    indexing,
    loop,
    movement,
    reduce_window,
    scan,
    solve,
    window,
)
from netc.codegen.ops.table import OpDef
from netc.netspec.nearest import near
from netc.netspec.types import TensorType

OPS: dict[str, OpDef] = {
    row.kind: row
    for file in (
        elementwise, movement, contraction, window, reduce_window, indexing, scan, solve, loop, call, collective
    )
    for row in file.ROWS
}  # fmt: skip

REMEMBERED = 1 << 14  # operations whose types are kept; a large net has a few thousand different ones


@lru_cache(maxsize=REMEMBERED)
def infer(kind: str, operands: tuple[TensorType, ...], attrs: Attrs) -> tuple[TensorType, ...]:
    """The types of an operation's results by its row's rules; raises IrError, for a word that is no operation too.

    Kept, because nets repeat their blocks, and because the verifier asks again what the builder has asked.
    """
    if kind not in OPS:
        raise IrError(f"is no operation of the table; there are {', '.join(near(kind, OPS) or sorted(OPS))}")
    row, named = OPS[kind], dict(attrs)
    first = row.rule(*operands, **named)
    return (first, *row.multi.further(*operands, **named)) if row.multi else (first,)
