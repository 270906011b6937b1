"""`netc attack`: the accuracy of a run where each image may be changed a little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netc.cli.console import say
from netc.cli.options import checkpoint_option, json_option, print_json, run_target_option, weights_option
from netc.netspec.counting import counted


@click.command("attack")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--radius", metavar="R", default="8/255", show_default=True, help="Largest change of a pixel of 0 to 1.")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="Steps of the attack; 1 is FGSM.")
@click.option("--step-size", type=float, help="Change of a pixel in a step.  [default: 2.5 radius / steps]")
@click.option("--images", type=click.IntRange(1), help="Number of test images.  [default: all]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random starts.")
@click.option("--data", help="Other data, as for eval.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files.")
@checkpoint_option
@weights_option
@run_target_option
@json_option
def attack(run: Path, as_json: bool, **words: Any) -> None:
    """Measure a run's accuracy under attack: projected gradient ascent within a radius of each test image.

    For nets of dense layers it also gives an upper bound on how fast the logits can change.
    """
    from netc.cli.views.waiting import watched_cache
    from netc.explaining import attack as attacked
    from netc.runs import Run

    found = attacked(Run.open(run), cache=watched_cache(), **words)
    if as_json:
        print_json(found)
        return
    say(f"{found['clean']:.2%} of {found['images']:,} test images are right, {found['robust']:.2%} under the attack")
    say(f"radius {found['radius']:.4g} of a pixel's range, {counted(found['steps'], 'step')} from seed {found['seed']}")
    if found["lipschitz"] is not None:
        say(f"the logits change at most {found['lipschitz']:.4g} times as much as the pixels (Euclidean norms)")
