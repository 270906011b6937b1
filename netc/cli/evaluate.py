"""`netc eval`: the accuracy of a trained run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.console import say
from netc.cli.options import json_option

if TYPE_CHECKING:
    from netc.runtime.data.dataset import Dataset
    from netc.runtime.run.config import RunConfig


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Checkpoint to load."
)
@click.option("--data", "other", metavar="DATA", help="Another dataset, as for train.  [default: the run's own]")
@click.option("--skip-unknown", is_flag=True, help="Skip images of classes that the run does not know.")
@click.option("--by-number", is_flag=True, help="Match classes by index; there must be one for each output.")
@click.option("--target", help="Target to run on.  [default: the run's own]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files.")
@json_option
def evaluate(
    run: Path,
    checkpoint: str,
    other: str | None,
    skip_unknown: bool,
    by_number: bool,
    target: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a run on the test split of its dataset.

    RUN is a folder made by `netc train` or `netc import`. The classes of another dataset are matched to the run's by
    name, and so are the characters of another text. An image folder without a test split and a text are evaluated
    whole.
    """
    import json

    from netc.cli.views.waiting import watched_cache
    from netc.netspec.errors import UserError
    from netc.runtime import evaluate as library
    from netc.runtime.run.config import read_config

    if other is None and (skip_unknown or by_number):
        raise UserError("--skip-unknown and --by-number belong to --data, got no --data; a run knows its own classes")
    config = read_config(run)
    name = other or config.data
    if not name:
        raise UserError(f"{run} was imported and has no data of its own; say which with --data, as imagefolder:PATH")
    data = _data(config, name, run / checkpoint, data_dir, other=other is not None)
    score = library.evaluate(
        *(config, data, run, checkpoint, target or config.target, watched_cache()),
        other=other is not None, numbers=by_number, skip_unknown=skip_unknown,
    )  # fmt: skip
    if as_json:
        say(json.dumps(asdict(score), allow_nan=False))
        return
    for note in (*data.notes, *score.notes):
        say(note)
    examples = "images" if config.net.x.dtype == "f32" else "contexts"
    say(
        f"{config.net.spec.name} ({checkpoint}): {score.accuracy:.2%} of {score.count:,} test {examples} of {name}, "
        f"mean loss {score.loss:.4f}"
    )


def _data(config: RunConfig, name: str, checkpoint: Path, data_dir: Path | None, *, other: bool) -> Dataset:
    """The data to evaluate on: other data whole where nothing divides it, the run's own (or a copy) as in training."""
    from netc.cli.train import dataset_of
    from netc.runtime.data.catalog import BY_NAME
    from netc.runtime.run.checkpoint import load

    if other:
        data = dataset_of(name, config.net, data_dir, whole=True)
        if name in BY_NAME or data.digest != load(checkpoint).meta.get("data_sha256"):
            return data
    return dataset_of(name, config.net, data_dir)
