"""`netc emit-jax`: a training as a JAX script of its own."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say, write
from netc.cli.options import complete_net
from netc.cli.out_path import OUT_FILE
from netc.cli.sections import Sectioned
from netc.cli.training import training_of, training_options

if TYPE_CHECKING:
    from netc.runtime.compare.replay import Replay


@training_options
@click.command("emit-jax", cls=Sectioned)
@click.argument("net", metavar="NET|RUN", shell_complete=complete_net)
@click.option("-o", "--out", type=OUT_FILE, help="Output FILE.py; its examples go to FILE.npz.")
def emit_jax(net: str, out: Path | None, **options: Any) -> None:
    """Write NET's training as plain JAX: the same net, initial state, batches and recipe, with JAX's own gradients.

    The script needs jax and numpy. It initialises the parameters itself and writes a trace for `netc trace diff`.
    Without -o it goes to standard output, and no examples are written. Weights from --init go to FILE.weights.npz.
    """
    from netc.netspec.errors import UserError

    if out is not None and out.suffix != ".py":
        raise UserError(f"-o wants a file FILE.py, got {out}; let its name end in .py")
    for path in (out, out.with_suffix(".npz")) if out is not None else ():
        if path.exists():
            raise UserError(f"-o wants new files, got {path}, which exists; give another name, or remove it first")
    replay = training_of(net, options)
    if earlier := replay.config.earlier:
        raise UserError(
            f"emit-jax wants a run with one schedule, got more: {net} was extended at step {earlier[0][0]}; "
            "name a net with its options instead"
        )
    text = _script(replay)
    if out is None:
        write(text)
        return
    from netc.runtime.compare.replay import write_examples, write_start
    from netc.runtime.files import made_for, write_whole

    write_whole(made_for(out), text)
    data = replay.data
    write_examples(out.with_suffix(".npz"), data)
    say(f"{out}  {len(text):,} bytes; run it with: python {out}")
    say(f"{out.with_suffix('.npz')}  {len(data.train):,} training and {len(data.test):,} test examples")
    if replay.start:
        write_start(out.with_suffix(".weights.npz"), replay.start)
        say(f"{out.with_suffix('.weights.npz')}  the {len(replay.start.tensors):,} tensors that it starts from")


def _script(replay: Replay) -> str:
    from netc.netspec.errors import UserError
    from netc.proofs_oracle.twin.script import Training, jax_script
    from netc.runtime.compare.replay import refuse_other_function
    from netc.runtime.data.division import blocks_of
    from netc.runtime.data.masked import MaskedSplit
    from netc.traces.schema import FORMAT

    config = replay.config
    refuse_other_function(config, "emit-jax")
    if config.feeding.sampler != "shuffle":
        raise UserError(
            f"emit-jax wants `sampler=shuffle`, got {config.feeding.sampler}; the script has no other order"
        )
    if config.feeding.aug_repeats > 1:
        raise UserError(
            f"emit-jax wants no `aug_repeats`, got {config.feeding.aug_repeats}; the script has no other order"
        )
    if blocks_of(replay.data.train) is not None:
        raise UserError(
            f"emit-jax wants data that is shuffled as a whole, got {config.data}, which is shuffled by windows of "
            "`shuffle_buffer` examples; give the same images as a folder"
        )
    header = {
        "format": FORMAT,
        "net": config.net.spec.name,
        "spec_sha256": config.net.digest,
        "data": config.data,
        "data_sha256": replay.data.digest,
        "recipe": config.recipe_json,
        "seed": config.seed,
        "batch": config.training.batch,
    }
    masks = isinstance(replay.data.train, MaskedSplit)
    further = {f.name for f in fields(config.augment) if getattr(config.augment, f.name) != f.default}
    if further := further - (set() if masks else {"crop", "flip"}):
        wants = "images with masks as they are" if masks else "images that are cropped and flipped alone"
        raise UserError(f"emit-jax wants {wants}, got `{further.pop()}`; leave it out")
    return jax_script(
        Training(
            config.net,
            config.recipe,
            config.training,
            config.seed,
            config.augment.crop,
            config.augment.flip,
            replay.normalise.mean,
            replay.normalise.std,
            header,
        )
    )
