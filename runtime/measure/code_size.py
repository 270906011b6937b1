"""What a program's C takes of a device's flash: compiled for size by the C compiler, and read from its ELF file."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.c_compiler import c_command, extra_flags, ran, refusal

FLAGS = ("-std=c11", "-Os", "-ffp-contract=off", "-fno-math-errno", "-fno-asynchronous-unwind-tables", "-c")
LONGEST = 600  # seconds for the compiler
_ALLOCATED, _WRITTEN, _EXECUTED = 2, 1, 4  # sh_flags
_NO_BITS = 8  # sh_type of what is zero at the start


@dataclass(frozen=True, slots=True)
class CodeSize:
    """Bytes of machine code, and of constants beside it; `compiler` with the flags of CFLAGS."""

    compiler: str
    code: int
    constants: int


def code_size(text: str) -> CodeSize:
    """The sizes of a text of C, without what it takes from libm. CC and CFLAGS may name a device's compiler.

    Raises UserError for no compiler, one that fails, and one that writes no ELF.
    """
    command, extra = c_command(), extra_flags()
    said = " ".join((*command, *extra))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        source, made = Path(folder) / "net.c", Path(folder) / "net.o"
        source.write_text(text, encoding="utf-8")
        try:
            refused = refusal(ran([*command, *FLAGS, *extra, str(source), "-o", str(made)], LONGEST))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(
                f"`target=c` wants a C compiler that works, got {said}: {error}; set CC to another"
            ) from error
        if refused:
            raise UserError(f"`target=c` wants a C compiler that works, got {said}: {refused}; see CC and CFLAGS")
        found = sections(made.read_bytes())
    if found is None:
        raise UserError(f"sizes are read from ELF files, which {said} does not write; set CC to a device's compiler")
    return CodeSize(said, *found)


def sections(content: bytes) -> tuple[int, int] | None:
    """Bytes of code and of constants in an ELF file (System V ABI, chapter 4); None for another file."""
    if content[:4] != b"\x7fELF" or len(content) < 64:
        return None
    order, wide = "<" if content[5] == 1 else ">", content[4] == 2
    begin = struct.unpack_from(f"{order}Q" if wide else f"{order}I", content, 40 if wide else 32)[0]
    each, count = struct.unpack_from(f"{order}2H", content, 58 if wide else 46)
    form = f"{order}2I4Q" if wide else f"{order}6I"  # name, type, flags, address, offset, size
    code = constants = 0
    for n in range(count):
        _, kind, flags, _, _, size = struct.unpack_from(form, content, begin + n * each)
        if kind == _NO_BITS or not flags & _ALLOCATED or flags & _WRITTEN:
            continue
        code += size if flags & _EXECUTED else 0
        constants += 0 if flags & _EXECUTED else size
    return code, constants
