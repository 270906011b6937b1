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
    ("Largest share of an expert", "expert_most", False),
    ("Smallest share of an expert", "expert_least", False),
)


def curves(runs: Sequence[tuple[str, Trace]], *, right: bool) -> list[Chart]:
    """Loss, accuracy (where something is `right`), rate and norms over the steps; a run's line has its colour."""
    steps = [s.step for _, t in runs for s in (*t.steps[:1], *t.steps[-1:])]
    steps += [e.step for _, t in runs for e in t.evals]
    over = (min(steps), max(steps)) if steps else (0, 0)
    losses = [Series(_called("training loss", n, runs), i, _steps(t, "loss")) for i, (n, t) in enumerate(runs)]
    found = [chart("Loss", losses + _tested("test loss", "loss", runs, 1, dashed=True), over)]
    if right:
        found.append(chart("Test accuracy", _tested("test accuracy", "accuracy", runs, 100), over, percent=True))
    for title, field, log in PANELS:
        lines = [Series(_called(title.lower(), n, runs), i, _steps(t, field)) for i, (n, t) in enumerate(runs)]
        found.append(chart(title, lines, over, log=log))
    return [c for c in found if c is not None]


def _tested(
    what: str, field: str, runs: Sequence[tuple[str, Trace]], times: int, *, dashed: bool = False
) -> list[Series]:
    """The evaluations' lines, those of averaged weights beside them: of one run in the next colour."""
    found = []
    for colour, (name, trace) in enumerate(runs):
        points = [(e.step, times * getattr(e, field)) for e in trace.evals]
        found.append(Series(_called(what, name, runs), colour, points, dots=True, dashed=dashed))
        averaged = [(e.step, times * v) for e in trace.evals if (v := getattr(e, f"averaged_{field}")) is not None]
        if averaged:
            said = _called(f"{what} with averaged weights", name, runs)
            found.append(Series(said, colour if len(runs) > 1 else 1, averaged, dots=True, dashed=not dashed))
    return found


def _called(what: str, name: str, runs: Sequence[object]) -> str:
    return f"{what} of {name}" if len(runs) > 1 else what


def _steps(trace: Trace, field: str) -> list[Point]:
    return [(s.step, value) for s in trace.steps if (value := getattr(s, field)) is not None]
