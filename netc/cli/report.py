"""`netc report`: runs as one page."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import checkpoint_option
from netc.cli.out_path import OUT_FILE


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=OUT_FILE, help="The page to write.  [default: report.html in RUN]")
@checkpoint_option
@click.option("--no-eval", "evaluated", is_flag=True, flag_value=False, default=True, help="Do not evaluate the runs.")
@click.option("--mistakes", type=click.IntRange(0, 100), default=12, show_default=True, help="Worst mistakes to show.")
@click.option(
    "--check", is_flag=True, help="Run the oracle on what the runs use, and certify the texts of their steps."
)
@click.option("--certificate", "certificates", multiple=True, type=click.Path(path_type=Path),
              help="A certificate that `netc certify -o` wrote.")  # fmt: skip
@click.option(
    "--profile", type=click.Path(path_type=Path), help="What `netc profile --json` printed, for times by layer."
)
@click.option("--target", help="Target to evaluate on.  [default: the run's own]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files.")
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    checkpoint: str,
    evaluated: bool,
    mistakes: int,
    check: bool,
    certificates: tuple[Path, ...],
    profile: Path | None,
    target: str | None,
    data_dir: Path | None,
) -> None:
    """Write one self-contained HTML page about a run, or about several beside each other.

    It shows curves, metrics, the confusion matrix, calibration, the worst mistakes, where time and memory go, the net,
    the recipe and all digests. The runs are evaluated on their own test data.
    """
    from netc.cli.views.waiting import watched_cache
    from netc.reports.page import read_json
    from netc.reports.page import report as write

    page = write(
        runs, out or runs[0] / "report.html", checkpoint=checkpoint, target=target, data_dir=data_dir,
        evaluated=evaluated, check=check, profile=None if profile is None else read_json(profile, "profile"),
        certificates=[read_json(path, "certificates") for path in certificates],
        mistakes=mistakes, cache=watched_cache(),
        note=lambda text: say(f"netc: {text}", err=True),
    )  # fmt: skip
    say(f"wrote {page} ({page.stat().st_size / 1e3:,.0f} kB)")
