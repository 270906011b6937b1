"""Runs as a picture: losses, how far the others are from the first, learning rates, norms. Wants matplotlib."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from netc.traces.errors import TraceError
from netc.traces.files import whole
from netc.traces.floor import relative
from netc.traces.read import Trace

Run = tuple[str, Trace]

# what is drawn of each run: heading, whether the axis is logarithmic, the numbers of the steps
PANELS: tuple[tuple[str, bool, str], ...] = (
    ("training loss", False, "loss"),
    ("learning rate", False, "lr"),
    ("gradient norm", True, "grad_norm"),
    ("parameter norm", False, "param_norm"),
)


def plot(runs: Sequence[Run], out: Path) -> None:
    """Draw the runs, each with its name, into a .png, .svg or self-contained .html file.

    Raises TraceError for another ending, for no run, and where matplotlib is not installed.
    """
    write = WRITERS.get(out.suffix)
    if write is None:
        raise TraceError(f"plot wants a file ending in {', '.join(WRITERS)}, got {out}; use one of these endings")
    if not runs or not any(trace.steps for _, trace in runs):
        raise TraceError("plot wants a run with at least one step, got none; were they trained at all?")
    write(runs, out)


def figure(runs: Sequence[Run]) -> Any:
    """The picture as matplotlib's Figure: six panels."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise TraceError("plot wants matplotlib, got none; pip install matplotlib") from error
    runs = [(label.replace("$", r"\$"), trace) for label, trace in runs]  # else read as mathematics
    drawn = Figure(figsize=(12, 10), layout="constrained")
    axes = list(drawn.subplots(3, 2).flat)
    for axis, (title, logarithmic, name) in zip(axes, PANELS, strict=False):
        for label, trace in runs:
            axis.plot(*_numbers(trace, name), label=label, linewidth=1)
        _frame(axis, title, logarithmic)
    _differences(axes[4], runs)
    for label, trace in runs:
        steps = [e.step for e in trace.evals]
        line = axes[5].plot(steps, [100 * e.accuracy for e in trace.evals], marker=".", label=label)
        means = [(e.step, 100 * e.averaged_accuracy) for e in trace.evals if e.averaged_accuracy is not None]
        if means:  # of the averaged weights
            axes[5].plot(*zip(*means, strict=True), linestyle="--", marker=".", color=line[0].get_color())
    _frame(axes[5], "test accuracy, %", False)
    axes[0].legend(fontsize="small")
    return drawn


def _numbers(trace: Trace, name: str) -> tuple[list[int], list[float]]:
    return [s.step for s in trace.steps], [getattr(s, name) for s in trace.steps]


def _frame(axis: Any, title: str, logarithmic: bool) -> None:
    axis.set_title(title)
    axis.set_xlabel("step")
    axis.grid(alpha=0.3)
    if logarithmic and axis.has_data():
        axis.set_yscale("log")


def _differences(axis: Any, runs: Sequence[Run]) -> None:
    """The relative difference of each other run's loss from the first run's; equal bits have no point."""
    first = {s.step: s.loss for s in runs[0][1].steps}
    for index, (label, trace) in enumerate(runs[1:], start=1):
        both = [s for s in trace.steps if s.step in first]
        off = relative([first[s.step] for s in both], [s.loss for s in both])
        shown = np.where((off > 0) & np.isfinite(off), off, np.nan)
        axis.plot([s.step for s in both], shown, ".", color=f"C{index}", label=label, markersize=3)
    _frame(axis, f"loss: relative difference from {runs[0][0]}", len(runs) > 1)


def _write_image(runs: Sequence[Run], out: Path) -> None:
    # without its date an SVG or PNG of the same runs has the same bytes
    metadata = {"Date": None} if out.suffix == ".svg" else {"Software": None}
    with whole(out) as file:
        figure(runs).savefig(file, format=out.suffix[1:], dpi=110, metadata=metadata)


def _write_page(runs: Sequence[Run], out: Path) -> None:
    image = io.BytesIO()
    figure(runs).savefig(image, format="png", dpi=110, metadata={"Software": None})
    rows = "".join(_row(label, trace) for label, trace in runs)
    heads = "".join(f"<th>{h}</th>" for h in HEADS)
    source = base64.b64encode(image.getvalue()).decode()
    with whole(out) as file:
        file.write(PAGE.format(heads=heads, rows=rows, source=source).encode())


HEADS = ("run", "net", "data", "target", "seed", "batch", "steps", "last loss", "test accuracy", "module")


def _row(label: str, trace: Trace) -> str:
    h = trace.header
    last = f"{trace.steps[-1].loss:.6g}" if trace.steps else ""
    accuracy = f"{trace.evals[-1].accuracy:.2%}" if trace.evals else ""
    cells = (
        label, h.net, h.data, h.target, h.seed, h.batch, len(trace.steps), last, accuracy, h.module_sha256[:12],
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in cells) + "</tr>\n"


PAGE = """<!doctype html>
<meta charset="utf-8"><title>netc traces</title>
<style>body{{font:15px sans-serif;margin:2em;max-width:90em}} table{{border-collapse:collapse;margin-bottom:1em}}
td,th{{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:left}} img{{max-width:100%}}</style>
<h1>Traces</h1>
<table><tr>{heads}</tr>
{rows}</table>
<img alt="losses, rates, norms, differences and accuracies over the steps" src="data:image/png;base64,{source}">
"""

WRITERS: dict[str, Callable[[Sequence[Run], Path], None]] = {
    ".png": _write_image,
    ".svg": _write_image,
    ".html": _write_page,
}
