"""A sweep as a picture: what was reached over each word that was varied. Wants matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra

if TYPE_CHECKING:
    from netc.sweeps import Result

ENDINGS = (".svg", ".png", ".pdf")


def check_plot(path: Path) -> None:
    """Raise UserError unless a picture can be drawn to `path`: before anything is trained."""
    if path.suffix not in ENDINGS:
        raise UserError(
            f"`plot_file` wants a file ending in {', '.join(ENDINGS)}, got {path}; use one of these endings"
        )
    if find_spec("matplotlib") is None:
        raise UserError(f"`plot_file` wants matplotlib, got none; {install_extra('plot')}")


def draw(results: Sequence[Result], varied: Sequence[str], metric: str, path: Path) -> None:
    """Draw a panel for each word: a dot for each trial, and a line through the best of each value."""
    from matplotlib.figure import Figure

    from netc.runtime.files import made_for

    figure = Figure(figsize=(4.2 * len(varied), 3.6), layout="constrained")
    axes = figure.subplots(1, len(varied), squeeze=False)[0]
    for axis, word in zip(axes, varied, strict=True):
        _panel(axis, [r for r in results if r.best is not None], word)
        axis.set_xlabel(word)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"best {metric}")
    figure.savefig(made_for(path))


def figure_of(width: float, height: float) -> tuple[Any, Any]:
    """An empty figure, in inches, with one panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _panel(axis: Any, results: Sequence[Result], word: str) -> None:
    values = [r.words.get(word) for r in results]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    is_number = len(numbers) == len(values)
    xs = numbers if is_number else [str(v) for v in values]
    axis.scatter(xs, [r.best for r in results], s=18)
    if is_number and numbers and min(numbers) > 0 and max(numbers) >= 10 * min(numbers):
        axis.set_xscale("log")
