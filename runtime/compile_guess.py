"""About how long iree-compile takes on `cpu`: a table by operations of its text (scripts/compile_guess.py)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Shares of a compile: until its kernels are known, until all are begun, and LLVM's, which takes them as one."""

    front: float
    kernels: float
    code: float


PARTS = Parts(0.35, 0.35, 0.3)
START = 0.3  # seconds of the processor, whatever the text
# (operations of a text, milliseconds of the processor that each takes); what no row names takes OTHER
TABLE: tuple[tuple[tuple[str, ...], float], ...] = ((("dot_general", "convolution"), 25.0), (("reduce",), 8.0))
OTHER = 1.6
_OPERATION = re.compile(r' = "?\w+\.(\w+)')  # without its dialect


def counts(text: str) -> tuple[int, ...]:
    """The operations of each row of TABLE in a text, and all others."""
    found = Counter(_OPERATION.findall(text))
    rows = tuple(sum(found[name] for name in names) for names, _ in TABLE)
    return (*rows, found.total() - sum(rows))


def compile_seconds(text: str, cores: int) -> float:
    """Wall seconds, roughly: only the kernels are compiled side by side."""
    *rows, others = counts(text)
    busy = sum(n * each for n, (_, each) in zip(rows, TABLE, strict=True)) + others * OTHER
    return (START + busy / 1e3) * (PARTS.front + PARTS.code + PARTS.kernels / max(cores, 1))
