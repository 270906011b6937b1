"""What this machine does at most through a target: products of matrices, and memory. Measured once and kept.

The two ceilings of a roofline, in float32. Both are programs of netc's own, compiled and run as a training step is.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.analysis.step_cost import Ceiling
from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import COMPILER, compile_cached, host_cpu, version_of
from netc.runtime.files import read_regular, write_whole
from netc.runtime.target import Target

FILE = "ceilings.json"
LARGEST = 4 << 20  # bytes of that file
GEMMS = (512, 1024, 2048)  # sides of the squares; the fastest counts, for none is the best everywhere
ELEMENTS = 1 << 24  # of each of the triad's three vectors: 64 MiB, more than a cache holds
SECONDS = 1.0  # that each program is repeated
LEAST = 5  # calls, at least


@dataclass(frozen=True)
class Measured:
    """The two ceilings of a target on this machine: flops and bytes a second, threads, and the day it was measured."""

    target: str
    flops: float
    bytes: float
    cores: int
    date: str
    kept: bool = True  # whether it was measured before

    @property
    def ceiling(self) -> Ceiling:
        """Both, as codegen takes them."""
        return Ceiling(self.flops, self.bytes)

    def sentence(self) -> str:
        """`182 GFLOP/s of a product of matrices, 21.4 GB/s of memory (cpu, 2 cores, measured 2026-11-21)`."""
        return (
            f"{self.flops / 1e9:.0f} GFLOP/s of a product of matrices, {self.bytes / 1e9:.1f} GB/s of memory "
            f"({self.target}, {self.cores} cores, measured {self.date})"
        )


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ceilings(target: Target, cache: Cache, *, again: bool = False) -> Measured:
    """The ceilings of a target, from the cache folder or, the first time and with `again`, measured in some seconds.

    Raises UserError if the target's device is not here, or for the evaluator, which is no measure of a machine.
    """
    if not target.compiled:
        raise UserError(f"a roofline wants a compiled target, got {target.word!r}; use `target=cpu` or xla")
    path, key = cache.root / FILE, key_of(target)
    kept = _kept(path)
    if key in kept and not again:
        return kept[key]
    kept[key] = measured = measure(target, cache)
    entries = {k: {n: v for n, v in asdict(m).items() if n != "kept"} for k, m in kept.items()}
    with suppress(OSError):  # a cache that is read-only or full: measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(entries, indent=1, allow_nan=False) + "\n")
    return measured


def _kept(path: Path) -> dict[str, Measured]:
    """What was measured before; nothing for a file that is missing or not ours, which is then written anew."""
    try:
        found = {k: Measured(**v) for k, v in json.loads(read_regular(path, LARGEST)).items()}
        return {k: m for k, m in found.items() if m.flops > 0 and m.bytes > 0}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def key_of(target: Target) -> str:
    """What the ceilings depend on: target, flags, compiler, processor, cores."""
    parts = (target.word, *target.flags, version_of(COMPILER) or "", host_cpu(), str(cores()))
    return f"{target.word} {hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def _gemm(side: int) -> Function:
    b = Builder(f"gemm{side}")
    x, y = (b.parameter(name, TensorType((side, side))) for name in "xy")
    z = b.dot(x, y, (1, 0))
    return b.finish([("z", z), ("first", b.slice(z, (0, 0), (1, 1)))])


def _triad() -> Function:
    b = Builder("triad")
    x, y = (b.parameter(name, TensorType((ELEMENTS,))) for name in "xy")
    z = b.add(x, b.mul(y, 3.0))
    return b.finish([("z", z), ("first", b.slice(z, (0,), (1,)))])


def programs() -> Module:
    """The products and the triad z = x + 3 y (McCalpin 1995); each gives its first element too, to wait for."""
    return Module("ceilings", (*map(_gemm, GEMMS), _triad()))


def measure(target: Target, cache: Cache) -> Measured:
    """Run them: the best rate of each, for a ceiling is what was reached once."""
    check_device(target)
    module = lower(programs(), target.profile)
    text = text_of(module, target.profile)
    artefact = compile_cached(text, target, "ceilings", cache).path if target.ahead else None
    loaded = load(Source(module, text, artefact), target)
    rng = np.random.default_rng(0)

    def fastest(name: str, shape: tuple[int, ...]) -> float:
        args = [loaded.put(rng.random(shape, np.float32)) for _ in range(2)]
        return best_time(lambda: loaded.get(loaded.call(name, args)[1]))

    rates = [2 * side**3 / fastest(f"gemm{side}", (side, side)) for side in GEMMS]
    moved = 3 * 4 * ELEMENTS / fastest("triad", (ELEMENTS,))
    today = datetime.date.today().isoformat()
    return Measured(target.word, max(rates), moved, cores(), today, kept=False)


def best_time(call: Callable[[], Any]) -> float:
    """The fastest of LEAST calls or more, in seconds, after one that does not count."""
    call()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
