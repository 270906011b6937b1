"""What the scripts that compile nets for a table share: how a net is named, one timed compile, rows kept as JSON.

A word is NET, NET@SIZE or NET@SIZE:BATCH, where SIZE is the side of square colour images; family:NAME is a net of
scripts/families.py.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from families import family

from netc.netspec.check import CheckedNet, check
from netc.netspec.find import find
from netc.netspec.loss import CrossEntropy, Loss
from netc.runtime.compile import COMPILER, compile_text, version_of
from netc.runtime.target import Target

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "measurements"
WORD = re.compile(r"((?:family:)?[^@:]+)(?:@(\d+))?(?::(\d+))?")


def named(word: str) -> tuple[CheckedNet, Loss, int]:
    """The checked net, its loss and the batch, 32 where the word has none. Raises NetcError for a net that is none."""
    matched = WORD.fullmatch(word)
    if matched is None:
        raise SystemExit(f"wants NET, NET@SIZE or NET@SIZE:BATCH, got {word!r}; write for example resnet50@64:8")
    name, side, batch = matched[1], matched[2], int(matched[3] or 32)
    spec, loss = family(name[7:]) if name.startswith("family:") else (find(name), CrossEntropy())
    return check(spec.with_input((int(side), int(side), 3)) if side else spec), loss, batch


@dataclass(frozen=True)
class Timed:
    """One compile. `step` is the one that failed, emit or compile, or empty; `size` in bytes.

    Seconds of `emission` and `wall` (the compile) are wall clock, `processor` is the compiler's processor time; `load`
    is the load average a core at the end.
    """

    date: str
    compiler: str
    emission: float
    wall: float
    processor: float
    load: float
    size: int
    step: str
    error: str


def timed_compile(text: Callable[[], str], target: Target, output: Path, longest: float) -> Timed:
    """Make a text and compile it without the cache into `output`, `longest` seconds at most; a failure is a row too."""
    spent, step, error, size = resource.getrusage(resource.RUSAGE_CHILDREN), "emit", "", 0
    began = emitted = time.perf_counter()
    try:
        made = text()
        step, emitted = "compile", time.perf_counter()
        compile_text(made, target, output, longest)
        step, size = "", output.stat().st_size
    except Exception as failure:  # any failure belongs in a table  # noqa: BLE001
        error = f"{type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}"
    now, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    emitted = ended if step == "emit" else emitted
    return Timed(
        datetime.date.today().isoformat(),
        f"{COMPILER} {version_of(COMPILER)}",
        round(emitted - began, 2),
        round(ended - emitted, 1),
        round(now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime, 1),
        round(os.getloadavg()[0] / (os.cpu_count() or 1), 1),
        size,
        step,
        error,
    )


def merge(
    new: Any, kept: Path, same: Callable[[Any], tuple[Any, ...]], nets: Sequence[str], page: Callable[[list[Any]], str]
) -> None:
    """Put one row into the JSON file in place of the one that is the `same`, and render the page beside it.

    Rows are dataclasses of one kind with a field `net`; they stand in the order of `nets`, others at the end.
    """
    old = [type(new)(**row) for row in json.loads(kept.read_text(encoding="utf-8"))] if kept.exists() else []
    order = {net: i for i, net in enumerate(nets)}
    rows = [row for row in old if same(row) != same(new)] + [new]
    rows.sort(key=lambda row: (order.get(row.net, len(order)), same(row)))
    kept.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    kept.with_suffix(".md").write_text(page(rows), encoding="utf-8")
