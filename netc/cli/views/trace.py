"""How `netc trace` shows its findings, on a terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from netc.cli.console import terminal
from netc.cli.views.table import Column, Styled, print_line, print_table
from netc.netspec.counting import counted
from netc.traces.diff import has_accuracy
from netc.traces.floor import Floor

if TYPE_CHECKING:
    from netc.runtime.compare.bisect import Answer
    from netc.traces.diff import Report

PROGRAMS = {
    True: "the same for both runs",
    False: "another for each run: emitted by other rules, or for another number of devices",
    None: "not known, since a trace does not name it",
}


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while something is measured; nothing in a pipe."""
    console = terminal(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_report(report: Report, floor: Floor | None) -> None:
    """The comparison: a row for each number of the steps, the evaluations, what was left out, the verdict."""
    heads = ("first step", "differs from", "median", "worst", "at step", "ULP")
    rows = [
        (f.field, "left out", "", "", "", "", "")
        if f.left_out
        else (
            f.field, f"{f.at_start:.2g}", "never" if f.first is None else f"step {f.first}", f"{f.median:.2g}",
            f"{f.worst:.2g}", "" if f.first is None else str(f.worst_step), str(f.worst_ulp),
        )
        for f in report.fields
    ]  # fmt: skip
    print_table([Column("relative difference"), *(Column(h, right=True) for h in heads)], rows)
    if report.windows:
        worst = max(report.windows, key=lambda w: w.relative)
        print_line("")
        print_line(
            f"mean loss in {counted(len(report.windows), 'window')}: {worst.relative:.2g} apart at most, in steps "
            f"{worst.first} to {worst.last} ({worst.mean_a:.6g} and {worst.mean_b:.6g})"
        )
    if report.evals:
        e = report.evals[-1]
        right = f", accuracy {e.accuracy_a:.2%} and {e.accuracy_b:.2%}" if has_accuracy(report.evals) else ""
        print_line(f"after step {e.step}: test loss {e.loss_a:.6g} and {e.loss_b:.6g}{right}")
    if floor:
        print_line(
            f"noise floor: {counted(floor.steps, 'step')} of {len(floor.twins)} float32 replicas "
            f"({', '.join(floor.twins)})"
        )
    print_line(f"program before any target's forms: {PROGRAMS[report.same_program]}")
    for note in report.notes:
        print_line(f"note: {note}")
    print_line("")
    for check in report.checks:
        style = "green" if check.passed else "bold red"
        print_line(f"{'ok  ' if check.passed else 'FAIL'}  {check.reason}", style)
    print_line(f"the runs {'agree' if report.agree else 'DIFFER'} ({report.mode})", "bold")


def show_floor(floor: Floor, path: Path | None) -> None:
    """The floor: differences at the first steps and after doubling numbers of steps."""
    shown = sorted({0, floor.steps - 1} | {2**i - 1 for i in range(floor.steps.bit_length()) if 2**i <= floor.steps})
    fields = tuple(floor.differences)
    envelopes = {f: floor.envelope(f) for f in fields}
    rows = [(str(s), *(f"{envelopes[f][s]:.2g}" for f in fields)) for s in shown]
    print_table([Column("up to step", right=True), *(Column(f, right=True) for f in fields)], rows)
    print_line("")
    print_line(f"float32 replicas against float64: {', '.join(floor.twins)}")
    print_line(f"worst gradient at step 0: {floor.gradient:.2g} in relative L2, {floor.gradient_of}")
    grows = f"doubles in {floor.doubling:.3g} steps" if floor.doubling else "does not grow over these steps"
    print_line(f"the difference of the losses {grows}")
    if path:
        print_line(f"written to {path}")


def show_answer(answer: Answer, step: int) -> None:
    """What the search found."""
    if answer.jump is not None:
        rest = "and so is all that was compared behind it" if answer.finding is None else "unlike what is below"
        why = "rounding decided a choice, or a fault before it is smaller than the noise floor"
        print_line(f"step {step}: {answer.jump}. It is right for what it was given, {rest}: {why}")
    elif answer.finding is None:
        print_line(f"step {step}: all {answer.asked} values are within their noise floors")
    if answer.finding is not None:
        print_table([Column(""), Column("")], [(Styled("first fault", "bold red"), str(answer.finding))])
    for place in answer.unmatched:
        print_line(f"not compared: {place}")
