"""How far iree-compile is: it tells nothing of that, but it can be asked to print what some of its passes are given.

One prints the program when it has been cut into kernels, the other each kernel when it is begun, into a folder beside
the text. That changes no byte of the artefact; the dumps of kernels that IREE has itself change places of debugging.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netc.runtime.compile_guess import PARTS, compile_seconds

PRINTED = "printed"  # a folder beside the text
CUT, BEGUN = "iree-hal-materialize-interfaces", "iree-hal-translate-all-executables"
FLAGS = (f"--mlir-print-ir-before={CUT},{BEGUN}", f"--mlir-print-ir-tree-dir={PRINTED}")
KERNEL = re.compile(r"^\s*stream\.executable ", re.MULTILINE)
EVERY = 0.25  # seconds


@contextmanager
def watched(folder: Path, text: str, notice: Callable[[str], None] | None) -> Iterator[tuple[str, ...]]:
    """The flags under which a compile of `text` in `folder` can be watched; meanwhile `notice` is told how far it is.

    Without one there are no flags, and nothing is watched.
    """
    if notice is None:
        yield ()
        return
    far, ended = _Far(folder, compile_seconds(text, os.cpu_count() or 1)), threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            notice(far.said(time.monotonic()))

    thread = threading.Thread(target=tell, name="netc-compile-watch", daemon=True)
    thread.start()
    try:
        yield FLAGS
    finally:
        ended.set()
        thread.join()


class _Far:
    """What is known of one compile, which takes about `guess` seconds."""

    def __init__(self, folder: Path, guess: float) -> None:
        self._printed, self._guess, self._count = folder / PRINTED, guess, 0
        self._begun = 0  # kernels when the rest was last guessed: one that takes long makes the others no longer
        self._start = time.monotonic()

    def said(self, now: float) -> str:
        """The phase, the kernels, and a guess of the rest."""
        begun = sum(1 for _ in self._printed.glob(f"*/hal_executable_*/*{BEGUN}.mlir"))
        if not begun:
            return f"joining operations into kernels{self._rest(now)}"
        self._count = max(begun, self._count or self._counted())
        if self._begun < begun < self._count:  # the time until now tells how much is left
            self._guess = (now - self._start) / (PARTS.front + PARTS.kernels * begun / self._count)
            self._begun = begun
        if begun < self._count:
            return f"kernel {begun} of {self._count}{self._rest(now)}"
        return f"machine code of {self._count} kernels{self._rest(now)}"

    def _counted(self) -> int:
        texts = (path.read_text(encoding="utf-8") for path in self._printed.glob(f"*/*{CUT}.mlir"))
        return sum(len(KERNEL.findall(text)) for text in texts)

    def _rest(self, now: float) -> str:
        left = round(self._guess - (now - self._start))
        return f", about {left} s left" if left > 0 else ""
