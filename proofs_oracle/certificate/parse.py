"""From StableHLO back to the IR: what is certified is the program that jaxlib's own parser read.

Calls are inlined, loops of a known number of rounds are written out, and operations that the IR does not have become
those of foreign.py.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function
from netc.codegen.text import SEPARATOR
from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.reader import Reader
from netc.proofs_oracle.certificate.rows import ROWS
from netc.proofs_oracle.certificate.text import argument_names, functions_of, module_of, of_several_modules, part_of


def parse(program: str | bytes, name: str | None = None) -> Function:
    """The function of that name, or `train_step`, or `main`, or the only one. Raises UserError or CertifyError.

    Of a text of several modules, a module's name is that of its `main`.
    """
    if isinstance(program, bytes) and SEPARATOR.encode() in program:
        program = program.decode("utf-8", "replace")
    if isinstance(program, str) and of_several_modules(program):
        wanted = name or "train_step"
        part, inside = part_of(program, wanted)
        return replace(parse(part, inside), name=wanted)
    module = module_of(program)  # its functions live as long as it does
    functions = functions_of(module)
    chosen = name or next((n for n in ("train_step", "main") if n in functions), None)
    if chosen is None and len(functions) == 1:
        chosen = next(iter(functions))
    if chosen is None or chosen not in functions:
        raise UserError(f"`function` wants one of {', '.join(functions)}, got {chosen!r}; name one")
    found = Reader(functions, ROWS).function(chosen)
    written = argument_names(program, chosen)
    if len(written) != len(found.names):
        return found
    names = [
        new if name == f"arg{i}" and not new.isdigit() else name
        for i, (name, new) in enumerate(zip(found.names, written, strict=True))
    ]
    return replace(found, names=tuple(names))
