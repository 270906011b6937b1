"""The system's C compiler: found, asked what it is, and run for a text of C."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from netc.netspec import child
from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache, CacheKey, Entry
from netc.runtime.compile import LONGEST_COMPILE, CompileError, host_cpu

WORDS = (("cc",), ("gcc",), ("clang",))
ASKING = 60  # seconds until a compiler has said what it is
# as fast as the machine allows; products and sums may be one instruction, which changes the last bit
FLAGS = (
    "-std=c11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC",
    "-shared",
)  # fmt: skip
THREADS = "-fopenmp"
_PROBE = "#include <math.h>\nint main(void) { return (int)sqrtf(0.0f); }\n"


@dataclass(frozen=True)
class CCompiler:
    """A compiler: its path and CC's words behind it, what it says that it is, and the flags that it takes."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]


def c_command() -> tuple[str, ...]:
    """The compiler that the variable CC names, with its words, or the first of cc, gcc, clang. Raises UserError."""
    named = tuple(os.environ.get("CC", "").split())  # as make takes it: ccache gcc, gcc -m64
    words = (named,) if named else WORDS
    command = next(((path, *rest) for word, *rest in words if (path := shutil.which(word))), None)
    if command is None:
        raise UserError(
            f"`target=c` wants a C compiler, {', '.join(word for word, *_ in words)}, got none on the PATH; install "
            "one (Debian: apt-get install gcc libc6-dev), or set CC to its name"
        )
    return command


def extra_flags() -> tuple[str, ...]:
    """The flags of the variable CFLAGS."""
    return tuple(os.environ.get("CFLAGS", "").split())


def extra_libraries() -> tuple[str, ...]:
    """The libraries of the variable LDLIBS, which go behind the source, as -lopenblas with CFLAGS=-DNETC_BLAS."""
    return tuple(os.environ.get("LDLIBS", "").split())


@lru_cache(maxsize=4)
def _found(command: tuple[str, ...]) -> CCompiler:
    try:
        return _asked(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(
            f"`target=c` wants a C compiler that works, got {command[0]}: {error}; set CC to another"
        ) from error


def _asked(command: tuple[str, ...]) -> CCompiler:
    said = ran([*command, "--version"], ASKING).stdout
    version = " ".join((said.splitlines()[0].strip() if said else command[0], *command[1:]))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        probe = Path(folder) / "probe.c"
        probe.write_text(_PROBE, encoding="ascii")
        built = (str(probe), "-o", str(probe.with_suffix(".so")), "-lm")
        refused = refusal(ran([*command, *FLAGS, *built], ASKING))
        if refused:
            raise UserError(
                f"`target=c` wants a C compiler that works, got {command[0]}: {refused}; install its C library"
            )
        threads = not refusal(ran([*command, *FLAGS, THREADS, *built], ASKING))
    return CCompiler(command, version, (*FLAGS, THREADS) if threads else FLAGS)


def c_compiler() -> CCompiler:
    """The compiler of `c_command`, asked what it is, with the flags of CFLAGS behind ours. Raises UserError."""
    compiler = _found(c_command())
    return replace(compiler, flags=(*compiler.flags, *extra_flags()))


def ran(command: Sequence[str], longest: float) -> subprocess.CompletedProcess[str]:
    """A compiler's run, with what it said. Raises OSError, or TimeoutExpired after `longest` seconds of work."""
    return child.run(command, longest, text=True, errors="replace", stdin=subprocess.DEVNULL)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """What a compiler said where it failed, in one line; empty where it did not."""
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no message"]
    return lines[0].strip()[:300]


def compile_c(text: str, label: str, cache: Cache, more: tuple[str, ...] = ()) -> Entry:
    """A text of C as a shared library, from the cache if it is there; `more` flags go last.

    Raises UserError or CompileError.
    """
    compiler = c_compiler()
    compiler = replace(compiler, flags=(*compiler.flags, *more))
    libraries = ("-lm", *extra_libraries())
    flags = (*compiler.flags, *libraries[1:], f"host={host_cpu()}")
    key = CacheKey(hashlib.sha256(text.encode()).hexdigest(), compiler.version, "c", flags, label)
    mark = f"netc {key.digest[:32]}"

    def build(output: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="netc-", dir=output.absolute().parent) as folder:
            source = Path(folder) / "net.c"
            source.write_text(f'{text}\nconst char net_mark[] = "{mark}";\n', encoding="utf-8")
            library = Path(folder) / "net.so"
            command = [*compiler.command, *compiler.flags, str(source), "-o", str(library), *libraries]
            try:
                said = refusal(ran(command, LONGEST_COMPILE))
            except subprocess.TimeoutExpired as error:
                raise CompileError(
                    f"{compiler.command[0]} took more than {LONGEST_COMPILE:g} s; try a smaller net"
                ) from error
            if said:
                raise CompileError(f"{compiler.command[0]} failed: {said}; or try `target=reference`")
            library.rename(output)

    return cache.get_or_build(key, build, mark)
