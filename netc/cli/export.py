"""`netc export`: what a run has learned, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netc.cli.console import say
from netc.cli.options import weights_option
from netc.cli.out_path import OUT_FILE

PROJECTS = ("torchvision", "timm", "hf", "netc")


@click.command("export")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--safetensors", type=OUT_FILE, metavar="FILE", help="Write the weights alone.")
@click.option(
    "--names", type=click.Choice(PROJECTS), help="Naming scheme of the tensors.  [default: the first known for the net]"
)
@click.option("--onnx", type=OUT_FILE, metavar="FILE", help="Write the net with its weights as an ONNX model.")
@click.option("--vmfb", type=OUT_FILE, metavar="FILE", help="Compile the net with its weights inside, with IREE.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Batch size of --onnx and --vmfb.")
@click.option("--target", help="Target of --vmfb.  [default: the run's own]")
@click.option(
    "--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Checkpoint to export."
)
@weights_option
def export(run: Path, **words: Any) -> None:
    """Write a run's net for other programs, without the optimizer's moments.

    RUN is a folder made by `netc train` or `netc import`. A net for images takes uint8 pixels of its own input size in
    ONNX and .vmfb; they are normalised inside, not resized. Class names are stored as metadata.
    """
    from netc.runs import Run

    for made in Run.open(run).export(**words):
        say(f"{made.path}  {made.path.stat().st_size:,} bytes: {made.what}")
