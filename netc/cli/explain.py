"""`netc explain`: which pixels of an image speak for a class."""

from __future__ import annotations

from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import checkpoint_option, run_target_option, weights_option
from netc.cli.out_path import OUT_FOLDER
from netc.cli.predict import image_files


@click.command("explain")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=OUT_FOLDER, help="Folder for the pictures.  [default: RUN/explained]")
@click.option("--class", "of", metavar="NAME", help="Class to explain, by name or number.  [default: the likeliest]")
@click.option(
    "--method", type=click.Choice(["grad-cam", "gradient"]), default="grad-cam", show_default=True,
    help="Grad-CAM, or the gradient to each pixel.",
)  # fmt: skip
@checkpoint_option
@weights_option
@run_target_option
def explain(run: Path, images: tuple[Path, ...], out: Path | None, **words: str | None) -> None:
    """Show which pixels of an image speak for a class, as an overlay on it.

    RUN is a folder made by `netc train` or `netc import`. IMAGE may be a folder of images. An image that cannot be
    read is reported and skipped, and the exit code is then 1.
    """
    from netc.cli.views.waiting import watched_cache
    from netc.explaining import explain as explained
    from netc.runs import Run
    from netc.runtime.evaluate import Unread

    unread = 0
    for found in explained(
        Run.open(run), [*image_files(images)], out or run / "explained", cache=watched_cache(), **words
    ):
        if isinstance(found, Unread):
            unread += 1
            say(f"netc: {found.problem}", err=True)
        else:
            say(f"{found.image}: {found.name} {found.probability:.1%}, {found.picture}")
    if unread:
        click.get_current_context().exit(1)
