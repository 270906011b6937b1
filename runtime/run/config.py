"""A run: what is trained, how, on what, where, and the folder that holds all of it.

`<folder>/run.json` says everything that is needed to continue, `<folder>/spec.toml` the net, `config.toml` what makes
the same run again (netc/config_text.py), `trace.jsonl` and
`timing.jsonl` what happened, and `last`, `best` and `step-*` are checkpoints. run.json ends with the SHA-256 of what
stands above it. docs/runs.md is the page for its reader.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netc.codegen.sharding.mesh import Sharding, parse_sharding
from netc.netspec.augment import Augment
from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError, reason
from netc.netspec.feeding import Feeding
from netc.netspec.loss import LOSSES
from netc.netspec.optimizers import optimizer_kinds
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.recipe_fit import example_of
from netc.netspec.schedules import SCHEDULES
from netc.netspec.toml import from_toml, to_toml
from netc.netspec.train_size import at_train_size
from netc.netspec.types import TensorType
from netc.runtime.data.batches import Normalise
from netc.runtime.data.target_scale import TargetScale
from netc.runtime.files import read_regular, write_whole
from netc.runtime.run.checkpoint import Checkpoint, CheckpointError, load
from netc.runtime.run.records import NEWER, mapping, read, read_kind, typed, written

FORMAT = 1
LARGEST = 4 << 20  # bytes of run.json and spec.toml
SEAL = "run_sha256"  # of run.json's bytes without this field


@dataclass(frozen=True)
class Saving:
    """When a run saves its state besides the ends of its epochs, and how many checkpoints it keeps.

    After `every` steps, after `minutes` of training; 0 is never. `keep` counts `last` and those before it.
    Raises UserError for a number that is too small.
    """

    every: int = 0
    minutes: float = 10.0
    keep: int = 1

    def __post_init__(self) -> None:
        for word, given, least in (
            ("checkpoint_every", self.every, 0),
            ("checkpoint_minutes", self.minutes, 0),
            ("keep", self.keep, 1),
        ):
            if not least <= given < math.inf:
                raise UserError(f"`{word}` wants {least} or more, got {given:g}; leave it out")


@dataclass(frozen=True)
class Logging:
    """Which logs a run writes besides its trace (runtime/logs), and of which steps: each that `every` divides."""

    to: tuple[str, ...] = ()
    every: int = 10


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes. `net` has the input shape and classes that are tested; it is
    trained at the same size of image unless `augment.train_size` says another.

    `data` is empty for weights that were imported and have not been trained here. `init` is the SHA-256 of the weights
    that the run began with, or empty if they were drawn; `init_path` is where they lay, and with `new_head` the last
    layer was drawn all the same. `choices` are the forms of single convolutions that are not what the target's table
    says (rewrite/form_overrides.py). `preprocess`: what every image goes through. `steps_per_call`, `saving` and
    `logging` change no bit of the run's trace, which does not name them. `train_sha256` is the digest of the training
    part of the data, or empty where it is not known by itself.
    `devices` run the program together, each on an equal part of a batch; or it is split over a `mesh` of devices as
    `shard` says, words of codegen/sharding/mesh.py, which change no step but by rounding.
    `memory_budget` are the bytes for which the recipe's `remat_blocks` were chosen, 0 where they were not.
    `earlier` are pairs (step, epochs) of a run that was extended: before that step it was one of so many epochs.
    """

    net: CheckedNet
    recipe: Recipe
    training: TrainConfig
    data: str
    seed: int
    target: str
    augment: Augment
    init: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    steps_per_call: int = 1
    init_path: str = ""
    new_head: bool = False
    train_sha256: str = ""
    earlier: tuple[tuple[int, int], ...] = ()
    saving: Saving = Saving()
    feeding: Feeding = Feeding()  # noqa: RUF009  # frozen
    logging: Logging = Logging()
    preprocess: Preprocess = PLAIN
    devices: int = 1
    mesh: str = ""
    shard: str = ""
    memory_budget: int = 0

    @property
    def sharding(self) -> Sharding | None:
        """What `mesh` and `shard` say; raises UserError."""
        return parse_sharding(self.mesh or None, self.shard or None)

    @property
    def devices_asked(self) -> tuple[int, str]:
        """How many devices the run is of, and the word that says so."""
        sharding = self.sharding
        return (sharding.mesh.size, "mesh") if sharding else (self.devices, "devices")

    @property
    def trained_net(self) -> CheckedNet:
        """The net at the size of image that it is trained at; the parameters are those of `net`."""
        return at_train_size(self.net, self.augment.train_size)

    @property
    def example(self) -> TensorType:
        """The type of one example of its data: the net's input, or what a process makes that of."""
        return example_of(self.net, self.recipe)

    def training_at(self, step: int) -> TrainConfig:
        """The config that step `step` follows."""
        if not self.earlier:
            return self.training
        epochs = next((e for before, e in self.earlier if step < before), self.training.epochs)
        return dataclasses.replace(self.training, epochs=epochs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` gives the equal config."""
        return {
            "format": FORMAT,
            "spec": to_toml(self.net.spec),
            "recipe": written(self.recipe),
            "schedule": _written_training(self.training),
            "data": self.data,
            "seed": self.seed,
            "target": self.target,
            "augment": written(self.augment),
            "init": self.init,
            **({"init_path": self.init_path} if self.init_path else {}),
            **({"new_head": True} if self.new_head else {}),
            **({"choices": dict(self.choices)} if self.choices else {}),
            **({"steps_per_call": self.steps_per_call} if self.steps_per_call != 1 else {}),
            **({"train_sha256": self.train_sha256} if self.train_sha256 else {}),
            **({"earlier": [list(pair) for pair in self.earlier]} if self.earlier else {}),
            **({"preprocess": written(self.preprocess)} if self.preprocess != PLAIN else {}),
            **({"saving": written(self.saving)} if self.saving != Saving() else {}),
            **({"feeding": written(self.feeding)} if self.feeding != Feeding() else {}),
            **({"logging": written(self.logging)} if self.logging != Logging() else {}),
            **({"devices": self.devices} if self.devices != 1 else {}),
            **({"mesh": self.mesh} if self.mesh else {}),
            **({"shard": self.shard} if self.shard else {}),
            **({"memory_budget": self.memory_budget} if self.memory_budget else {}),
        }

    @property
    def recipe_json(self) -> dict[str, Any]:
        """The parts that a trace's header calls the recipe."""
        plain = self.to_json()
        begun = ("init",) if self.init else ()
        new_head = ("new_head",) if self.new_head else ()
        fed = ("feeding",) if self.feeding != Feeding() else ()
        preprocess = ("preprocess",) if self.preprocess != PLAIN else ()
        return {k: plain[k] for k in ("recipe", "schedule", "augment", *preprocess, *begun, *new_head, *fed)}


def from_json(table: Mapping[str, Any], where: str) -> RunConfig:
    """The config that `to_json` wrote; raises UserError for a field that is missing, unknown or of another type."""
    if table.get("format") != FORMAT:
        raise UserError(f"{where}: wants run format {FORMAT}, got {table.get('format')!r}; use the netc that wrote it")
    if unknown := sorted(table.keys() - KNOWN):
        raise UserError(f"{where} wants no field but {', '.join(sorted(KNOWN))}, got also {unknown[0]!r}; {NEWER}")
    fields = {name: typed(want, table.get(name), f"{where}: {name}") for name, want in _FIELDS.items()}
    recipe = mapping(table.get("recipe"), f"{where}: recipe")
    chosen = {
        "optimizer": read_kind(optimizer_kinds, recipe.get("optimizer"), f"{where}: recipe.optimizer"),
        "loss": read_kind(lambda: LOSSES, recipe.get("loss"), f"{where}: recipe.loss"),
    }
    return RunConfig(
        check(from_toml(fields["spec"], f"{where}: spec")),
        read(Recipe, recipe, f"{where}: recipe", chosen).check(),
        _read_training(table.get("schedule"), f"{where}: schedule").check(),
        fields["data"], fields["seed"], fields["target"],
        read(Augment, table.get("augment"), f"{where}: augment"),
        typed(str, table.get("init", ""), f"{where}: init"),
        _choices(table.get("choices", {}), f"{where}: choices"),
        typed(int, table.get("steps_per_call", 1), f"{where}: steps_per_call"),
        typed(str, table.get("init_path", ""), f"{where}: init_path"),
        typed(bool, table.get("new_head", False), f"{where}: new_head"),
        typed(str, table.get("train_sha256", ""), f"{where}: train_sha256"),
        _earlier(table.get("earlier", []), f"{where}: earlier"),
        read(Saving, table.get("saving", {}), f"{where}: saving"),
        read(Feeding, table.get("feeding", {}), f"{where}: feeding").check(),
        read(Logging, table.get("logging", {}), f"{where}: logging"),
        read(Preprocess, table.get("preprocess", {}), f"{where}: preprocess"),
        typed(int, table.get("devices", 1), f"{where}: devices"),
        typed(str, table.get("mesh", ""), f"{where}: mesh"),
        typed(str, table.get("shard", ""), f"{where}: shard"),
        typed(int, table.get("memory_budget", 0), f"{where}: memory_budget"),
    )  # fmt: skip


_FIELDS: dict[str, type] = {"spec": str, "data": str, "seed": int, "target": str}
KNOWN = frozenset({"format", "recipe", "schedule", "augment", "init", "choices", "steps_per_call", "init_path"})
KNOWN |= {*_FIELDS, "new_head", "train_sha256", "earlier", "saving", "feeding", "logging", "preprocess", "devices"}
KNOWN |= {"mesh", "shard", "memory_budget"}


def _written_training(config: TrainConfig) -> dict[str, Any]:
    """The schedule is its word, and its options stand beside it."""
    schedule = config.schedule
    plain = written(config)  # in the order of the fields
    return {**plain, "decay": schedule.kind, **{k: v for k, v in written(schedule).items() if k != "kind"}}


def _read_training(value: Any, where: str) -> TrainConfig:
    given = mapping(value, where)
    own = {f.name for f in dataclasses.fields(TrainConfig)}
    decay = {"kind": given.get("decay", "cosine"), **{k: v for k, v in given.items() if k not in own}}
    return read(TrainConfig, {k: v for k, v in given.items() if k in own}, where, {
        "decay": read_kind(lambda: SCHEDULES, decay, f"{where}.decay")
    })  # fmt: skip


def _choices(value: Any, where: str) -> dict[str, str]:
    return {key: typed(str, form, f"{where}: {key}") for key, form in mapping(value, where).items()}


def _earlier(value: Any, where: str) -> tuple[tuple[int, int], ...]:
    pairs: tuple[tuple[int, ...], ...] = typed(tuple[tuple[int, ...], ...], value, where)
    if any(len(pair) != 2 for pair in pairs):
        raise UserError(f"{where} wants pairs of a step and a number of epochs, got others; is it a run's file?")
    return tuple((pair[0], pair[1]) for pair in pairs)


def writable(config: RunConfig) -> RunConfig:
    """The config itself; raises UserError for one that `read_config` would refuse once it is written."""
    try:
        from_json(config.to_json(), "run.json")
    except UserError as error:
        raise UserError(f"{str(error).partition('; ')[0]}; give a value that is allowed") from error
    return config


def write_config(folder: Path, config: RunConfig, text: str = "") -> None:
    """Write run.json and spec.toml, and `text` as config.toml, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    if text:
        write_whole(folder / "config.toml", text + _seal_of(text.encode("utf-8")))
    write_whole(folder / "spec.toml", to_toml(config.net.spec))
    write_whole(folder / "run.json", _sealed(config.to_json()))


def _sealed(table: Mapping[str, Any]) -> str:
    body = json.dumps(table, indent=1, allow_nan=False)
    digest = hashlib.sha256(body.encode("ascii")).hexdigest()
    return json.dumps({**table, SEAL: digest}, indent=1, allow_nan=False) + "\n"


def read_config(folder: Path) -> RunConfig:
    """The config of a run; raises UserError if the folder holds none, or one that was altered."""
    path = folder / "run.json"
    try:
        text = read_regular(path, LARGEST).decode("utf-8")
        table = json.loads(text)
    except FileNotFoundError as error:
        around = folder.parent  # of a checkpoint, the run
        advice = f"give {around}" if (around / "run.json").is_file() else "give the folder that it printed"
        got = f"{folder} without run.json" if folder.exists() else f"{folder}, nothing there"
        raise UserError(f"RUN wants a folder that `netc train` made, got {got}; {advice}") from error
    except NotADirectoryError as error:
        raise UserError(f"RUN wants a folder that `netc train` made, got the file {folder}; give its folder") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({reason(error)}); the run cannot be continued without it") from error
    if not isinstance(table, dict):
        raise UserError(f"{path}: wants a JSON object, got {type(table).__name__}; is it a run's file?")
    if SEAL in table and not _is_sealed({k: v for k, v in table.items() if k != SEAL}, text):
        raise UserError(
            f"{path} wants to agree with its own SHA-256, got a file that does not; it was altered: put it back, or, "
            f"if you altered it on purpose, remove {SEAL}"
        )
    return from_json({k: v for k, v in table.items() if k != SEAL}, str(path))


def _is_sealed(table: Mapping[str, Any], text: str) -> bool:
    try:
        return _sealed(table) == text
    except ValueError:  # a bare NaN, which Python reads and we never write
        return False


def check_spec_file(folder: Path) -> None:
    """Raise UserError if spec.toml, which people read, is not the net that run.json, which netc reads, says."""
    path = folder / "spec.toml"
    try:
        text = read_regular(path, LARGEST)
    except FileNotFoundError:
        return
    table = json.loads(read_regular(folder / "run.json", LARGEST))
    if text != table["spec"].encode("utf-8"):
        raise UserError(
            f"{path} wants the net that run.json holds, got another one; it was altered, which changes nothing in this "
            "run: put it back or move it away, and start a new run with the changed net"
        )


def _seal_of(above: bytes) -> str:
    return f"# SHA-256 of what stands above: {hashlib.sha256(above).hexdigest()}\n"


def check_config_file(folder: Path) -> None:
    """Raise UserError if config.toml, which nothing of a run is read from, is not as the run wrote it."""
    path = folder / "config.toml"
    try:
        text = read_regular(path, LARGEST)
    except FileNotFoundError:
        return
    seal = len(_seal_of(b""))
    if text[-seal:] != _seal_of(text[:-seal]).encode("ascii"):
        raise UserError(
            f"{path} wants to agree with its own SHA-256, got a file that does not; it was altered, which changes "
            "nothing of this run: put it back or move it away, and start a new run with a changed copy"
        )


def checkpoint_of(folder: Path, which: str) -> Checkpoint:
    """The checkpoint `last` or `best` of a run; raises CheckpointError."""
    return load(folder / which)


def normalise_of(saved: Checkpoint) -> Normalise:
    """The normalisation that a run was trained with."""
    table = saved.meta["normalise"]
    assert isinstance(table, dict)  # the manifest's digest was checked
    target: Any = table.get("target", {"mean": (), "std": ()})
    scale = TargetScale(tuple(target["mean"]), tuple(target["std"]))
    return Normalise(tuple(table["mean"]), tuple(table["std"]), scale)  # type: ignore[arg-type]


def stated(config: RunConfig) -> Normalise | None:
    """The normalisation that a run states, or None where it is that of its data or its first weights."""
    found = config.preprocess.statistics(config.example.shape[-1])
    return Normalise(*found) if found else None


def refuse_used(folder: Path, option: str) -> None:
    """Raise UserError if the folder that `option` names holds a run."""
    used = [n for n in ("run.json", "trace.jsonl", "timing.jsonl", "last", "best") if os.path.lexists(folder / n)]
    if used and not (used == ["last"] and _is_first(folder / "last")):
        raise UserError(
            f"{option} wants a new folder, got {folder} with {used[0]} in it; resume that run, or choose another"
        )


def _is_first(path: Path) -> bool:
    """Whether a checkpoint holds weights that were not trained yet: a run was killed before it had its run.json."""
    try:
        return load(path).meta.get("step") == 0
    except CheckpointError:
        return False


def free_folder(root: Path, stem: str) -> Path:
    """The first of `root/stem`, `root/stem-2`, .. that does not exist."""
    number = 1
    while True:
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            return folder
        number += 1
