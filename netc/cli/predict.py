"""`netc predict`: what a trained run says of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.options import BATCH, checkpoint_option, json_option, run_target_option, weights_option
from netc.cli.out_path import OUT_FOLDER

if TYPE_CHECKING:
    from netc.netspec.batch import Batch


@click.command("predict")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@checkpoint_option
@weights_option
@run_target_option
@click.option(
    "--batch", type=BATCH,
    help="Examples of a call; `dynamic` or a range as in 1..64: one program for any number.  [default: the run's own]",
)  # fmt: skip
@click.option(
    "-o", "--out", type=OUT_FOLDER,
    help="Folder for the masks of a net that classifies pixels.  [default: RUN/predicted]",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Number of classes to show.")
@json_option
def predict(
    run: Path,
    images: tuple[Path, ...],
    checkpoint: str,
    weights: str | None,
    target: str | None,
    batch: Batch | None,
    out: Path | None,
    top: int,
    as_json: bool,
) -> None:
    """Classify images with a trained run.

    RUN is a folder made by `netc train` or `netc import`. IMAGE is an image file or a folder of them; for a run that
    was trained on a table, it is a table whose rows are predicted. Images are resized to the net's input. A net that
    classifies each pixel writes a mask for each image, a PNG whose pixels are class ids. A file that cannot be read is
    reported and skipped, and the exit code is then 1.
    """
    import json

    from netc.cli.views.waiting import watched_cache
    from netc.runs import Run
    from netc.runtime.evaluate import Guess, Unread
    from netc.runtime.palette import hexadecimal
    from netc.runtime.segment import Segmented, segmented, segments

    opened = Run.open(run)
    words: dict[str, Any] = {"checkpoint": checkpoint, "weights": weights, "target": target, "cache": watched_cache()}
    words["batch"] = batch
    found_in: Iterator[Guess | Segmented | Unread]
    if out or segments(opened.config):
        found_in = segmented(opened.config, run, image_files(images), out or run / "predicted", **words)
    else:
        found_in = opened.classify(image_files(images), **words)
    unread = 0
    answers: list[dict[str, object]] = []
    ids: dict[int, str] = {}
    for found in found_in:
        if isinstance(found, Unread):
            unread += 1
            say(f"netc: {found.problem}", err=True)
            answers.append({"image": found.image, "error": found.problem})
        elif isinstance(found, Segmented):
            ids |= {index: name for index, name, _ in found.classes}
            shares = [{"id": index, "class": name, "share": share} for index, name, share in found.classes]
            answers.append({"image": found.image, "mask": str(found.mask), "classes": shares})
            if not as_json:
                most = ", ".join(f"{name} {share:.1%}" for _, name, share in found.classes[:top])
                say(f"{found.image}: {found.mask}: {most}")
        elif as_json:
            what, shown = ("numbers", found.classes) if found.measured else ("classes", found.classes[:top])
            answers.append({"image": found.image, what: _by_name(shown)})
        elif found.measured:
            say(f"{found.image}: " + ", ".join(f"{name} {value:.6g}" for name, value in found.classes))
        else:
            say(f"{found.image}: " + ", ".join(f"{name} {p:.1%}" for name, p in found.classes[:top]))
    if ids and not as_json:
        key = ", ".join(f"{index} {name} {hexadecimal(index)}" for index, name in sorted(ids.items()))
        say(f"ids and colours in the masks: {key}")
    if as_json:
        say(json.dumps(answers, allow_nan=False))
    if unread:
        click.get_current_context().exit(1)


def _by_name(classes: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """The probabilities by name, the likeliest first; of two classes with one name the likelier one."""
    found: dict[str, float] = {}
    for name, chance in classes:
        found.setdefault(name, chance)
    return found


def image_files(images: tuple[Path, ...]) -> Iterator[Path]:
    """The images, those in folders for each folder; a folder without images stays what it is."""
    from netc.runtime.data.layout import images_in

    for image in images:
        if not image.is_dir():
            yield image
            continue
        found, notes = images_in(image)
        for note in notes:
            say(f"netc: {image}: {note}", err=True)
        yield from found or [image]
