"""A run: what is trained, how, on what, where, and the folder that holds all of it.

`<folder>/run.json` says everything that is needed to continue, `<folder>/spec.toml` the net, `trace.jsonl` and
`timing.jsonl` what happened, and `last` and `best` are checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError
from netc.netspec.recipe import Adam, Recipe, Schedule, Sgd
from netc.netspec.toml import from_toml, to_toml
from netc.runtime.checkpoint import Checkpoint, load
from netc.runtime.data.dataset import Augment
from netc.runtime.files import write_whole

FORMAT = 1
OPTIMIZERS: dict[str, type[Adam] | type[Sgd]] = {"adam": Adam, "sgd": Sgd}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes. `net` has the input shape and classes that are trained."""

    net: CheckedNet
    recipe: Recipe
    schedule: Schedule
    data: str
    seed: int
    target: str
    augment: Augment

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` gives the equal config."""
        optimizer = {"kind": self.recipe.optimizer.kind, **dataclasses.asdict(self.recipe.optimizer)}
        return {
            "format": FORMAT,
            "spec": to_toml(self.net.spec),
            "recipe": {**dataclasses.asdict(self.recipe), "optimizer": optimizer},
            "schedule": dataclasses.asdict(self.schedule),
            "data": self.data,
            "seed": self.seed,
            "target": self.target,
            "augment": dataclasses.asdict(self.augment),
        }

    @property
    def recipe_json(self) -> dict[str, Any]:
        """The parts that a trace's header calls the recipe."""
        plain = self.to_json()
        return {k: plain[k] for k in ("recipe", "schedule", "augment")}


def from_json(table: Mapping[str, Any], where: str) -> RunConfig:
    """The config that `to_json` wrote; raises UserError for a field that is missing, unknown or of another type."""
    if table.get("format") != FORMAT:
        raise UserError(f"{where}: wants run format {FORMAT}, got {table.get('format')!r}; use the netc that wrote it")
    fields = dict(
        zip(_FIELDS, (_typed(want, table.get(k), f"{where}: {k}") for k, want in _FIELDS.items()), strict=True)
    )
    recipe = _mapping(table.get("recipe"), f"{where}: recipe")
    optimizer = _mapping(recipe.get("optimizer"), f"{where}: recipe.optimizer")
    kind = optimizer.get("kind")
    if not isinstance(kind, str) or kind not in OPTIMIZERS:
        raise UserError(f"{where}: recipe.optimizer.kind wants one of {', '.join(OPTIMIZERS)}, got {kind!r}")
    chosen = _record(
        OPTIMIZERS[kind], {k: v for k, v in optimizer.items() if k != "kind"}, f"{where}: recipe.optimizer"
    )
    made = _record(Recipe, {**recipe, "optimizer": chosen}, f"{where}: recipe").check()
    return RunConfig(
        check(from_toml(fields["spec"], f"{where}: spec")),
        made,
        _record(Schedule, table.get("schedule"), f"{where}: schedule").check(),
        fields["data"], fields["seed"], fields["target"],
        _record(Augment, table.get("augment"), f"{where}: augment"),
    )  # fmt: skip


_FIELDS: dict[str, type] = {"spec": str, "data": str, "seed": int, "target": str}
R = TypeVar("R", Recipe, Schedule, Augment, Adam | Sgd)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} wants an object, got {type(value).__name__}; is it a run's file?")
    return value


def _record(cls: type[R], table: Any, where: str) -> R:
    """A dataclass of plain fields from JSON: exactly its fields, each of its type."""
    given, hints = _mapping(table, where), get_type_hints(cls)
    wanted = {f.name for f in dataclasses.fields(cls)}
    if given.keys() != wanted:
        off = ", ".join(sorted(given.keys() ^ wanted))
        raise UserError(
            f"{where} wants the fields {', '.join(sorted(wanted))}, got others ({off}); is it a run's file?"
        )
    return cls(**{n: _typed(hints[n], v, f"{where}.{n}") for n, v in given.items()})


def _typed(want: Any, value: Any, where: str) -> Any:
    """`value`, if it is of the type; an integer is a number too, within the range of numbers."""
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


def free_folder(root: Path, stem: str) -> Path:
    """The first of `root/stem`, `root/stem-2`, .. that does not exist."""
    number = 1
    while True:
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        if not folder.exists():
            return folder
        number += 1
