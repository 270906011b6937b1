"""`netc eval`: the accuracy of a trained run."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import json_option


@click.command("eval")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option("--data", "other", metavar="DATA", help="Other data, as for train.  [default: the run's own]")
@click.option("--target", help="Where to run it.  [default: the run's own]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="A folder that holds the data's files.")
@json_option
def evaluate(
    run: Path, checkpoint: str, other: str | None, target: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Evaluate the folder RUN that `netc train` or `netc import` made, on the test images of its data.

    Other data must number its classes as the run does: they are compared by their numbers, not by their names.
    """
    import json

    from netc.cli.train import dataset_of
    from netc.netspec.errors import UserError
    from netc.runtime import evaluate as library
    from netc.runtime.cache import Cache
    from netc.runtime.run import read_config

    config = read_config(run)
    name = other or config.data
    if not name:
        raise UserError(f"{run} was imported and has no data of its own; say which with --data, as imagefolder:PATH")
    data = dataset_of(name, config.net, data_dir)
    target = target or config.target
    score = library.evaluate(config, data, run, checkpoint, target, Cache(), other=name != config.data)
    if as_json:
        say(json.dumps({"loss": score.loss, "accuracy": score.accuracy, "count": score.count}, allow_nan=False))
        return
    say(
        f"{config.net.spec.name} ({checkpoint}): {score.accuracy:.2%} of {score.count:,} test images of {name}, "
        f"mean loss {score.loss:.4f}"
    )
