"""Measurements of several days on one page: each result keeps its day and machine until it is measured anew."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from netc.netspec.errors import NetcError
from netc.runtime.versions import versions

PAGES = Path(__file__).resolve().parents[1] / "docs" / "measurements"
Result = dict[str, Any]


def processor() -> str:
    """The CPU's name."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("model name"))
    return next(named, platform.machine())


def where(threads: int) -> Result:
    """The day, the machine and the versions of a measurement."""
    import torch

    return {
        "date": time.strftime("%Y-%m-%d"), "cpu": processor(), "threads": threads,
        "versions": versions() | {"torch": torch.__version__},
    }  # fmt: skip


def one_by_one(work: Iterable[tuple[str, Callable[[], Result]]]) -> Iterator[Result]:
    """The results of what can be measured, as they come; of what cannot, it is printed why. Each has a name."""
    for name, measure in work:
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        try:
            result = measure()
        except NetcError as error:
            print(f"{name}: {error}", flush=True)
        else:
            yield result


def keep(name: str, result: Result, threads: int, title: str, said: str, tables: Callable[[list[Result]], str]) -> None:
    """Put one net's result into NAME.json and NAME.md of PAGES: other nets keep what was measured before, and its date.

    `said` stands below the title, `tables` are of all results.
    """
    results = merged(PAGES / f"{name}.json", result, threads)
    (PAGES / f"{name}.md").write_text(heading(title, results, said) + tables(results), encoding="utf-8")


def merged(path: Path, result: Result, threads: int) -> list[Result]:
    """The results of the JSON file with this one in the place of the same net's, in order; the file is written."""
    kept = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    results = [r for r in kept if r["net"] != result["net"]] + [result | {"where": where(threads)}]
    results.sort(key=lambda r: str(r["net"]))
    path.write_text(json.dumps({"results": results}, indent=1) + "\n", encoding="utf-8")
    return results


def heading(title: str, results: list[Result], said: str) -> str:
    """The title, each machine with its versions once and the days on it, and what else is said of the page."""
    machines: dict[str, set[str]] = {}
    for r in results:
        at = r["where"]
        shown = ", ".join(f"{k} {v}" for k, v in at["versions"].items())
        machines.setdefault(f"{at['cpu']}, {at['threads']} threads; {shown}", set()).add(at["date"])
    days = "".join(f"{', '.join(sorted(days))}: {machine}.\n\n" for machine, days in machines.items())
    return f"# {title}\n\n{days}{said}\n\n"


def cell(value: float | None, form: str, unit: str = "") -> str:
    """A number as the table has it, a dash where there is none."""
    return "-" if value is None else format(value, form) + unit
