"""Programs as they are written: StableHLO as text, as MLIR's bytecode, or as a portable artefact of StableHLO."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jaxlib.mlir import ir as mlir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import chlo, sdy, stablehlo

from netc.netspec.errors import UserError

MAGIC = b"ML\xefR"  # of MLIR's bytecode
PORTABLE = b"StableHLO_v"  # its producer, where it is a portable artefact
LONGEST = 160  # characters of a line, or of a reason, that a message shows

_PLACE = re.compile(r'"-":(\d+):(\d+)')


@cache
def context() -> Any:
    """MLIR's context with every dialect that a text may use; sharding (sdy) is among them."""
    registry = mlir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    made = mlir.Context()
    made.append_dialect_registry(registry)
    made.load_all_available_dialects()
    for dialect in (stablehlo, chlo, sdy):
        dialect.register_dialect(made)
    return made


def functions_of(module: Any) -> Mapping[str, Any]:
    """The functions of a module by name, in order; valid as long as the module lives. Raises UserError."""
    found = {
        str(op.attributes["sym_name"].value): op
        for op in module.body.operations
        if op.operation.name.split(".") == ["func", "func"]
    }
    if not found:
        raise UserError("wants a StableHLO program with a function, got a module without any")
    return found


def module_of(program: str | bytes) -> Any:
    """MLIR's module. Raises UserError with the first line that MLIR refuses, and its reason."""
    if isinstance(program, bytes):
        if program.startswith(MAGIC):
            return _of_bytecode(program)
        try:
            program = program.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(
                f"wants StableHLO as UTF-8 text or MLIR bytecode, got byte 0x{error.object[error.start]:02x} at "
                f"{error.start}; write the program out with as_text()"
            ) from error
    if not program.strip():
        raise UserError("wants a StableHLO program, got an empty file")
    if "\0" in program:
        raise UserError(
            f"wants StableHLO as text, got a NUL character in line {_line_of(program, program.index(chr(0)))}"
        )
    try:
        return mlir.Module.parse(program, context())
    except mlir.MLIRError as error:
        raise UserError(_refusal(error, program)) from error


def _of_bytecode(program: bytes) -> Any:
    try:
        if PORTABLE in program[:64]:
            return stablehlo.deserialize_portable_artifact(context(), program)
        return mlir.Module.parse(program, context())
    except (mlir.MLIRError, ValueError) as error:
        reason = error.error_diagnostics[0].message if isinstance(error, mlir.MLIRError) else str(error)
        raise UserError(f"wants whole MLIR bytecode, got what MLIR refuses: {_short(reason)}") from error


def _refusal(error: Any, text: str) -> str:
    first = error.error_diagnostics[0]
    place = _PLACE.search(str(first.location))
    if place is None:
        return f"wants StableHLO as text, got what MLIR refuses: {_short(first.message)}"
    number = int(place[1])
    line = text.splitlines()[number - 1 : number]
    shown = f" in {_short(line[0].strip())!r}" if line and line[0].strip() else ""
    return f"line {number}: wants StableHLO that MLIR reads, got{shown}: {_short(first.message)}"


def _line_of(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + " .."
