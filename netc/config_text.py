"""config.toml: the whole that a training was begun with, as a file that begins the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from netc.netspec.plugins import loaded_files
from netc.netspec.toml import to_toml, write_value
from netc.netspec.words_of import words_of_recipe, words_of_training
from netc.runtime.run.config import RunConfig
from netc.train_request import SAVING, TrainRequest

HEAD = "# What this run was begun with. `netc train --config THIS` begins the same one, in another folder."


def config_text(request: TrainRequest, config: RunConfig) -> str:
    """The words of a run, those that the net, the data and the defaults decided among them."""
    own: dict[str, Any] = {
        "plugin": loaded_files(),
        "data": config.data,
        "data_dir": request.data_dir,
        "input": config.net.spec.input,
        "classes": request.classes,
        "target": config.target,
        "tuned": bool(config.choices),
        "steps_per_call": config.steps_per_call,
        "devices": config.devices if config.devices > 1 else None,
        "mesh": config.mesh or None,
        "shard": config.shard or None,
        "seed": config.seed,
        "init": config.init_path or None,
        "new_head": config.new_head,
    }
    parts: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("what, and where", own),
        ("the loop", words_of_training(config.training)),
        ("the step", words_of_recipe(config.recipe)),
        ("every image", vars(config.preprocess)),
        ("training images", vars(config.augment)),
        ("examples", vars(config.feeding)),
        ("logs", {"log": ",".join(config.logging.to) or "none", "log_every": config.logging.every}),
        ("checkpoints", {word: getattr(config.saving, name) for word, name in SAVING.items()}),
    )
    lines, tables = [HEAD], list[str]()
    for about, words in parts:
        lines += ["", f"# {about}", *_lines(words)]
        tables += _tables(words)
    spec = to_toml(config.net.spec, readable=True).replace("\n[[layers]]\n", "\n[[net.layers]]\n")
    return "\n".join([*lines, "", *tables, "[net]", spec])


def _lines(words: Mapping[str, Any]) -> Iterator[str]:
    for name, value in words.items():
        if not isinstance(value, dict) and value is not None and value != ():
            yield f"{name} = {write_value(str(value) if isinstance(value, Path) else value)}"


def _tables(words: Mapping[str, Any]) -> Iterator[str]:
    for name, value in words.items():
        if isinstance(value, dict) and (lines := [*_lines(value)]):
            yield from (f"[{name}]", *lines, "")
