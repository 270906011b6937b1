"""A run: what is trained, how, on what, where, and the folder that holds all of it.

`<folder>/run.json` says everything that is needed to continue, `<folder>/spec.toml` the net, `trace.jsonl` and
`timing.jsonl` what happened, and `last` and `best` are checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError
from netc.netspec.loss import LOSSES, Loss
from netc.netspec.recipe import Adam, Recipe, Schedule, Sgd
from netc.netspec.toml import from_toml, to_toml
from netc.runtime.checkpoint import Checkpoint, exists, load
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import Augment
from netc.runtime.files import write_whole

FORMAT = 1
OPTIMIZERS: dict[str, type[Adam] | type[Sgd]] = {"adam": Adam, "sgd": Sgd}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes. `net` has the input shape and classes that are trained.

    `data` is empty for weights that were imported and have not been trained here. `init` is the SHA-256 of the weights
    that the run began with, or empty if they were drawn; `init_path` is where they lay, and with `new_head` the last
    layer was drawn all the same. `choices` are the forms of single convolutions that are not what the target's table
    says (codegen/rewrite/choices.py). `steps_per_call` changes no bit of the run's trace, which does not name it.
    """

    net: CheckedNet
    recipe: Recipe
    schedule: Schedule
    data: str
    seed: int
    target: str
    augment: Augment
    init: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    steps_per_call: int = 1
    init_path: str = ""
    new_head: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` gives the equal config."""
        return {
            "format": FORMAT,
            "spec": to_toml(self.net.spec),
            "recipe": _without_defaults(
                {
                    **dataclasses.asdict(self.recipe),
                    "optimizer": _chosen(self.recipe.optimizer),
                    "loss": _chosen(self.recipe.loss),
                }
            ),
            "schedule": dataclasses.asdict(self.schedule),
            "data": self.data,
            "seed": self.seed,
            "target": self.target,
            "augment": dataclasses.asdict(self.augment),
            "init": self.init,
            **({"init_path": self.init_path} if self.init_path else {}),
            **({"new_head": True} if self.new_head else {}),
            **({"choices": dict(self.choices)} if self.choices else {}),
            **({"steps_per_call": self.steps_per_call} if self.steps_per_call != 1 else {}),
        }

    @property
    def recipe_json(self) -> dict[str, Any]:
        """The parts that a trace's header calls the recipe."""
        plain = self.to_json()
        begun = ("init",) if self.init else ()
        new_head = ("new_head",) if self.new_head else ()
        return {k: plain[k] for k in ("recipe", "schedule", "augment", *begun, *new_head)}


def from_json(table: Mapping[str, Any], where: str) -> RunConfig:
    """The config that `to_json` wrote; raises UserError for a field that is missing, unknown or of another type."""
    if table.get("format") != FORMAT:
        raise UserError(f"{where}: wants run format {FORMAT}, got {table.get('format')!r}; use the netc that wrote it")
    fields = dict(
        zip(_FIELDS, (_typed(want, table.get(k), f"{where}: {k}") for k, want in _FIELDS.items()), strict=True)
    )
    recipe = _mapping(table.get("recipe"), f"{where}: recipe")
    chosen = {
        "optimizer": _choice(OPTIMIZERS, recipe.get("optimizer"), f"{where}: recipe.optimizer"),
        "loss": _choice(LOSSES, recipe.get("loss"), f"{where}: recipe.loss"),
    }
    made = _record(Recipe, {**LATER, **recipe, **chosen}, f"{where}: recipe").check()
    return RunConfig(
        check(from_toml(fields["spec"], f"{where}: spec")),
        made,
        _record(Schedule, table.get("schedule"), f"{where}: schedule").check(),
        fields["data"], fields["seed"], fields["target"],
        _record(Augment, table.get("augment"), f"{where}: augment"),
        _typed(str, table.get("init", ""), f"{where}: init"),
        _choices(table.get("choices", {}), f"{where}: choices"),
        _typed(int, table.get("steps_per_call", 1), f"{where}: steps_per_call"),
        _typed(str, table.get("init_path", ""), f"{where}: init_path"),
        _typed(bool, table.get("new_head", False), f"{where}: new_head"),
    )  # fmt: skip


_FIELDS: dict[str, type] = {"spec": str, "data": str, "seed": int, "target": str}
R = TypeVar("R")

# Fields of a recipe that came after the first runs and traces were written. They are left out where they have this
# value, so that a run that does not use them has the header that it always had.
LATER: Mapping[str, Any] = {"precision": "f32", "accumulate": 1, "remat": False, "scan_blocks": False}


def _without_defaults(recipe: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in recipe.items() if k not in LATER or v != LATER[k]}


def _chosen(value: Adam | Sgd | Loss) -> dict[str, Any]:
    """The kind and the fields of one of several dataclasses, as plain JSON."""
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(value).items()}
    return {"kind": value.kind, **fields}


def _choice(table: Mapping[str, type[R]], value: Any, where: str) -> R:
    """The dataclass that `_chosen` wrote."""
    given = _mapping(value, where)
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in table:
        raise UserError(f"{where}.kind wants one of {', '.join(table)}, got {kind!r}; is it a run's file?")
    return _record(table[kind], {k: v for k, v in given.items() if k != "kind"}, where)


def _choices(value: Any, where: str) -> dict[str, str]:
    return {key: _typed(str, form, f"{where}: {key}") for key, form in _mapping(value, where).items()}


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} wants an object, got {type(value).__name__}; is it a run's file?")
    return value


def _record(cls: type[R], table: Any, where: str) -> R:
    """A dataclass of plain fields from JSON: exactly its fields, each of its type."""
    given, hints = _mapping(table, where), get_type_hints(cls)
    wanted = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if given.keys() != wanted:
        off = ", ".join(sorted(given.keys() ^ wanted))
        raise UserError(
            f"{where} wants the fields {', '.join(sorted(wanted))}, got others ({off}); is it a run's file?"
        )
    return cls(**{n: _typed(hints[n], v, f"{where}.{n}") for n, v in given.items()})


def _typed(want: Any, value: Any, where: str) -> Any:
    """`value`, if it is of the type; an integer is a number too, within the range of numbers; a list is a tuple."""
    if get_origin(want) is tuple and isinstance(value, list):
        return tuple(_typed(get_args(want)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    want = tuple if get_origin(want) is tuple else want
    if want is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    fits = isinstance(value, want) and not (isinstance(value, bool) and want is not bool)
    if not fits or (isinstance(value, float) and not math.isfinite(value)) or (want is int and abs(value) >= 2**64):
        name = getattr(want, "__name__", "value")
        raise UserError(f"{where} wants a finite {name}, got {type(value).__name__}; is it a run's file?")
    return value


def write_config(folder: Path, config: RunConfig) -> None:
    """Write run.json and spec.toml, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config.to_json(), indent=1, allow_nan=False)
    write_whole(folder / "spec.toml", to_toml(config.net.spec))
    write_whole(folder / "run.json", text + "\n")


def read_config(folder: Path) -> RunConfig:
    """The config of a run; raises UserError if the folder holds none."""
    path = folder / "run.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"RUN wants a folder that `netc train` made, got {folder} without run.json; see its --out"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}); the run cannot be continued without it") from error
    if not isinstance(table, dict):
        raise UserError(f"{path}: wants a JSON object, got {type(table).__name__}; is it a run's file?")
    return from_json(table, str(path))


def checkpoint_of(folder: Path, which: str) -> Checkpoint:
    """The checkpoint `last` or `best` of a run; raises CheckpointError."""
    return load(folder / which)


def left_off(folder: Path, config: RunConfig, per_epoch: int) -> Checkpoint | None:
    """The checkpoint that a run continues from, or None for one to begin anew from its seed.

    A run whose state was drawn writes its first checkpoint after the first epoch (`per_epoch` steps) or Ctrl-C. Raises
    CheckpointError where `last` is damaged, or missing though the trace goes on behind the first epoch.
    """
    trace = folder / "trace.jsonl"
    lines = trace.read_bytes().count(b"\n") if trace.exists() else 0
    early = lines <= per_epoch + 2  # a header, the steps of an epoch, and its evaluation
    if early and not config.init and not exists(folder / "last"):
        return None
    return checkpoint_of(folder, "last")


def normalise_of(saved: Checkpoint) -> Normalise:
    """The normalisation that a run was trained with."""
    table = saved.meta["normalise"]
    assert isinstance(table, dict)  # the manifest's digest was checked
    return Normalise(tuple(table["mean"]), tuple(table["std"]))  # type: ignore[arg-type]


def refuse_used(folder: Path, option: str) -> None:
    """Raise UserError if the folder that `option` names holds a run."""
    used = [n for n in ("run.json", "trace.jsonl", "timing.jsonl", "last", "best") if (folder / n).exists()]
    if used:
        raise UserError(
            f"{option} wants a new folder, got {folder} with {used[0]} in it; use --resume, or choose another"
        )


def free_folder(root: Path, stem: str) -> Path:
    """The first of `root/stem`, `root/stem-2`, .. that does not exist."""
    number = 1
    while True:
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            return folder
        number += 1
