"""A sweep: trainings that differ in some words, each a run of its own, by a grid or a search (netc/searching.py)."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from netc.config_file import beside, over_files, read_file, typed_value
from netc.netspec.errors import UserError
from netc.places import Places, placed
from netc.requests import request_training
from netc.runtime.files import write_whole
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint import CheckpointError
from netc.runtime.run.standing import ACCURACY, LOSS, Comparison
from netc.traces.errors import TraceError
from netc.traces.read import read as read_trace
from netc.train_request import TrainRequest

TABLES = ("grid", "search", "trials")
MOST = 1000  # trials of a grid
SHOWN = 60  # characters of a folder's name that are its words
DONE, PRUNED, DIVERGED = "done", "pruned", "diverged"

Words = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """One training of a sweep: the words that it has of its own, and its folder's name, which follows from them."""

    words: Words

    @property
    def name(self) -> str:
        """`lr=0.01,optimizer=sgd`, cut and ended by a digest where it is long or holds other characters."""
        text = ",".join(f"{name}={value}" for name, value in self.words.items())
        plain = re.sub(r"[^A-Za-z0-9._=,+-]", "_", text)
        if plain == text and len(text) <= SHOWN:
            return text
        return f"{plain[:SHOWN]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Result:
    """How a trial ended: its best and last value of the metric that chooses `best`, its steps and seconds."""

    name: str
    words: Words
    state: str
    best: float | None
    last: float | None
    steps: int
    seconds: float


@dataclass(frozen=True)
class Sweep:
    """What all trials have in common, and a grid of values, or a space to search `count` times."""

    base: Words
    grid: Mapping[str, list[Any]]
    search: Mapping[str, Any]
    count: int
    places: Places = field(default_factory=dict)

    @property
    def varied(self) -> tuple[str, ...]:
        """The words in which trials differ."""
        return tuple(self.grid or self.search)

    def trials(self) -> Iterator[Trial]:
        """The trials of the grid, the last word's values turning first."""
        for values in itertools.product(*self.grid.values()):
            yield Trial(dict(zip(self.grid, values, strict=True)))

    def request(self, trial: Trial, out: Path) -> TrainRequest:
        """The training of a trial, which goes on where it was left."""
        words = beside(self.base, trial.words)
        own = {name: value for name, value in words.items() if name not in ("net", "config")}
        places = {word: place for word, place in self.places.items() if word not in trial.words}
        with placed(places):
            own |= {"out": out / trial.name, "auto_resume": True}
            request = request_training(words.get("net"), config=words.get("config"), **own)
        return replace(request, places={**request.places, **places})


def read_sweep(path: Path) -> Sweep:
    """The sweep of a file: a training's words, and `[grid]`, or `[search]` and `trials`. Raises UserError."""
    file = read_file(path, TABLES)
    merged = over_files(None, None, file.words)
    named = {"net": merged.net or file.words.get("net"), "config": merged.config}
    base = merged.words | {name: value for name, value in named.items() if value}
    grid, search, count = (file.tables.get(name) for name in TABLES)
    if (grid is None) == (search is None):
        got = "neither" if grid is None else "both"
        raise UserError(f"{path}: a sweep wants a table [grid] or a table [search], got {got}; write [grid] lr = [..]")
    if (count is not None and (type(count) is not int or count < 1)) or (search is not None and count is None):
        raise UserError(f"{path}: [search] wants trials, a positive integer, got {count!r}; write trials = 20 above it")
    if grid is not None and count is not None:
        raise UserError(f"{path}: trials belongs to [search], got it with [grid], which sets their number; remove it")
    return Sweep(
        base,
        {} if grid is None else _grid(grid, path),
        {} if search is None else _search(search, path),
        count or 0,
        {**merged.places, **file.places},
    )


def _grid(table: Any, path: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, values in _items(table, "grid", path):
        where = f"{path}: grid.{name}"
        if not isinstance(values, list) or not values:
            raise UserError(f"{where} wants a list of values, got {values!r}; write {name} = [..]")
        word = name.replace("-", "_")
        found[word] = [typed_value(name, value, where) for value in values]
        if len({json.dumps(value, default=str) for value in values}) < len(values):
            raise UserError(f"{where} wants each value once, got {values}")
    if math.prod(len(values) for values in found.values()) > MOST:
        raise UserError(f"{path}: grid wants at most {MOST} trials; leave values out, or write [search]")
    return found


def _search(table: Any, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, given in _items(table, "search", path):
        where = f"{path}: search.{name}"
        space = {"choices": given} if isinstance(given, list) else given
        if not isinstance(space, dict) or not (
            (space.keys() == {"choices"} and space["choices"])
            or {"low", "high"} <= space.keys() <= {"low", "high", "log"}
        ):
            raise UserError(f"{where} wants a list, or {{ low = 1e-4, high = 0.1, log = true }}, got {given!r}")
        ends = [
            typed_value(name, value, where) for value in space.get("choices", [space.get("low"), space.get("high")])
        ]
        if "choices" in space:
            found[name.replace("-", "_")] = {"choices": ends}
            continue
        low, high = ends
        if not low < high or (space.get("log") and low <= 0):
            raise UserError(f"{where} wants low below high, above 0 where log is true, got {low} and {high}")
        found[name.replace("-", "_")] = {"low": low, "high": high, "log": bool(space.get("log", False))}
    return found


def _items(table: Any, name: str, path: Path) -> Iterator[tuple[str, Any]]:
    if not isinstance(table, dict) or not table:
        raise UserError(f"{path}: {name} wants a table of words, got {table!r}; write [{name}] and lr = .. below it")
    for word, value in table.items():
        if word.replace("-", "_") in ("out", "auto_resume", "plugin", "recipe", "config"):
            raise UserError(f"{path}: {name}.{word} is the same for all trials; write it above [{name}]")
        yield word, value


def best_value(folder: Path, comparison: Comparison) -> tuple[float | None, float | None, int]:
    """The best and the last value of what a run is compared by, and its steps, as its newest checkpoint says.

    The last is None for a metric, which the checkpoint holds the best value of alone.
    """
    try:
        meta: dict[str, Any] = checkpoint.load(folder / "last").meta
    except CheckpointError:
        return None, None, 0
    best, last, step = meta.get("standing", {}).get("best"), None, int(meta["step"])
    if comparison.word == ACCURACY and float(meta["best"]) >= 0:
        best, last = meta["best"], meta["last"]
    elif comparison.word == LOSS:
        best, last = meta.get("lowest_loss", best), _last_loss(folder)
    return best, last, step


def _last_loss(folder: Path) -> float | None:
    """The test loss of a run's last evaluation, of the averages where there are some."""
    try:
        found = read_trace(folder / "trace.jsonl").evals[-1:]
    except (OSError, TraceError):
        return None
    return next((e.loss if e.averaged_loss is None else e.averaged_loss for e in found), None)


def fits(words: Words, search: Mapping[str, Any]) -> bool:
    """Whether a trial's words lie in the space of a search, which may have been another when it ran."""
    return words.keys() == search.keys() and all(_lies(words[name], space) for name, space in search.items())


def _lies(value: Any, space: Mapping[str, Any]) -> bool:
    if "choices" in space:
        return _plain(value) in [_plain(choice) for choice in space["choices"]]
    kind = int if isinstance(space["low"], int) else (int, float)
    return isinstance(value, kind) and bool(space["low"] <= value <= space["high"])


def _plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def refuse_others(path: Path, base: Words, kept: Words) -> None:
    """Raise UserError where the words above a sweep's table are not those that its results were reached with."""
    now = _plain(base)
    names = [name for name in {**kept, **now} if kept.get(name) != now.get(name)]
    if names:
        said = ", ".join(f"{name} ({_said(kept, name)} there, {_said(now, name)} here)" for name in names)
        raise UserError(f"{path} has results of other options: {said}; name another folder by `out`")


def _said(words: Words, name: str) -> str:
    return str(words.get(name, "none"))


def kept_results(out: Path, base: Words) -> tuple[dict[str, Result], Words | None]:
    """The results of trials that ended, by name, and the words of the one that had begun.

    Raises UserError where they were reached with other words than `base`.
    """
    path = out / "sweep.json"
    if not path.exists():
        return {}, None
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        results, begun, kept = {row["name"]: Result(**row) for row in table["results"]}, table["begun"], table["base"]
        kept = dict(kept)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: wants what netc sweep wrote, got other text ({error}); move it away") from error
    refuse_others(path, base, kept)
    return results, begun


def keep(out: Path, base: Words, results: Mapping[str, Result], begun: Words | None = None) -> None:
    """Write the words of all trials, the results, and the words of the trial that has begun, whole."""
    table = {"base": dict(base), "results": [asdict(result) for result in results.values()], "begun": begun}
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "sweep.json", json.dumps(table, indent=1, default=str) + "\n")


def result_of(trial: Trial, out: Path, state: str, seconds: float, comparison: Comparison) -> Result:
    """What a trial has reached, as its folder says."""
    best, last, steps = best_value(out / trial.name, comparison)
    return Result(trial.name, dict(trial.words), state, best, last, steps, round(seconds, 2))
