"""A run in words: what it was asked for, what it reached, and the digests of all that decides it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netc.netspec.counting import counted
from netc.runs import Run
from netc.traces.errors import TraceError
from netc.traces.read import Trace, read_timing, timing_path
from netc.traces.schema import EvalRecord

Facts = dict[str, str]
RECIPE = ("recipe", "schedule", "augment", "preprocess", "feeding")  # of run.json, what a recipe is


@dataclass(frozen=True)
class Told:
    """A run's facts in groups: what it reached, its recipe, digests and versions."""

    reached: Facts
    recipe: Facts
    digests: Facts


def told(run: Run, trace: Trace) -> Told:
    """The facts of a run."""
    config, last = run.config, trace.headers[-1]
    plain = config.to_json()
    groups = {k: v for k, v in plain.items() if k in RECIPE}
    rest = {k: v for k, v in plain.items() if k not in (*RECIPE, "spec", "format", "choices", "earlier")}
    digests = {
        "spec": last.spec_sha256, "text of the step": last.module_sha256,
        "program before any target's forms": last.program_sha256, "data": last.data_sha256,
        "weights that it began with": config.init,
    }  # fmt: skip
    versions = {f"version of {name}": value for name, value in last.versions.items()}
    return Told(
        _reached(run, trace),
        {name: value for name, value in flat({**groups, **rest}) if value != ""},
        {name: value for name, value in digests.items() if value} | versions,
    )


def _reached(run: Run, trace: Trace) -> Facts:
    config, net = run.config, run.config.net
    facts = {
        "net": f"{net.spec.name}, {net.count:,} parameters",
        "input and output": f"{_shape(net.spec.input)} to {_shape(net.out.shape)}",
        "data": config.data,
        "optimizer": f"{config.recipe.optimizer.kind}, batch {config.training.batch}",
        "target": config.target,
        "steps": f"{len(trace.steps):,} (of {counted(config.training.epochs, 'epoch')})",
    }
    if trace.evals:
        last, lowest, best = trace.evals[-1], min(trace.evals, key=_loss), max(trace.evals, key=_accuracy)
        if config.recipe.metric != "nothing":
            facts["accuracy, last"] = f"{_accuracy(last):.2%} of {_predictions(run, last.count)}"
            facts["accuracy, best"] = f"{_accuracy(best):.2%}, epoch {best.epoch + 1}"
        facts["test loss, last"] = f"{_loss(last):.5g}"
        facts["test loss, lowest"] = f"{_loss(lowest):.5g}, epoch {lowest.epoch + 1}"
    return facts | _speed(run)


def _loss(record: EvalRecord) -> float:
    """That of the averages where there are some: `best` is chosen by them."""
    return record.loss if record.averaged_loss is None else record.averaged_loss


def _accuracy(record: EvalRecord) -> float:
    return record.accuracy if record.averaged_accuracy is None else record.averaged_accuracy


def _predictions(run: Run, count: int) -> str:
    """How many predictions an accuracy over `count` examples is of."""
    net = run.config.net
    if net.out.rank < 2:
        return f"{count:,}"
    place, examples = ("pixels", "images") if net.x.dtype == "f32" else ("tokens", "contexts")
    return f"{count * math.prod(net.out.shape[:-1]):,} {place} ({count:,} {examples})"


def _speed(run: Run) -> Facts:
    """From the wall times, where they are whole."""
    try:
        times = read_timing(timing_path(run.folder / "trace.jsonl"))
    except TraceError:
        return {}
    seconds = math.fsum(t.seconds for t in times)
    if not seconds:
        return {}
    middle = sorted(t.seconds for t in times)[len(times) // 2]
    found = {
        "time in steps": f"{seconds:,.1f} s",
        "examples a second": f"{run.config.training.batch / middle:,.0f} in the median step" if middle else "",
    }
    waited = math.fsum(t.waited for t in times)
    if any(t.waited for t in times):  # an older netc did not measure it
        found["waiting for data"] = f"{waited / (waited + seconds):.1%} of the time"
    return found


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of plain JSON: dotted names, and values as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        yield prefix, ", ".join(map(str, value))
    elif value is not None:
        yield prefix, str(value)


def differing(columns: Sequence[Facts]) -> list[tuple[str, list[str]]]:
    """The rows in which the columns are not all one; what a run lacks is empty."""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, [column.get(name, "") for column in columns]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"
