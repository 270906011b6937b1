"""BLAS as programs: one row for each routine, grouped in files by level."""

from netc.codegen.blas import level1, level2, level3
from netc.codegen.blas.table import Routine

ROUTINES: dict[str, Routine] = {row.name: row for file in (level1, level2, level3) for row in file.ROWS}
