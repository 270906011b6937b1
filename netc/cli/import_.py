"""`netc import`: weights from elsewhere as a run's folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from netc.cli.console import say
from netc.cli.options import complete_net, net_options, resolve_net
from netc.cli.out_path import OUT_FOLDER

LARGEST_NAMES = 1 << 24  # bytes


@click.command("import")
@click.argument("net", metavar="NET", shell_complete=complete_net)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@net_options
@click.option("-o", "--out", type=OUT_FOLDER, help="Run folder.  [default: runs/NET-imported]")
@click.option("--prefix", metavar="P", help="Prefix of every name in the file.  [default: detected]")
@click.option(
    "--class-names",
    type=click.Path(path_type=Path),
    help="Text file with one class name per line.  [default: 0, 1, ..]",
)
@click.option("--mean", metavar="R,G,B", help="Channel means, for pixels from 0 to 1.  [default: the source's]")
@click.option("--std", metavar="R,G,B", help="Channel standard deviations.  [default: the source's]")
@click.option("--crop-pct", type=float, help="Resize images to the input size divided by this, then crop the centre.")
@click.option("--interpolation", metavar="WORD", help="Interpolation for resizing images.  [default: bilinear]")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Batch size for eval and predict.")
@click.option("--target", default="cpu", show_default=True, help="Default target for eval and predict.")
def import_(
    net: str,
    file: Path,
    classes: int | None,
    input_: str | None,
    out: Path | None,
    prefix: str | None,
    class_names: Path | None,
    mean: str | None,
    std: str | None,
    crop_pct: float | None,
    interpolation: str | None,
    batch: int,
    target: str,
    **sizes: int | None,
) -> None:
    """Import weights of NET that are named as in torchvision, timm or Hugging Face's files, or as netc exports them.

    FILE is a .safetensors file or the index of a sharded checkpoint. If a name or shape does not match, all mismatches
    are listed and nothing is written. The run that it makes works with eval --data, predict, and train --init.
    """
    from netc.netspec.errors import UserError
    from netc.netspec.preprocess import Preprocess
    from netc.runtime.data.batches import Normalise
    from netc.runtime.run.config import free_folder
    from netc.runtime.target import parse_target
    from netc.runtime.weights.pretrained import write_imported
    from netc.runtime.weights.read import read_weights

    checked = resolve_net(net, classes, input_, sizes)
    word = parse_target(target).word
    if (mean is None) != (std is None):
        raise UserError("--mean and --std belong together, got one of them; give both or neither")
    given = None if mean is None or std is None else Normalise(_numbers("--mean", mean), _numbers("--std", std))
    weights = read_weights(checked, file, prefix=f"{prefix.removesuffix('.')}." if prefix else prefix)
    outputs = checked.out.shape[-1]
    known = weights.classes if len(weights.classes) == outputs else tuple(map(str, range(outputs)))
    names = _names(class_names) if class_names else known
    of_images = checked.x.dtype == "f32" and len(checked.spec.input) == 3
    normalise = given or (weights.normalise if of_images else Normalise((), ()))
    folder = out or free_folder(Path("runs"), f"{checked.spec.name}-imported")
    held = weights.preprocess
    resizing = Preprocess(
        crop_pct=held.crop_pct if crop_pct is None else crop_pct, interpolation=interpolation or held.interpolation
    )
    write_imported(
        *(checked, weights, folder), classes=names, normalise=normalise, batch=batch, target=word, preprocess=resizing
    )
    for note in weights.notes:
        say(note)
    if twice := sorted({name for name, count in Counter(names).items() if count > 1}):
        say(f"names of several classes: {', '.join(twice)}; eval on other data refuses these, as it compares by names")
    levels = (
        f", images normalised by mean {_shown(normalise.mean)} and std {_shown(normalise.std)}"
        if normalise.mean
        else ""
    )
    say(f"{folder}: {checked.spec.name} with {checked.count:,} parameters, names of {weights.project}{levels}")
    say(f"next: netc {f'predict {folder} IMAGE, or netc ' if normalise.mean else ''}eval {folder} --data DATA")


def _names(path: Path) -> tuple[str, ...]:
    """The lines of a text file; an empty line at the end is no name."""
    from netc.netspec.text_file import read_text

    return tuple(read_text(path, LARGEST_NAMES, "names of classes in ", "is it the right file?").splitlines())


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from math import isfinite

    from netc.netspec.errors import UserError

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(isfinite, values)):
        raise UserError(f"{option} wants a number for each channel, got {text!r}; write 0.485,0.456,0.406")
    return values


def _shown(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
