"""`netc predict`: what a trained run says of images."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import json_option


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option("--target", help="Where to run it.  [default: the run's own]")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many classes to show.")
@json_option
def predict(run: Path, images: tuple[Path, ...], checkpoint: str, target: str | None, top: int, as_json: bool) -> None:
    """Classify image files with the folder RUN that `netc train` or `netc import` made.

    Each is resized to the net's input.
    """
    import json

    from netc.runtime import evaluate as library
    from netc.runtime.cache import Cache
    from netc.runtime.run import read_config

    config = read_config(run)
    guesses = library.predict(config, images, run, checkpoint, target or config.target, Cache())
    if as_json:
        say(json.dumps([{"image": g.image, "classes": dict(g.classes[:top])} for g in guesses], allow_nan=False))
        return
    for guess in guesses:
        shown = ", ".join(f"{name} {p:.1%}" for name, p in guess.classes[:top])
        say(f"{guess.image}: {shown}")
