"""Weights that were not trained here: a run's folder made of them, and a training that begins with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.program import build
from netc.netspec.augment import Augment
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layer import part_names
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise
from netc.runtime.run import checkpoint
from netc.runtime.run.config import RunConfig, normalise_of, refuse_used, write_config
from netc.runtime.run.lock import only_writer
from netc.runtime.session import DTYPES
from netc.runtime.weights.read import Weights, WeightsError, read_weights

CHECKPOINT = "best"  # the checkpoint of an imported folder: the one that eval and predict take
FEW = 3  # names in a message


@dataclass(frozen=True)
class Start:
    """Weights to begin a training with: tensors by netc's names, and how the images were normalised that they know.

    `normalise` is None where that is unknown or of another number of channels. `digest` is the SHA-256 of the file.
    `classes` are the names of the last layer's outputs, where they are known and it is not drawn anew.
    """

    tensors: dict[str, Array]
    normalise: Normalise | None
    digest: str
    notes: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def notes_for(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The notes, and one where the outputs of the last layer stood for other classes, or in another order."""
        if not self.classes or self.classes == tuple(classes):
            return self.notes
        same = sorted(self.classes) == sorted(classes)
        found = "the same in another order" if same else "others"
        note = (
            f"the weights' last layer knows {len(self.classes)} classes, and the data has {found}: its outputs are "
            "taken by their numbers; `new_head=True` reinitialises it"
        )
        return (*self.notes, note)


def write_imported(
    net: CheckedNet,
    weights: Weights,
    folder: Path,
    *,
    classes: Sequence[str],
    normalise: Normalise,
    batch: int,
    target: str,
    preprocess: Preprocess = PLAIN,
) -> Path:
    """Write the folder of a run that has these weights and no training, and return its checkpoint's path.

    `netc eval --data`, `netc predict` and `netc train --init` take it; `preprocess` says how images are resized. Raises
    UserError if the folder holds a run, or if classes or channels do not fit the net.
    """
    outputs, channels = net.out.shape[-1], net.x.shape[-1]
    if len(classes) != outputs:
        raise UserError(f"class names want one for each of {outputs} outputs, got {len(classes)}; give all of them")
    if normalise.mean and len(normalise.mean) != channels:
        raise UserError(f"`mean` and `std` want {channels} numbers, one a channel, got {len(normalise.mean)}")
    recipe = Recipe(SGD(momentum=0.0), norms=False)  # the one with the smallest state, that every target compiles
    config = RunConfig(
        net, recipe, TrainConfig(1, batch), "", 0, target, Augment(), weights.sha256, preprocess=preprocess
    )
    program = build(net, recipe, batch)
    empty: dict[str, Array] = {
        s.name: np.zeros(s.type.shape, DTYPES[s.type.dtype]) for s in program.state if s.name not in weights.tensors
    }
    meta: dict[str, Any] = {"step": 0, "best": -1.0, "last": 0.0, "spec_sha256": net.digest, "net": net.spec.name}
    meta["normalise"] = {"mean": list(normalise.mean), "std": list(normalise.std)}
    meta |= {
        "classes": list(classes),
        "data_sha256": "",
        "imported": {"sha256": weights.sha256, "names": weights.project},
    }
    with only_writer(folder):
        refuse_used(folder, "`out`")
        path = checkpoint.save(folder, CHECKPOINT, weights.tensors | empty, meta)
        write_config(folder, config)
    return path


def read_start(net: CheckedNet, path: Path, *, new_head: bool = False) -> Start:
    """The weights in a .safetensors file, a checkpoint, or a run's folder (its `best`), for a training of `net`.

    With `new_head` the last layer's are left to be drawn. Raises WeightsError with every tensor that does not fit,
    UserError where nothing is there, and what reading a checkpoint or a file raises.
    """
    if not (path.exists() or checkpoint.exists(path)):
        raise UserError(
            f"`init` wants a .safetensors file, a checkpoint or a run's folder, got {path}, which does not exist; "
            "check the path"
        )
    head = head_of(net)
    try:
        start = _read(net, path, head if new_head else ())
    except WeightsError as error:
        if not new_head and _fits(net, path, head):
            advice = "to train another last layer on these weights, give `new_head=True`"
            raise WeightsError(str(error).splitlines()[0], (*error.problems, advice)) from error
        raise
    channels = net.x.shape[-1]
    known = start.normalise if start.normalise and len(start.normalise.mean) == channels else None
    drawn = (f"the last layer ({', '.join(head)}) is initialised again",) if new_head else ()
    return Start(start.tensors, known, start.digest, (*start.notes, *drawn), () if new_head else start.classes)


def _read(net: CheckedNet, path: Path, without: Collection[str]) -> Start:
    if checkpoint.exists(path):
        return _of_checkpoint(net, path, without)
    read = read_weights(net, path, without)
    return Start(dict(read.tensors), read.normalise, read.sha256, read.notes)


def _fits(net: CheckedNet, path: Path, without: Collection[str]) -> bool:
    try:
        _read(net, path, without)
    except WeightsError:
        return False
    return True


def start_of_run(config: RunConfig, path: Path | None = None, *, new_head: bool = False) -> Start | None:
    """The weights that a run started from, read again, or None if they were drawn.

    They are looked for where they lay then, or at `path`; `new_head` is for runs that are too old to say it. Raises
    UserError where nothing is there, or what is there has another SHA-256, and what `read_start` raises.
    """
    if not config.init:
        if path is not None or new_head:
            raise UserError(
                "`init` wants a run that started from given weights, got one that drew its weights at random"
            )
        return None
    wanted = f"wants the weights that the run started from (SHA-256 {config.init[:12]})"
    place = path or (Path(config.init_path) if config.init_path else None)
    if place is None:
        raise UserError(f"{wanted}, got a run.json that does not say where they are; name them by `init`")
    if not (place.exists() or checkpoint.exists(place)):
        raise UserError(f"{wanted}, got nothing at {place}; put them back, or name their path by `init`")
    start = read_start(config.net, place, new_head=new_head or config.new_head)
    if start.digest != config.init:
        raise UserError(
            f"{wanted}, got others at {place} (SHA-256 {start.digest[:12]}); put them back, or name their path by "
            "`init`"
        )
    return start


def head_of(net: CheckedNet) -> tuple[str, ...]:
    """The parameters of the last layer."""
    last = part_names(net.spec.layers)[-1]
    return tuple(p.name for p in net.params if p.name.startswith(f"{last}."))


def _of_checkpoint(net: CheckedNet, path: Path, without: Collection[str]) -> Start:
    is_run = path.is_dir() and not (path / checkpoint.MANIFEST).exists()
    place = path / CHECKPOINT if is_run else path
    saved = checkpoint.load(place)
    wanted = {path: shape for path, shape in net.shapes.items() if path not in without}
    if problems := [*_differences(wanted, saved.tensors, without)]:
        raise WeightsError(f"{place} does not fit {net.spec.name}; nothing was written", problems)
    tensors = {name: saved.tensors[name] for name in wanted}
    normalise = normalise_of(saved) if isinstance(saved.meta.get("normalise"), dict) else None
    return Start(tensors, normalise, checkpoint.digest_of(place), (), named_classes(saved))


def named_classes(saved: checkpoint.Checkpoint) -> tuple[str, ...]:
    """The names of a checkpoint's classes; none where it was imported without names."""
    classes = saved.meta.get("classes")
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    return () if "imported" in saved.meta and names == tuple(map(str, range(len(names)))) else names


def _is_of_net(name: str) -> bool:
    """Whether a tensor of a checkpoint belongs to the net: moments have a slash, counters no dot."""
    return "." in name and "/" not in name


def _differences(wanted: dict[str, tuple[int, ...]], held: dict[str, Array], without: Collection[str]) -> Iterator[str]:
    theirs = [name for name in held if _is_of_net(name)]
    if wanted.keys().isdisjoint(theirs):
        shown, ours = ", ".join(theirs[:FEW]), ", ".join([*wanted][:FEW])
        yield f"none of its {len(theirs):,} names is one of the net: it has {shown}, wants {ours}; give the net's run"
        return
    for name, shape in wanted.items():
        if name not in held:
            yield f"missing: {name} {list(shape)} ({name})"
        elif held[name].shape != shape:
            yield f"wrong shape: {name} wants {list(shape)}, got {list(held[name].shape)} ({name})"
    for name, tensor in held.items():
        if _is_of_net(name) and name not in wanted and name not in without:
            yield f"unexpected: {name} {list(tensor.shape)}"
