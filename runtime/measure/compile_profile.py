"""Where the time of a compile by IREE goes: joining operations into kernels, and each kernel, at its layer.

The program is compiled as far as its kernels are known, and then each kernel by itself, in a process of its own. The
time of the quickest kernel is taken off, which is nearly all a process's start. What is compiled so is thrown away.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netc.codegen.ir import Module
from netc.codegen.location import forward_first, location_of
from netc.runtime.compile import LONGEST_COMPILE, UNCHECKED, CompileError, compiler_path
from netc.runtime.files import write_whole
from netc.runtime.measure import dispatches
from netc.runtime.target import Target

INPUT = "--iree-input-type="  # a flag for programs, which a kernel's source is not
_EXPORT = re.compile(r"hal\.executable\.export public @([\w$.]+)")


@dataclass(frozen=True)
class KernelCompile:
    """One kernel, the place of its first dispatch, and processor seconds beyond those of the quickest kernel."""

    function: str
    loc: str
    seconds: float


@dataclass(frozen=True)
class CompileProfile:
    """Processor seconds: `front` until the kernels are known, then those of each, in the program's order."""

    front: float
    kernels: tuple[KernelCompile, ...]

    @property
    def seconds(self) -> float:
        """Of all kernels."""
        return sum(k.seconds for k in self.kernels)

    def layers(self, depth: int = 0) -> tuple[tuple[str, int, float], ...]:
        """The name of each layer in the order of the forward pass, its kernels, and their seconds."""
        rows: dict[str, list[float]] = {}
        for kernel in self.kernels:
            rows.setdefault(location_of(kernel.loc).layer(depth), []).append(kernel.seconds)
        order = forward_first((k.loc for k in self.kernels), depth)
        return tuple((name, len(rows[name]), sum(rows[name])) for name in order)


def compile_profile(
    text: str, module: Module, target: Target, now: Callable[[str], None] = lambda said: None
) -> CompileProfile:
    """Compile a text for a target in pieces; `now` is told what is compiled. Raises CompileError."""
    with tempfile.TemporaryDirectory(prefix="netc-profile-") as name:
        folder = Path(name)
        write_whole(folder / "module.mlir", text)
        now("joining operations into kernels")
        dump = "--iree-hal-dump-executable-sources-to=kernels"
        checks = [] if target.checked else [UNCHECKED]
        words = ["module.mlir", "-o", "program", *target.flags, *checks, *dispatches.FLAGS, dump]
        front = _seconds(words, folder)
        program = (folder / "program").read_text(encoding="utf-8")
        places: dict[str, str] = {}
        for function in module:
            for site in (s for one in dispatches.lists_of(program, function.name) for s in one):
                places.setdefault(site.function, site.loc)
        sources = sorted((folder / "kernels").glob("*.mlir"))
        flags = [*checks, *(flag for flag in target.flags if not flag.startswith(INPUT))]
        spent: dict[str, float] = {}
        for number, source in enumerate(sources, 1):
            now(f"kernel {number} of {len(sources)}")
            exported = _EXPORT.search(source.read_text(encoding="utf-8"))
            kernel = exported[1] if exported else source.stem
            spent[kernel] = _seconds([str(source), "-o", "kernel", "--compile-mode=hal-executable", *flags], folder)
    least = min(spent.values(), default=0.0)
    found = [KernelCompile(k, places.get(k, ""), seconds - least) for k, seconds in spent.items()]
    order = {kernel: i for i, kernel in enumerate(places)}
    found.sort(key=lambda kernel: order.get(kernel.function, len(order)))
    return CompileProfile(front, tuple(found))


def _seconds(words: list[str], folder: Path) -> float:
    """Processor seconds of iree-compile with these words; it ends with this call, whatever ends that."""
    with tempfile.TemporaryFile() as said:
        begin = time.monotonic()
        process = subprocess.Popen([str(compiler_path()), *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=said)
        ending = threading.Timer(LONGEST_COMPILE, process.kill)
        ending.daemon = True
        ending.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            ending.cancel()
            process.kill()  # nothing is done to one that has ended
            process.wait()
        if process.returncode and time.monotonic() - begin >= LONGEST_COMPILE:
            raise CompileError(f"iree-compile took more than {LONGEST_COMPILE:g} s for a part; try a smaller net")
        if process.returncode:
            said.seek(0)
            last = said.read().decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise CompileError(f"iree-compile failed on a part of the program: {last[0][:300]}")
    return used.ru_utime + used.ru_stime
