"""The op table: one row for each operation, grouped in files by what the operations do."""

from netc.codegen.ops import contraction, elementwise, movement, window
from netc.codegen.ops.table import OpDef

OPS: dict[str, OpDef] = {
    row.kind: row for rows in (elementwise.ROWS, movement.ROWS, contraction.ROWS, window.ROWS) for row in rows
}
