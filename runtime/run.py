"""A run: what is trained, how, on what, where, and the folder that holds all of it.

`<folder>/run.json` says everything that is needed to continue, `<folder>/spec.toml` the net, `trace.jsonl` and
`timing.jsonl` what happened, and `last` and `best` are checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError
from netc.netspec.recipe import Adam, Optimizer, Recipe, Schedule, Sgd
from netc.netspec.toml import from_toml, to_toml
from netc.runtime.checkpoint import Checkpoint, load
from netc.runtime.data.dataset import Augment

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
    """The config that `to_json` wrote; raises UserError if something is missing or of another version."""
    try:
        if table["format"] != FORMAT:
            raise UserError(f"{where}: wants run format {FORMAT}, got {table['format']}; use the netc that wrote it")
        recipe = dict(table["recipe"])
        return RunConfig(
            check(from_toml(table["spec"], f"{where}: spec")),
            Recipe(**{**recipe, "optimizer": _optimizer(recipe["optimizer"])}).check(),
            Schedule(**table["schedule"]).check(),
            str(table["data"]), int(table["seed"]), str(table["target"]), Augment(**table["augment"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{where}: wants the fields that `netc train` writes, got {error!r}; is it a run's file?"
        ) from error


def _optimizer(table: Mapping[str, Any]) -> Optimizer:
    rest = {k: v for k, v in table.items() if k != "kind"}
    return OPTIMIZERS[table["kind"]](**rest)


def write_config(folder: Path, config: RunConfig) -> None:
    """Write run.json and spec.toml, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config.to_json(), indent=1, allow_nan=False)
    for name, content in (("spec.toml", to_toml(config.net.spec)), ("run.json", text + "\n")):
        temporary = folder / f".{name}.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / name)


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
