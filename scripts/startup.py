"""From nothing to the first training step, with a warm cache: where the time goes.

    python scripts/startup.py [NET[@HxWxC] ...] [--rounds N] [--write]

`netc --help` and `netc train NET` (embedded digits, target `cpu`), each a process of its own, in turns. The time of a
training runs from the start of its process to the end of the first step; then the process ends. Its parts:

    python    the interpreter, until its first line
    imports   of everything, wherever it happens
    spec      the net found and checked
    data      the digits read, resized, their statistics
    emission  rules, rewrites with the verifier after each, text: what `netc` itself says it needed
    cache     the artefact found and its SHA-256 checked; loading it
    state     drawn on the device
    step      the first one, which is also the first to touch its memory

Wall times and processor times of the process (user and system), in seconds: medians over the rounds, and the least.
`--write` puts the tables in docs/measurements/startup.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PARTS = ("python", "imports", "spec", "data", "emission", "cache", "state", "step", "rest", "all")
# module, what is called there, the part that it is
CALLS = (
    ("netc.requests", "request_training", "spec"),
    ("netc.requests", "_net", "spec"),
    ("netc.requests", "stored_data", "data"),
    ("netc.requests", "sized", "data"),
    ("netc.runtime.train", "open_all", "data"),
    ("netc.runtime.train", "normalisation", "data"),
    ("netc.runtime.train", "build", "emission"),
    ("netc.runtime.train", "in_use", "emission"),
    ("netc.runtime.prepare", "emit_text", "emission"),
    ("netc.runtime.prepare", "compile_cached", "cache"),
    ("netc.runtime.session", "load", "cache"),
    ("netc.runtime.train", "_begun", "state"),
)
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "startup.md"
Spent = dict[str, list[float]]  # part -> wall, processor


class Clock:
    """The time of each part, without that of the parts inside it."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self.spent: Spent = {part: [0.0, 0.0] for part in PARTS}
        self._inside = ["rest"]
        self._last = time.monotonic(), time.process_time()
        self.spent["python"] = [self._last[0] - begin, self._last[1]]

    @property
    def outermost(self) -> bool:
        """Whether no import is under way."""
        return "imports" not in self._inside

    def turn(self) -> None:
        """Book what has passed since the last turn."""
        now = time.monotonic(), time.process_time()
        for i in range(2):
            self.spent[self._inside[-1]][i] += now[i] - self._last[i]
        self._last = now

    def within(self, part: str, function: Any) -> Any:
        """The function, its time booked as this part's."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.turn()
            self._inside.append(part)
            try:
                return function(*arguments, **options)
            finally:
                self.turn()
                self._inside.pop()

        return timed

    def end(self) -> Spent:
        """Everything."""
        self.turn()
        return self.spent | {"all": [self._last[0] - self._begin, self._last[1]]}


def child(begin: float, arguments: list[str]) -> None:
    """`netc` with these arguments, until the first step is done; then print what was spent, and end."""
    import builtins
    import importlib

    clock = Clock(begin)
    wrapped: set[tuple[str, str]] = set()

    def wrap() -> None:
        for module, name, part in CALLS:
            if module in sys.modules and (module, name) not in wrapped and hasattr(sys.modules[module], name):
                wrapped.add((module, name))
                setattr(sys.modules[module], name, clock.within(part, getattr(sys.modules[module], name)))
        trainers = sys.modules.get("netc.runtime.trainer")
        if trainers and ("first", "step") not in wrapped and hasattr(trainers, "Trainer"):
            wrapped.add(("first", "step"))
            step = clock.within("step", trainers.Trainer.train)

            def first(*given: Any) -> None:
                step(*given)
                if missed := {call[:2] for call in CALLS} - wrapped:
                    raise SystemExit(f"CALLS wants names of netc's modules, got {missed}; write where they are now")
                print(json.dumps(clock.end()), flush=True)
                os._exit(0)

            trainers.Trainer.train = first

    def importing(function: Any) -> Any:
        inner = clock.within("imports", function)

        def load(*given: Any, **options: Any) -> Any:
            module = inner(*given, **options)
            if clock.outermost:
                wrap()
            return module

        return load

    builtins.__import__ = importing(builtins.__import__)
    importlib.import_module = importing(importlib.import_module)
    from netc.cli import main

    sys.argv[1:] = arguments
    main.main()


def once(arguments: list[str], folder: Path) -> Spent:
    """One training."""
    command = [sys.executable, __file__, "--child", repr(time.monotonic()), "train", *arguments]
    done = subprocess.run(
        [*command, "--out", str(folder)], capture_output=True, text=True, check=False, env=environment(folder.parent)
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: Spent = json.loads(done.stdout.splitlines()[-1])
    return found


def environment(scratch: Path) -> dict[str, str]:
    """This one, with compiled Python files, as an installed package has them; they lie in `scratch`."""
    rest = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**rest, "PYTHONPYCACHEPREFIX": str(scratch / "pycache")}


def help_once(scratch: Path) -> list[float]:
    """Wall and processor seconds of `netc --help`."""
    before, begin = os.times(), time.monotonic()
    command = [str(Path(sys.executable).with_name("netc")), "--help"]
    subprocess.run(command, capture_output=True, check=True, env=environment(scratch))
    after = os.times()
    return [
        time.monotonic() - begin,
        after.children_user + after.children_system - before.children_user - before.children_system,
    ]


def row(name: str, each: list[list[float]]) -> str:
    """A line of a table, of (wall, processor) pairs."""
    walls, busy = [e[0] for e in each], [e[1] for e in each]
    figures = (statistics.median(walls), min(walls), statistics.median(busy), min(busy))
    return f"| {name} | " + " | ".join(f"{f:.3f}" for f in figures) + " |"


def measure(nets: list[str], rounds: int) -> list[str]:
    """The tables."""
    helps: list[list[float]] = []
    found: dict[str, list[Spent]] = {net: [] for net in nets}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds + 1):
            each = help_once(Path(scratch))
            told = {}
            for net in nets:
                name, _, size = net.partition("@")
                arguments = [name, *(["--input", size] if size else []), "--quiet"]
                told[net] = once(arguments, Path(scratch) / f"{name}-{number}")
            if number:  # the first one fills the cache, the compiler's and the system's
                helps.append(each)
                for net, spent in told.items():
                    found[net].append(spent)
    head = ["| part | wall s, median | least | processor s, median | least |", "|---|---|---|---|---|"]
    lines = ["## `netc --help`", "", *head, row("all", helps), ""]
    for net, rows in found.items():
        lines += [f"## `netc train {net.replace('@', ' --input ')}`, to the end of the first step", "", *head]
        lines += [*(row(part, [r[part] for r in rows]) for part in PARTS), ""]
    return lines


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--child"]:
        child(float(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["mnist-mlp", "resnet34@64x64x3"], metavar="NET[@HxWxC]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in docs/measurements")
    options = parser.parse_args()
    lines = measure(options.nets, options.rounds)
    print("\n".join(lines))
    if options.write:
        head = [
            "# From nothing to the first step", "",
            f"Printed by `scripts/startup.py` on {time.strftime('%Y-%m-%d')}: {platform.machine()}, {os.cpu_count()} "
            f"processors that had other work, Python {platform.python_version()}, {options.rounds} rounds, the cache "
            "warm. The processor's times are those of all threads; the parts are told apart in the script.", "",
        ]  # fmt: skip
        PAGE.write_text("\n".join([*head, *lines]), encoding="utf-8")


if __name__ == "__main__":
    main()
