"""Programs as they are written: StableHLO as text, as MLIR's bytecode, or as a portable artefact of StableHLO."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jaxlib import _jax
from jaxlib.mlir import ir as mlir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import chlo, func, sdy, stablehlo

from netc.codegen.text import modules_in
from netc.netspec.child import run
from netc.netspec.errors import UserError

MAGIC = b"ML\xefR"  # of MLIR's bytecode
PORTABLE = b"StableHLO_v"  # its producer, where it is a portable artefact
PATIENCE = 30  # seconds of the processor for bytecode
REFUSED = 3  # exit code of the process that reads it
FOREIGN = frozenset({"iree_tensor_ext.compute_barrier.start", "flow.tensor.barrier"})  # what a text for IREE has of it
LONGEST = 160  # characters of a line, or of a reason, that a message shows

VAST = {
    "an axis": re.compile(r"dim_numbers = [^w\n]*?\b(\d{4,})"),
    "a number of results": re.compile(r"%\w+[#:](\d{6,})"),
}
"""Numbers up to which MLIR's parser counts, so that a few digits would take it minutes."""
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
    made.allow_unregistered_dialects = True  # for those of FOREIGN
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
    if isinstance(program, bytes) and program.startswith(MAGIC):
        program = _of_bytecode(program)
    if isinstance(program, bytes):
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
    for name, pattern in VAST.items():
        if found := pattern.search(program):
            line = _line_of(program, found.start())
            raise UserError(
                f"line {line}: wants StableHLO, got {name} as large as {_short(found[1])}; MLIR would not end"
            )
    try:
        return _known(mlir.Module.parse(program, context()))
    except mlir.MLIRError as error:
        raise UserError(_refusal(error, program)) from error
    except MemoryError as error:
        raise UserError("wants StableHLO that fits into memory, got a text for which MLIR asks for more") from error


def _known(module: Any) -> Any:
    """The module, if MLIR knows all its operations but those of FOREIGN; raises UserError for another."""
    known = dict.fromkeys(FOREIGN, True)
    unknown: list[Any] = []

    def look(op: Any) -> Any:
        if op.name not in known:
            known[op.name] = context().is_registered_operation(op.name)
        if known[op.name]:
            return mlir.WalkResult.ADVANCE
        unknown.append(op)
        return mlir.WalkResult.INTERRUPT

    module.operation.walk(look)
    if unknown:
        place = _PLACE.search(str(unknown[0].location))
        line = f"line {place[1]}: " if place else ""
        raise UserError(f"wants StableHLO, got what MLIR refuses: {line}{unknown[0].name} is not a known operation")
    return module


def _of_bytecode(program: bytes) -> str:
    """The text of bytecode, written out by another process: on damaged bytecode MLIR may abort."""
    try:
        done = run([sys.executable, "-c", f"from {__name__} import write_out; write_out()"], PATIENCE, given=program)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"wants intact MLIR bytecode, got some that MLIR does not finish reading in {PATIENCE} s"
        ) from error
    if not done.returncode:
        return str(done.stdout, "utf-8", "replace")
    said = done.stderr.decode("utf-8", "replace").strip() if done.returncode == REFUSED else "it aborts on it"
    raise UserError(f"wants intact MLIR bytecode, got what MLIR refuses: {_short(said)}")


def write_out() -> None:
    """Bytecode on standard input as text on standard output; a reason on standard error and exit code REFUSED."""
    program = sys.stdin.buffer.read()
    try:
        if PORTABLE in program[:64]:
            module = stablehlo.deserialize_portable_artifact(context(), program)
        else:
            module = mlir.Module.parse(program, context())
    except (mlir.MLIRError, ValueError, MemoryError) as error:
        notes = error.error_diagnostics if isinstance(error, mlir.MLIRError) else ()
        print(notes[0].message if notes else str(error), file=sys.stderr)
        raise SystemExit(REFUSED) from None
    sys.stdout.buffer.write(module.operation.get_asm(binary=True, enable_debug_info=True))


def _refusal(error: Any, text: str) -> str:
    first = next(iter(error.error_diagnostics), None)
    place = first and _PLACE.search(str(first.location))
    if first is None or place is None:
        return f"wants StableHLO as text, got what MLIR refuses: {_short(first.message if first else str(error))}"
    number = int(place[1])
    line = text.splitlines()[number - 1 : number]
    shown = f" in {_short(line[0].strip())!r}" if line and line[0].strip() else ""
    return f"line {number}: wants StableHLO that MLIR reads, got{shown}: {_short(first.message)}"


def _line_of(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + " .."


def legalised(name: str, shape: Sequence[int]) -> bytes:
    """CHLO's function of that name on float32 numbers, as jaxlib serialises it: in StableHLO alone."""
    with context(), mlir.Location.unknown():
        module = mlir.Module.create()
        tensor = mlir.RankedTensorType.get(shape, mlir.F32Type.get())
        with mlir.InsertionPoint(module.body):
            func.FuncOp.from_py_func(tensor, name="main")(getattr(chlo, name))
    found: bytes = _jax.mlir.serialize_portable_artifact(str(module), stablehlo.get_current_version())
    return found


_MODULE = re.compile(r'\s*module @"?([\w$.-]+)')


def of_several_modules(program: str) -> bool:
    """Whether a text is modules with a line between them, each with a name: else such a line is a comment."""
    parts = modules_in(program)
    return len(parts) > 1 and all(_MODULE.match(part) for part in parts)


def part_of(program: str, name: str) -> tuple[str, str]:
    """Of a text of several modules the one that has a function, and the function's name there. Raises UserError."""
    parts: dict[str, str] = {}
    for part in modules_in(program):
        found = _MODULE.match(part)
        assert found is not None  # of_several_modules
        if found[1] in parts:
            raise UserError(f"wants modules of different names, got two called {found[1]}; keep one of them")
        parts[found[1]] = part
    if name in parts:
        return parts[name], "main"
    for part in parts.values():
        if re.search(rf"func\.func [^@\n]*@{re.escape(name)}\(", part):
            return part, name
    raise UserError(f"`function` wants one of {', '.join(parts)}, got {name!r}; name one")


def argument_names(program: str | bytes, function: str) -> list[str]:
    """The names that a text gives the function's arguments, which MLIR's parser drops; none in bytecode."""
    if isinstance(program, bytes):
        program = "" if program.startswith(MAGIC) else program.decode("utf-8", "replace")
    found = re.search(rf"@{re.escape(function)}\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*->", program)
    return re.findall(r"%([\w$.-]+)\s*:", found[1]) if found else []
