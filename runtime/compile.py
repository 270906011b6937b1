"""From StableHLO text to an artefact, by iree-compile in a process of its own: one that crashes takes nothing along."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from netc.netspec import child
from netc.netspec.errors import NetcError, UserError
from netc.runtime.cache.store import Cache, CacheKey, Entry, Notice
from netc.runtime.compile_watch import watched
from netc.runtime.files import sha256_of, write_whole
from netc.runtime.target import Target

COMPILER = "iree-base-compiler"
RUNTIME = "iree-base-runtime"
LONGEST_COMPILE = 3600  # seconds; a hang ends here
# how a text is handed to the compiler, for cache keys: its file is named by the key, which stays in the artefact
HANDED_OVER = "named by its key"
# iree-compile checks its whole module after each of its passes: a third of a compile (docs/design-notes.md).
# The text is checked when it is parsed all the same. For GPUs the checks stay: their code was not run.
UNCHECKED = "--verify=false"
CRASHES = frozenset((signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE))


class CompileError(NetcError):
    """The compiler refused the module, crashed, or ran out of time."""


def compiler_path() -> Path:
    """The iree-compile that belongs to the installed compiler package."""
    spec = importlib.util.find_spec("iree.compiler") if importlib.util.find_spec("iree") else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"wants the IREE compiler, got none; pip install {COMPILER}=={version_of(RUNTIME) or '3.12.0'}")
    path = Path(next(iter(spec.submodule_search_locations))) / "_mlir_libs" / "iree-compile"
    if not path.exists():
        raise UserError(
            f"wants iree-compile inside {COMPILER}, got no such file; pip install --force-reinstall {COMPILER}"
        )
    return path


def version_of(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def compiler_version() -> str | None:
    """The compiler's version. A runtime without one runs what its own version compiled elsewhere and a cache holds."""
    return version_of(COMPILER) or version_of(RUNTIME)


def check_pair() -> None:
    """Raise UserError unless the compiler, if it is here, and the runtime are of one version: a mismatch hangs."""
    compiler, runtime = compiler_version(), version_of(RUNTIME)
    if compiler is None or compiler != runtime:
        raise UserError(
            f"wants {COMPILER} and {RUNTIME} of one version, got {compiler} and {runtime}; "
            f"pip install {COMPILER}=={runtime or '3.12.0'} {RUNTIME}=={runtime or '3.12.0'}"
        )


def host_cpu() -> str:
    """What `host` means on this machine: the model and a digest of its features, for cache keys."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = {k: v.strip() for k, v in re.findall(r"^(model name|flags|Features)\s*:(.*)$", text, re.MULTILINE)}
    features = hashlib.sha256(" ".join(sorted(found.get("flags", found.get("Features", "")).split())).encode())
    return f"{found.get('model name', platform.machine())} {features.hexdigest()[:12]}"


def key_of(text: str, target: Target, label: str) -> CacheKey:
    """The cache key: text, compiler, target, flags, how it is handed over, the CPU where the flags say `host`."""
    host = (f"host={host_cpu()}",) if any(f.endswith("=host") for f in target.flags) else ()
    flags = (*target.flags, HANDED_OVER, *host)
    compiler = f"{COMPILER} {compiler_version()}"
    return CacheKey(hashlib.sha256(text.encode()).hexdigest(), compiler, target.word, flags, label)


def mark_of(key: CacheKey) -> str:
    """The name of a text's file while it is compiled. It stays in the artefact, which is known by it."""
    return f"{key.digest[:32]}.mlir"


def made_by(artefact: Path, target: Target) -> dict[str, Any]:
    """What an artefact is and how it was made, in plain values, for its manifest."""
    made: dict[str, Any] = {
        "sha256": sha256_of(artefact), "bytes": artefact.stat().st_size,
        "compiler": COMPILER, "compiler_version": compiler_version(), "flags": list(target.flags),
        "driver": target.driver,
    }  # fmt: skip
    if any(f.endswith("=host") for f in target.flags):
        made["host_cpu"] = host_cpu()
    return made


def compile_cached(text: str, target: Target, label: str, cache: Cache) -> Entry:
    """The artefact of `text` for `target`, from the cache if it is there. Raises CompileError."""
    check_pair()
    key = key_of(text, target, label)
    return cache.get_or_build(
        key, lambda path: compile_text(text, target, path, notice=cache.on_progress), mark_of(key)
    )


def compile_text(
    text: str, target: Target, output: Path, longest: float = LONGEST_COMPILE, notice: Notice | None = None
) -> None:
    """Run iree-compile, `longest` seconds of work at most; as long again where it crashed.

    `notice` is told a few times a second, by another thread, how far it is. What is compiled does not depend on that.
    Raises CompileError with the compiler's own first sentence and, where that is known, what to do instead.
    """
    if not target.ahead:
        raise UserError(
            f"compile wants a target that IREE compiles, got {target.word!r}; it is compiled when it is loaded"
        )
    # beside the artefact and not in TMPDIR: what fits there is what fits here, and one disk can be full, not two
    with tempfile.TemporaryDirectory(prefix="netc-", dir=output.absolute().parent) as folder:
        source = Path(folder) / mark_of(key_of(text, target, ""))
        write_whole(source, text)
        # the artefact remembers the name of its source: a relative one keeps two compiles equal byte for byte
        command = [str(compiler_path()), source.name, "-o", str(output.absolute()), *target.flags]
        unchecked = [] if target.checked else [UNCHECKED]
        with watched(Path(folder), text, notice) as flags:
            done = _run([*command, *unchecked, *flags], folder, longest, target)
        if unchecked and -done.returncode in CRASHES:  # the checks may name the pass that went wrong
            done = _run(command, folder, longest, target)
        if done.returncode != 0 or not output.exists():
            if os.strerror(errno.ENOSPC) in done.stderr:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
            said = _reason(done.stderr, done.returncode) + _hint(target, done.stderr)
            raise CompileError(f"iree-compile for {target.word} failed: {said}")


def _run(command: list[str], folder: str, longest: float, target: Target) -> subprocess.CompletedProcess[str]:
    try:
        return child.run(
            command, longest, text=True, errors="replace", cwd=folder, env={**os.environ, "TMPDIR": folder}
        )
    except subprocess.TimeoutExpired as error:
        raise CompileError(
            f"iree-compile for {target.word} took more than {longest:g} s; try a smaller net{_hint(target, '')}"
        ) from error


def _reason(stderr: str, code: int) -> str:
    """The compiler's own words, in one line."""
    known = ("missing GPU target", "Unknown CPU", "Cannot select", "LLVM ERROR")
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    chosen = [line for line in lines if any(k in line for k in known)] or [line for line in lines if "error:" in line]
    text = chosen[0] if chosen else (lines[-1] if lines else "no message")
    ending = f"signal {-code}" if code < 0 else f"exit code {code}"
    text = re.sub(r"^.*?(error:)", r"\1", text)
    return f"{text[:300]} ({ending})"


_SMALLER = "the GPU compiler's own limit: try a smaller batch or input, another card, or `target=cpu`"
_MEMORY = "the system gives it too little memory (see ulimit -v): raise it, take a smaller net, or `target=reference`"
# (what the compiler says, what a user can do); the first that fits is taken
_HINTS: tuple[tuple[str, str], ...] = (
    ("missing GPU target", "compile for an older card, such as cuda:sm_89"),
    ("Unknown CPU", "give a name that LLVM has, such as cpu:x86-64-v3, cpu:haswell or cpu:znver4"),
    ("of shared memory", _SMALLER),
    ("failed to distribute", _SMALLER),
    ("failed to map segment", _MEMORY),
    ("out of memory", _MEMORY),
    ("bad_alloc", _MEMORY),
)


def _hint(target: Target, stderr: str) -> str:
    """What to do instead, where that is known."""
    found = [advice for words, advice in _HINTS if words in stderr]
    if found:
        return f"; {found[0]}"
    return f"; or try `target={target.instead}`" if target.instead else ""
