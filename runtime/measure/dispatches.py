"""Reading what IREE says of its dispatches: where each stands in the compiled program, and when each ran. Pure parsing.

The compiler joins identical dispatches of different layers into one executable, so the name of an executable names no
layer. What does is the place where it is called: every call is in a list of commands, the lists of the program's text
and of the profile are the same, and each call in the text has the `loc` of the operation that is its root: of the
product, convolution or reduction where it holds one, with the elementwise work of other layers fused into it.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

FLAGS = (  # of iree-compile: stop where the lists of commands are known, and write the places
    "--compile-to=executable-sources", "--mlir-print-debuginfo", "--mlir-elide-elementsattrs-if-larger=8",
)  # fmt: skip

_FUNCTION = re.compile(r"\s*util\.func (?:public|private) @([\w$.]+)\(")
_EXECUTE = re.compile(r"stream\.cmd\.execute\b")
_DISPATCH = re.compile(r"\s*stream\.cmd\.dispatch @[\w$.]+::@[\w$.]+::@([\w$.]+)")
_BODY = re.compile(r"(\s*)func\.func @([\w$.]+)\(")
_ROOTS = re.compile(r"\b(?:linalg|arith|math|iree_linalg_ext)\.\w+|^\s*\} -> ")
_CLOSE = re.compile(r"\s*\} loc\(")
_NAMES = re.compile(r'"((?:[^"\\]|\\[0-9A-Fa-f]{2}|\\.)*)"(:\d)?')  # the name of a file has a line after it
_CONTRACTION = re.compile(r"_(?:\w*?)(?:conv|matmul|matvec|vecmat|contract)(?:_like)?(?:_[a-z]+)*_(\d+(?:x\d+)+)_")


@dataclass(frozen=True, slots=True)
class Site:
    """One dispatch in the text: the executable's function, the loc of its root, and the other locs that it holds.

    `number` is its place in the step's order. `also` is empty where several places share the function: its body then
    is one place's.
    """

    function: str
    loc: str
    number: int
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One run of a dispatch: its list of commands, its number there, begin and end in ns, ns summed over all cores."""

    buffer: int
    index: int
    function: str
    begin: int
    end: int
    core: int


@dataclass(frozen=True, slots=True)
class Timed:
    """One dispatch of a step. Medians over the steps, in seconds: `seconds` of the clock, `core` over all cores."""

    site: Site
    seconds: float
    core: float
    flops: int | None


def names_in(line: str) -> tuple[str, ...]:
    """The names in a line's `loc(...)`, the first one first; none for an unknown place.

    >>> names_in('} loc(callsite("stem.conv (vjp)" at "module.mlir":7:3))')
    ('stem.conv (vjp)',)
    """
    start = line.rfind(" loc(")
    found = _NAMES.findall(line[start:]) if start >= 0 else []
    return tuple(dict.fromkeys(name for name, of_file in found if not of_file))


def lists_of(text: str, function: str) -> tuple[tuple[Site, ...], ...]:
    """The lists of commands that a function of the program executes: the dispatches of each, in order."""
    held = _bodies(text)
    lists: list[list[tuple[str, str]]] = []
    inside, called = False, ""
    for line in text.splitlines():
        if found := _FUNCTION.match(line):
            inside = found[1] == function
        elif inside and _EXECUTE.search(line):
            lists.append([])
        elif inside and lists and (found := _DISPATCH.match(line)):
            called = found[1]
        elif called and _CLOSE.match(line):
            lists[-1].append((called, next(iter(names_in(line)), "")))
            called = ""
    callers = Counter(name for own in lists for name, _ in own)
    numbers = count()

    def site(name: str, loc: str) -> Site:
        also = held.get(name, ()) if callers[name] == 1 else ()
        return Site(name, loc, next(numbers), tuple(n for n in also if n != loc))

    return tuple(tuple(site(*pair) for pair in own) for own in lists if own)


def _bodies(text: str) -> dict[str, tuple[str, ...]]:
    """The locs of the arithmetic in each executable's function."""
    held: dict[str, dict[str, None]] = {}
    name, margin = "", ""
    for line in text.splitlines():
        if found := _BODY.match(line):
            margin, name = found[1], found[2]
            held[name] = {}
        elif name and line.startswith(f"{margin}}}"):
            name = ""
        elif name and _ROOTS.search(line):
            held[name].update(dict.fromkeys(names_in(line)))
    return {name: tuple(locs) for name, locs in held.items()}


def commands_of(lines: Iterable[str]) -> dict[int, tuple[tuple[int, str], ...]]:
    """From `iree-profile command --format=jsonl`: the dispatches of each list of commands, (number, function)."""
    buffers: dict[int, list[tuple[int, str]]] = {}
    for row in _rows(lines, "command_operation"):
        if row["op"] == "dispatch":
            buffers.setdefault(row["command_buffer_id"], []).append((row["command_index"], row["key"]))
    return {buffer: tuple(sorted(found)) for buffer, found in buffers.items()}


def events_of(lines: Iterable[str]) -> tuple[Event, ...]:
    """From `iree-profile dispatch --dispatch_events --format=jsonl`: every run of a dispatch that has a valid time."""
    return tuple(
        Event(
            row["command_buffer_id"], row["command_index"], row["key"],
            row["start_host_time_ns"], row["end_host_time_ns"], row["tile_duration_sum_ns"],
        )
        for row in _rows(lines, "host_dispatch_event")
        if row["valid"]
    )  # fmt: skip


def _rows(lines: Iterable[str], kind: str) -> Iterator[dict[str, Any]]:
    for line in lines:
        if f'"type":"{kind}"' in line:
            yield json.loads(line)


def match(
    lists: Sequence[Sequence[Site]], commands: dict[int, tuple[tuple[int, str], ...]]
) -> dict[tuple[int, int], Site]:
    """Which site each (list, number) of the profile is: lists of the same functions in the same order are one.

    Where the text has several such lists they are taken in order; a list that the text does not have is left out.
    """
    free = list(lists)
    found: dict[tuple[int, int], Site] = {}
    for buffer, dispatches in sorted(commands.items()):
        names = [name for _, name in dispatches]
        same = next((own for own in free if [s.function for s in own] == names), None)
        if same is None:  # recorded anew for each step, or shared: the sites are those of a list seen before
            same = next((own for own in lists if [s.function for s in own] == names), None)
        else:
            free.remove(same)
        if same is not None:
            found.update({(buffer, index): s for (index, _), s in zip(dispatches, same, strict=True)})
    return found


def shared_time(events: Sequence[Event]) -> list[float]:
    """The clock's ns that each event accounts for: where several run at once, each gets an equal part.

    So the sum over all events is the time in which any of them ran.
    """
    edges = sorted([(e.begin, 1, i) for i, e in enumerate(events)] + [(e.end, 0, i) for i, e in enumerate(events)])
    running: set[int] = set()
    own = [0.0] * len(events)
    before = 0
    for at, begins, i in edges:
        for j in running:
            own[j] += (at - before) / len(running)
        before = at
        (running.add if begins else running.discard)(i)
    return own


def timed(sites: dict[tuple[int, int], Site], events: Sequence[Event], steps: int) -> tuple[Timed, ...]:
    """The median time of each dispatch of a step, slowest first. Runs of dispatches that have no site are left out.

    A first run, which warms caches and pages up, does not count where there are three or more. A dispatch that runs
    several times a step counts as often.
    """
    clock = shared_time(events)
    runs: dict[int, tuple[Site, list[float], list[int]]] = {}
    for event, own in zip(events, clock, strict=True):
        site = sites.get((event.buffer, event.index))
        if site is not None:
            _, times, core = runs.setdefault(id(site), (site, [], []))
            times.append(own)
            core.append(event.core)
    rows = []
    for site, times, core in runs.values():
        kept = slice(1 if len(times) > 2 else 0, None)
        often = max(1, round(len(times) / steps)) / 1e9
        seconds, spent = statistics.median(times[kept]) * often, statistics.median(core[kept]) * often
        rows.append(Timed(site, seconds, spent, flops_of(site.function)))
    return tuple(sorted(rows, key=lambda row: -row.seconds))


def flops_of(function: str) -> int | None:
    """The flops of a product or convolution, which IREE names after the sizes of its loops; None for any other.

    >>> flops_of("train_step_dispatch_85_matmul_like_32x32x12544_f32") == 2 * 32 * 32 * 12544
    True
    >>> flops_of("train_step_dispatch_3_elementwise_32_f32")
    """
    found = _CONTRACTION.search(function)
    return 2 * math.prod(map(int, found[1].split("x"))) if found else None
