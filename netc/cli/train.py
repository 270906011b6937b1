"""`netc train`: from a name to a trained network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option, with_config
from netc.cli.options import complete_net, data_cache, net_options, tuned_choices, tuned_option
from netc.cli.recipe_options import decay_options, recipe_of, recipe_options, steps_per_call_option
from netc.cli.resuming import check, of_the_same_words, resumed, resuming_options, saving_of
from netc.cli.spelling import spelled_here

if TYPE_CHECKING:
    from netc.netspec.check import CheckedNet
    from netc.runtime.data.dataset import Dataset
    from netc.runtime.run.config import RunConfig
    from netc.runtime.train import Outcome
    from netc.runtime.weights.pretrained import Start

# Nets made for photographs see small images at this size: at 224x224 an 8x8 digit is only a larger blur, for 12 times
# the work
SMALL_IMAGE, WORKING_SIZE = 64, 64
# below this many training images an epoch is short: smaller batches and more epochs
FEW_IMAGES, FEW_EPOCHS, FEW_BATCH = 10_000, 6, 32


@click.command("train")
@click.argument("net", metavar="NET", required=False, shell_complete=complete_net)
@net_options
@click.option(
    "--data",
    default="digits",
    show_default=True,
    help="Dataset: a name from `netc data ls`, imagefolder:PATH or text:FILE.",
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the dataset's files.")
@click.option(
    "--target", default="cpu", show_default=True, help="Target: cpu, cuda:SM, rocm:GFX, vulkan, xla or reference."
)
@click.option("--epochs", type=int, help="Number of epochs.  [default: 6 for small datasets, otherwise 5]")
@click.option("--batch", type=int, help="Batch size.  [default: 32 for small datasets, otherwise 128]")
@click.option("--lr", type=float, default=1e-3, show_default=True, help="Peak learning rate.")
@click.option("--warmup", type=float, default=0.5, show_default=True, help="Linear warmup, in epochs.")
@decay_options
@tuned_option
@config_option
@recipe_options
@click.option("--crop", type=int, help="Random crop with this many pixels of padding.  [default: the dataset's]")
@click.option("--flip/--no-flip", default=None, help="Random horizontal flip.  [default: the dataset's]")
@steps_per_call_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Random seed.")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/NET-DATA]")
@click.option(
    "--init", type=click.Path(path_type=Path), help="Initialise from weights: RUN, RUN/last or a .safetensors file."
)
@click.option("--new-head", is_flag=True, help="With --init: reinitialise the final layer, for other classes.")
@resuming_options
@click.option("--quiet", is_flag=True, help="Print only the result.")
def train(net: str | None, quiet: bool, **options: Any) -> None:
    """Train NET: emit its program, compile it and run it, keeping a trace and checkpoints.

    For example, `netc train resnet34` learns the bundled digits on this machine's CPU.
    """
    from netc.cli.lasting import lasting_output

    check(net, options)
    with lasting_output():
        _train(net, quiet, options)


def _train(net: str | None, quiet: bool, options: dict[str, Any]) -> None:
    from dataclasses import replace

    from netc.cli.views.train import TrainView
    from netc.runtime.train import train as run

    folder, start, resume = options["resume"], None, options["resume"] is not None
    if resume:
        config = resumed(folder, options)
        data = dataset_of(config.data, config.net, options["data_dir"])
    else:
        config, data, folder = new_training(str(net), options)
        config, start = begun(config, options)
        held = of_the_same_words(folder, config, options) if options["auto_resume"] else None
        resume = held is not None
        choices = tuned_choices(config.target, options["no_tuned"])
        config = held or replace(config, choices=choices, saving=saving_of(options, config.saving))
    with TrainView(config, data, quiet=quiet) as view:
        for note in start.notes_for(data.classes) if start else ():
            view.note(spelled_here(note))
        outcome = run(
            config,
            data,
            folder,
            view.cache(),
            resume=resume,
            start=start,
            progress=view.progress,
            same_bits=options["same_bits"],
        )
    _last_line(config, outcome)


def begun(config: RunConfig, options: dict[str, Any]) -> tuple[RunConfig, Start | None]:
    """The weights that --init names, if it does, and the config that says so."""
    from dataclasses import replace

    from netc.netspec.errors import UserError
    from netc.runtime.weights.pretrained import read_start

    if options["init"] is None:
        if options["new_head"]:
            raise UserError("--new-head belongs to --init, got no --init; without it every layer is drawn")
        return config, None
    path, new_head = options["init"], options["new_head"]
    start = read_start(config.net, path, new_head=new_head)
    return replace(config, init=start.digest, init_path=str(path.absolute()), new_head=new_head), start


def new_training(name: str, options: dict[str, Any]) -> tuple[RunConfig, Dataset, Path]:
    """The training that the options say, its data and its folder; raises UserError or SpecError where they misfit."""
    from netc.netspec.check import check
    from netc.netspec.errors import UserError
    from netc.netspec.find import find
    from netc.netspec.recipe_words import training_of, training_words
    from netc.runtime.data.dataset import Augment
    from netc.runtime.run.config import RunConfig, free_folder
    from netc.runtime.target import parse_target
    from netc.runtime.train import refuse_other_targets

    spec = find(name)
    options = with_config(name, options)
    target = parse_target(options["target"])
    stored = _stored(options["data"], options["data_dir"])
    shape = _input_shape(spec.input, stored.native, options["input_"])
    spec = spec.with_input(shape)
    classes = options["classes"] or len(stored.classes)
    if options["classes"] or (spec.layers and spec.layers[-1].kind in ("dense", "tiedHead", "lmHead")):
        spec = spec.with_classes(classes)
    checked = check(spec)
    recipe = recipe_of(options)
    data = _sized(stored, checked)
    few = len(data.train) < FEW_IMAGES
    words = {name: options[name] for name in training_words() & options.keys() - {"epochs", "batch"}}
    training = training_of(
        epochs=(FEW_EPOCHS if few else 5) if options["epochs"] is None else options["epochs"],
        batch=min(FEW_BATCH if few else 128, len(data.train)) if options["batch"] is None else options["batch"],
        **words,
    )
    if spec.dtype != "f32" and (options["crop"] or options["flip"]):
        raise UserError(f"--crop and --flip belong to images, and {options['data']} is text; leave them out")
    crop = data.augment.crop if options["crop"] is None else options["crop"]
    if not 0 <= crop <= min(shape[:2]):
        raise UserError(f"--crop wants from 0 to {min(shape[:2])} pixels, got {crop}; give a smaller one")
    flip = data.augment.flip if options["flip"] is None else options["flip"]
    config = RunConfig(
        checked,
        recipe,
        training,
        options["data"],
        options["seed"],
        target.word,
        Augment(crop, flip),
        steps_per_call=options.get("steps_per_call", 1),
    )
    refuse_other_targets(config)
    if options["out"]:
        return config, data, options["out"]
    stem = _stem(spec.name, options["data"])
    return config, data, Path("runs") / stem if options.get("auto_resume") else free_folder(Path("runs"), stem)


def _stem(net: str, data: str) -> str:
    """The name of a run's folder; raises UserError if the net's own name would lead elsewhere."""
    from netc.netspec.errors import UserError

    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}", net):
        raise UserError(
            f"a run's folder wants a name of letters, digits, _ . + -, got the net's {net!r}; give --out DIR"
        )
    return f"{net}-{data.partition(':')[0]}"


def _input_shape(own: tuple[int, ...], native: tuple[int, ...], wanted: str | None) -> tuple[int, ...]:
    from netc.cli.options import parse_input

    if wanted:
        return parse_input(wanted)
    if len(own) == 3 and min(own[:2]) > SMALL_IMAGE >= max(native[:2]):
        return (WORKING_SIZE, WORKING_SIZE, own[2])
    return own


def _stored(name: str, data_dir: Path | None, *, whole: bool = False) -> Dataset:
    from netc.runtime.data import catalog

    return catalog.load(name, data_dir=data_dir, cache_dir=data_cache(), whole=whole)


def _sized(data: Dataset, net: CheckedNet) -> Dataset:
    from netc.netspec.errors import UserError
    from netc.runtime.data.resize import resized
    from netc.runtime.data.text import windowed

    shape = net.spec.input
    if net.x.dtype != "f32":
        return windowed(data, net.x.size)
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise UserError(f"train wants a net for images [H, W, 1 or 3], got input {list(shape)}; give --input HxWxC")
    return resized(data, (shape[0], shape[1], shape[2]))


def dataset_of(name: str, net: CheckedNet, data_dir: Path | None, *, whole: bool = False) -> Dataset:
    """The data set of that name, at the net's input size; raises DataError or UserError if it is not to be had.

    `whole` is for evaluation alone: see `catalog.load`.
    """
    return _sized(_stored(name, data_dir, whole=whole), net)


def _last_line(config: RunConfig, outcome: Outcome) -> None:
    name, folder = config.net.spec.name, outcome.folder
    if outcome.interrupted:
        say(f"{name} stopped after step {outcome.steps}, nothing lost; go on with: netc train --resume {folder}")
        click.get_current_context().exit(128 + outcome.signal)
    say(
        f"{name} reached {outcome.accuracy:.2%} test accuracy on {config.data} (best {outcome.best:.2%}) in "
        f"{outcome.seconds:.0f} s; next: netc eval {folder}"
    )
