"""The op table: one row for each operation, grouped in files by what the operations do."""

from netc.codegen.ops import contraction, elementwise, indexing, loop, movement, scan, window
from netc.codegen.ops.table import OpDef

OPS: dict[str, OpDef] = {
    row.kind: row
    for rows in (elementwise.ROWS, movement.ROWS, contraction.ROWS, window.ROWS, indexing.ROWS, scan.ROWS, loop.ROWS)
    for row in rows
}
