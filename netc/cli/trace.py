"""`netc trace`: what runs did, compared, drawn, and searched for the operation in which they part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.options import complete_net, json_option, print_json
from netc.cli.out_path import OUT_FILE
from netc.cli.sections import Sectioned
from netc.cli.training import training_of, training_of_run, training_options

if TYPE_CHECKING:
    from netc.runtime.compare.replay import Replay
    from netc.traces.floor import Floor
    from netc.traces.read import Trace

MODES = ("ulp", "same-compiler", "cross-compiler")
STEPS = 32  # that a floor is measured over unless --steps says more

run_argument = click.Path(path_type=Path)
init_option = click.option(
    "--init", type=run_argument, help="Where the weights that RUN started from are now.  [default: where they were]"
)
data_dir_option = click.option("--data-dir", type=run_argument, help="Folder with the dataset's files.")


@click.group()
def trace() -> None:
    """Compare runs by their traces.

    A run is the folder that `netc train --out` made, or a trace.jsonl.
    """


@trace.command("diff")
@click.argument("a", type=run_argument)
@click.argument("b", type=run_argument)
@click.option("--mode", type=click.Choice(MODES), help="Tolerance.  [default: the strictest that can hold]")
@click.option("--noise", type=run_argument, help="Noise floor.  [default: noise.json of either run, or measured]")
@click.option("--ulp", type=click.IntRange(min=0), default=0, show_default=True, help="With --mode ulp: ULPs to allow.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Compare only the first N steps.")
@data_dir_option
@json_option
def diff_command(
    a: Path, b: Path, mode: str | None, noise: Path | None, ulp: int, steps: int | None, data_dir: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare two runs.

    Mode ulp wants every number to match bit for bit. Modes same-compiler and cross-compiler want differences within 2
    or 8 times the noise floor of the training. The exit code is 0 if the runs agree, 1 if they differ, and 2 if they
    cannot be compared.
    """
    from netc.netspec.errors import UserError
    from netc.trace import strictest_mode
    from netc.traces.diff import diff

    ours, theirs = _read(a), _read(b)
    chosen = mode or strictest_mode(ours, theirs)
    if ulp and chosen != "ulp":
        raise UserError(f"--ulp belongs to --mode ulp, got --mode {chosen}; leave it out")
    if noise is not None and chosen == "ulp":
        raise UserError("--noise belongs to the other modes, got --mode ulp; leave it out")
    found = _floor(ours, theirs, (a, b), noise, data_dir) if chosen != "ulp" else None
    report = diff(ours, theirs, chosen, found, ulp=ulp, steps=steps)
    if as_json:
        print_json(report.to_json())
    else:
        from netc.cli.views.trace import show_report

        show_report(report, found)
    if not report.agree:
        click.get_current_context().exit(1)


@training_options
@trace.command("noise", cls=Sectioned)
@click.argument("net", metavar="NET|RUN", shell_complete=complete_net)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=STEPS,
    show_default=True,
    help="Number of steps to train the replicas.",
)
@click.option(
    "--whole", metavar="TARGET", help="Also train four replicas of the whole run on TARGET, for the spread of means."
)
@click.option("-o", "--out", type=OUT_FILE, help="Output file.  [default: RUN/noise.json for a run]")
@json_option
def noise_command(net: str, steps: int, whole: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """Measure the noise floor of a training: how far rounding alone drives runs apart.

    The reference evaluator trains NET in float64. It also trains float32 replicas with the forms of every family of
    targets, other orders of summation, permuted batches, and an initial state that is off by one ULP.
    """
    import json

    from netc.runtime.files import made_for
    from netc.traces.floor import FILE, write_floor

    replay = training_of(net, options)
    folder = Path(net) if (Path(net) / "run.json").is_file() else None
    floor = _measured(replay, steps)
    if whole:
        floor = _over_the_whole_run(replay, floor, whole)
    path = out or (folder / FILE if folder else None)
    if path:
        write_floor(made_for(path), floor)
    if as_json:
        import tempfile

        with tempfile.TemporaryDirectory() as temporary:
            write_floor(Path(temporary) / FILE, floor)
            print_json(json.loads((Path(temporary) / FILE).read_text()))
        return
    from netc.cli.views.trace import show_floor

    show_floor(floor, path)


@trace.command("plot")
@click.argument("runs", type=run_argument, nargs=-1, required=True)
@click.option("-o", "--out", type=OUT_FILE, required=True, help="FILE.png, FILE.svg or FILE.html.")
def plot_command(runs: tuple[Path, ...], out: Path) -> None:
    """Plot the loss, learning rate and norms of runs, and how far each is from the first."""
    from importlib.util import find_spec

    from netc.netspec.errors import UserError
    from netc.netspec.install import install_extra
    from netc.runtime.files import made_for
    from netc.traces.plot import plot

    if find_spec("matplotlib") is None:
        raise UserError(f"plot wants matplotlib, got none; {install_extra('plot')}")
    plot([(str(path), _read(path)) for path in runs], made_for(out))
    say(f"{out}  {out.stat().st_size:,} bytes")


@trace.command("bisect")
@click.argument("a", metavar="RUN", type=run_argument)
@click.argument("b", metavar="RUN|TARGET")
@click.option("--step", type=click.IntRange(min=0), help="Step to examine.  [default: the first that differs]")
@data_dir_option
@init_option
@click.option(
    "--new-head", is_flag=True, help="With --init: RUN reinitialised its final layer, and is too old to record it."
)
@json_option
def bisect_command(
    a: Path, b: str, step: int | None, data_dir: Path | None, init: Path | None, new_head: bool, as_json: bool
) -> None:
    """Find the operation at which two runs diverge, or a run and a target.

    Both start from the state that the first run had before the step. The exit code is 1 if a value is outside the noise
    floor, even if its operation is right for its inputs.
    """
    from dataclasses import asdict

    from netc.runtime.target import parse_target
    from netc.traces.alike import differing_field
    from netc.traces.diff import first_difference

    theirs = _read(Path(b)) if Path(b).exists() else None
    ours = _read(a)
    if theirs is not None and (other := differing_field(ours.header, theirs.header)):
        from netc.netspec.errors import UserError

        raise UserError(f"bisect wants two runs of the same training, got a different {other}")
    at = step if step is not None else first_difference(ours, theirs) if theirs else 0
    if at is None:
        say("the runs are the same, bit for bit: nothing to bisect")
        return
    target = parse_target(theirs.header.target if theirs else b)
    replay = training_of_run(_folder(a), data_dir, init, new_head=new_head)
    answer = _bisected(replay, target.word, at)
    if as_json:
        print_json({"step": at, **_spelled(asdict(answer))})
    else:
        from netc.cli.views.trace import show_answer

        show_answer(answer, at)
    if answer.finding or answer.jump:
        click.get_current_context().exit(1)


def _spelled(table: dict[str, Any]) -> dict[str, Any]:
    """The numbers of what was found may be infinite, which JSON cannot say."""
    import math

    def spelled(found: dict[str, Any] | None) -> dict[str, Any] | None:
        return found and {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in found.items()}

    return {**table, "finding": spelled(table["finding"]), "jump": spelled(table["jump"])}


def _bisected(replay: Replay, word: str, at: int) -> Any:
    """Replay the run to the step, then search there."""
    from netc.runtime.cache.store import Cache
    from netc.runtime.compare.bisect import bisect_run
    from netc.runtime.target import parse_target

    with _bar("comparing") as watch:
        return bisect_run(replay, parse_target(word), at, Cache(), watch)


# -- runs, floors ----------------------------------------------------------------------------------------------------


def _read(run: Path) -> Trace:
    from netc.traces.read import read

    return read(run / "trace.jsonl" if run.is_dir() else run)


def _folder(run: Path) -> Path:
    return run if run.is_dir() else run.parent


def _floor(a: Trace, b: Trace, runs: tuple[Path, Path], given: Path | None, data_dir: Path | None) -> Floor:
    """The floor that was given, that lies in a run's folder, or that is measured now."""
    from netc.netspec.errors import UserError
    from netc.traces.alike import differing_field
    from netc.traces.floor import FILE, read_floor

    if given is not None:
        return read_floor(given / FILE if given.is_dir() else given)
    folders = [_folder(run) for run in runs]
    for folder in folders:
        if (folder / FILE).is_file():
            return read_floor(folder / FILE)
    if other := differing_field(a.header, b.header):
        raise UserError(
            f"diff wants two runs of the same training, got a different {other}; such runs cannot be compared"
        )
    for folder in folders:
        if (folder / "run.json").is_file():
            return _measured(training_of_run(folder, data_dir), min(STEPS, len(a.steps)))
    raise UserError(
        f"diff wants a noise floor, got neither {FILE} nor run.json beside the traces; measure one with"
        " netc trace noise NET -o FILE, and give it as --noise FILE"
    )


def _measured(replay: Replay, steps: int) -> Floor:
    from netc.runtime.compare.noise import measure

    with _bar("measuring the noise floor") as watch:
        return measure(replay, steps, watch)


def _over_the_whole_run(replay: Replay, floor: Floor, target: str) -> Floor:
    from netc.runtime.cache.store import Cache
    from netc.runtime.compare.noise import over_the_whole_run
    from netc.runtime.target import parse_target

    with _bar(f"training replicas on {target}") as watch:
        return over_the_whole_run(replay, floor, parse_target(target), Cache(), watch)


def _bar(title: str) -> Any:
    from netc.cli.views.trace import bar

    return bar(title)
