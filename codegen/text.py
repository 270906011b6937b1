"""The text of a lowered module: what is printed, hashed, certified and given to the target's compiler."""

from __future__ import annotations

from netc.codegen.c.source import c_source
from netc.codegen.ir import Module
from netc.codegen.render import render
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.profiles import PROFILES

SEPARATOR = "// -----\n"  # between the modules of one text, as MLIR's own tools have it


def text_of(module: Module, profile: ProfileName) -> str:
    """The text of a module that was lowered by that profile: one MLIR module, several with SEPARATOR between, or C."""
    row = PROFILES[profile]
    if row.dialect == "c":
        return c_source(module).text
    return SEPARATOR.join(render(part, row.dialect) for part in row.parts(module))


def modules_in(text: str) -> tuple[str, ...]:
    """The modules of a text, each as it goes to a compiler."""
    return tuple(text.split(SEPARATOR))
