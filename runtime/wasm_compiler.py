"""clang and wasm-ld: a program's C as WebAssembly, without a libc; a page's JavaScript has the functions of libm."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.c_compiler import ran, refusal
from netc.runtime.compile import LONGEST_COMPILE, CompileError

MATHS = ("exp", "log", "log1p", "sin", "cos", "tanh", "pow")
"""Functions of libm that JavaScript's Math has."""
_TOOLS = (("clang", "apt-get install clang"), ("wasm-ld", "apt-get install lld"))
_FLAGS = (
    "--target=wasm32", "-std=c11", "-O3", "-msimd128", "-mbulk-memory", "-ffp-contract=off", "-fno-math-errno",
    "-nostdlib", "-nostdlibinc", "-Wl,--no-entry", "-Wl,-z,stack-size=1048576",
)  # fmt: skip


def imports() -> tuple[str, ...]:
    """The names that a program may import from `env`."""
    return tuple(f"{name}{end}" for name in MATHS for end in ("", "f"))


def declared() -> str:
    """Their declarations, for <math.h>."""
    return "".join(
        f"{kind} {name}{end}({', '.join([kind] * (1 + (name == 'pow')))});\n"
        for name in MATHS
        for kind, end in (("double", ""), ("float", "f"))
    )


def compile_wasm(files: Mapping[str, str]) -> bytes:
    """The program of some files of C, of which those in include/ are headers. Raises UserError or CompileError."""
    for tool, get in _TOOLS:
        if shutil.which(tool) is None:
            raise UserError(
                f"WebAssembly wants clang and wasm-ld, got no {tool} on the PATH; install it (Debian: {get})"
            )
    with tempfile.TemporaryDirectory(prefix="netc-") as where:
        folder = Path(where)
        (folder / "include").mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "allowed").write_text("\n".join(imports()), encoding="ascii")
        made, sources = folder / "net.wasm", [str(folder / name) for name in files if name.endswith(".c")]
        words = ["-isystem", str(folder / "include"), f"-Wl,--allow-undefined-file={folder / 'allowed'}"]
        try:
            done = ran(["clang", *_FLAGS, *words, *sources, "-o", str(made)], LONGEST_COMPILE)
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"clang took more than {LONGEST_COMPILE:g} s; try a smaller net") from error
        if done.returncode == 0:
            return made.read_bytes()
    raise _failed(done)


def _failed(done: subprocess.CompletedProcess[str]) -> UserError | CompileError:
    if missing := sorted(set(re.findall(r"undefined symbol: (\w+)", done.stderr))):
        return UserError(
            f"a page wants functions that JavaScript's Math has, got {', '.join(missing)}; choose a net without them"
        )
    return CompileError(f"clang failed: {refusal(done)}; it must know the target wasm32")
