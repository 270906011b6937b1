"""The op table: one row for each operation, grouped in files by what the operations do."""

from netc.codegen.ops import contraction, elementwise, indexing, movement, scan, window
from netc.codegen.ops.table import OpDef

OPS: dict[str, OpDef] = {
    row.kind: row
    for rows in (elementwise.ROWS, movement.ROWS, contraction.ROWS, window.ROWS, indexing.ROWS, scan.ROWS)
    for row in rows
}
