"""The curves of one or several runs, from their traces."""

from __future__ import annotations

from collections.abc import Sequence

from netc.reports.charts import Chart, Point, Series, chart
from netc.traces.read import Trace

# of the steps: heading, the number, whether the axis is logarithmic
PANELS = (
    ("Learning rate", "lr", False),
    ("Gradient norm", "grad_norm", True),
    ("Parameter norm", "param_norm", False),
)


def curves(runs: Sequence[tuple[str, Trace]], *, right: bool) -> list[Chart]:
    """Loss, accuracy (where something is `right`), rate and norms over the steps; a run's line has its colour."""
    steps = [s.step for _, t in runs for s in (*t.steps[:1], *t.steps[-1:])]
    steps += [e.step for _, t in runs for e in t.evals]
    over = (min(steps), max(steps)) if steps else (0, 0)
    losses: list[Series] = []
    for colour, (name, trace) in enumerate(runs):
        whose = f" of {name}" if len(runs) > 1 else ""
        losses.append(Series(f"training loss{whose}", colour, _steps(trace, "loss")))
        tested: list[Point] = [(e.step, e.loss) for e in trace.evals]
        losses.append(Series(f"test loss{whose}", colour, tested, dots=True, dashed=True))
    found = [chart("Loss", losses, over)]
    if right:
        scored = [
            Series(_called("test accuracy", name, runs), i, [(e.step, 100 * e.accuracy) for e in t.evals], dots=True)
            for i, (name, t) in enumerate(runs)
        ]
        found.append(chart("Test accuracy", scored, over, percent=True))
    for title, field, log in PANELS:
        lines = [Series(_called(title.lower(), n, runs), i, _steps(t, field)) for i, (n, t) in enumerate(runs)]
        found.append(chart(title, lines, over, log=log))
    return [c for c in found if c is not None]


def _called(what: str, name: str, runs: Sequence[object]) -> str:
    return f"{what} of {name}" if len(runs) > 1 else what


def _steps(trace: Trace, field: str) -> list[Point]:
    return [(s.step, getattr(s, field)) for s in trace.steps]
