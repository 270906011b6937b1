"""The system's C compiler: found, asked what it is, and run for a text of C."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache, CacheKey, Entry
from netc.runtime.compile import LONGEST_COMPILE, CompileError, host_cpu

WORDS = ("cc", "gcc", "clang")
# as fast as the machine allows; products and sums may be one instruction, which changes the last bit
FLAGS = (
    "-std=c11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC",
    "-shared",
)  # fmt: skip
THREADS = "-fopenmp"
_PROBE = "#include <math.h>\nint main(void) { return (int)sqrtf(0.0f); }\n"


@dataclass(frozen=True)
class CCompiler:
    """A compiler: its path, what it says that it is, and the flags that it takes."""

    path: str
    version: str
    flags: tuple[str, ...]


@lru_cache(maxsize=4)
def _found(words: tuple[str, ...]) -> CCompiler:
    path = next((found for word in words if (found := shutil.which(word))), None)
    if path is None:
        raise UserError(
            f"`target=c` wants a C compiler, {', '.join(words)}, got none on the PATH; install one (Debian: "
            "apt-get install gcc libc6-dev), or set CC to its name"
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, errors="replace").stdout
    version = said.splitlines()[0].strip() if said else path
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        probe = Path(folder) / "probe.c"
        probe.write_text(_PROBE, encoding="ascii")
        refused = _run([path, *FLAGS, str(probe), "-o", str(probe.with_suffix(".so")), "-lm"], 60)
        if refused:
            raise UserError(f"`target=c` wants a C compiler that works, got {path}: {refused}; install its C library")
        threads = not _run([path, *FLAGS, THREADS, str(probe), "-o", str(probe.with_suffix(".so")), "-lm"], 60)
    return CCompiler(path, version, (*FLAGS, THREADS) if threads else FLAGS)


def c_compiler() -> CCompiler:
    """The compiler that the variable CC names, or the first of cc, gcc and clang, with the flags of CFLAGS behind ours.

    Raises UserError if there is none.
    """
    named = os.environ.get("CC", "").split()
    compiler = _found(tuple(named[:1]) or WORDS)
    return replace(compiler, flags=(*compiler.flags, *os.environ.get("CFLAGS", "").split()))


def _run(command: list[str], longest: float) -> str:
    """What a compiler said where it failed, in one line; empty where it did not."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=longest, check=False, errors="replace",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no message"]
    return lines[0].strip()[:300]


def compile_c(text: str, label: str, cache: Cache) -> Entry:
    """A text of C as a shared library, from the cache if it is there. Raises UserError or CompileError."""
    compiler = c_compiler()
    flags = (*compiler.flags, f"host={host_cpu()}")
    key = CacheKey(hashlib.sha256(text.encode()).hexdigest(), compiler.version, "c", flags, label)
    mark = f"netc {key.digest[:32]}"

    def build(output: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="netc-", dir=output.absolute().parent) as folder:
            source = Path(folder) / "net.c"
            source.write_text(f'{text}\nconst char net_mark[] = "{mark}";\n', encoding="utf-8")
            library = Path(folder) / "net.so"
            command = [compiler.path, *compiler.flags, str(source), "-o", str(library), "-lm"]
            try:
                said = _run(command, LONGEST_COMPILE)
            except subprocess.TimeoutExpired as error:
                raise CompileError(
                    f"{compiler.path} took more than {LONGEST_COMPILE:g} s; try a smaller net"
                ) from error
            if said:
                raise CompileError(f"{compiler.path} failed: {said}; or try `target=reference`")
            library.rename(output)

    return cache.get_or_build(key, build, mark)
