"""How a run goes on: as it was begun, but for the few words that change no bit of what is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from netc.codegen.rewrite.form_overrides import NO_OVERRIDES
from netc.codegen.sharding.mesh import parse_sharding
from netc.netspec.errors import UserError
from netc.requests import Plan, saving_of
from netc.runtime.data.batches import steps_per_epoch
from netc.runtime.data.dataset import OWN, Dataset
from netc.runtime.data.examples import Batches
from netc.runtime.logs.table import logging_of
from netc.runtime.run.config import RunConfig, read_config, writable
from netc.runtime.target import parse_target
from netc.train_request import SAVING, TrainRequest, saving_types
from netc.word_types import typed

DEVICES = ("devices", "mesh", "shard")
ENDS = ("epochs", "patience")
ALLOWED = frozenset(
    {"data_dir", "target", *DEVICES, "same_bits", "log", "log_every", "workers", "on_damaged", *ENDS, *SAVING}
)
"""Words that a run may go on with."""

# of run.json, what a request does not say
_UNSAID = frozenset({"choices", "init_path", "train_sha256", "earlier", "saving", "logging", "steps_per_call"})


def resumed(folder: Path, words: Mapping[str, Any], *, same_bits: bool = True) -> RunConfig:
    """The run in `folder` as it goes on with these words; raises UserError for others, and for an imported one."""
    if refused := sorted(words.keys() - ALLOWED):
        said = ", ".join(f"`{name}`" for name in refused)
        raise UserError(f"`resume` uses the options of the run, got also {said}; leave it out, or start a new run")
    words = typed(words, {**saving_types(), **dict.fromkeys((*ENDS, "devices", "log_every", "workers"), int)})
    config = read_config(folder)
    if not config.data:
        raise UserError(f"{folder} was imported, so there is nothing to resume; train the net with `init={folder}`")
    config = replace(
        config, saving=saving_of(words, config.saving),
        logging=logging_of(words.get("log"), words.get("log_every"), config.logging),
    )  # fmt: skip
    if ends := {name: words[name] for name in ENDS if words.get(name) is not None}:
        config = replace(config, training=replace(config.training, **ends).check())
    if words.get("on_damaged") is not None:
        config = replace(config, preprocess=replace(config.preprocess, on_damaged=words["on_damaged"]))
    if words.get("target") is not None and (word := parse_target(words["target"]).word) != config.target:
        if same_bits:
            raise UserError(
                f"{folder} was started on {config.target}, got `target={word}`, which computes different bits; leave "
                "it out, or give `same_bits=False` too"
            )
        config = on_target(config, word)
    spread = on_devices(config, words)
    if spread != config and same_bits:
        got = ", ".join(f"`{name}={words[name]}`" for name in DEVICES if words.get(name) is not None)
        raise UserError(
            f"{folder} was started on {config.sharding or f'{config.devices} devices'}, got {got}, whose sums round "
            "differently; leave it out, or give `same_bits=False` too"
        )
    return writable(spread)


def on_devices(config: RunConfig, words: Mapping[str, Any]) -> RunConfig:
    """The run on the devices, or the mesh of them, that the words say: one takes the other's place. Raises UserError.

    A `shard` alone is of the mesh that it has.
    """
    devices, mesh, shard = (words.get(name) for name in DEVICES)
    if devices is not None and (mesh is not None or shard is not None):
        raise UserError("`devices` and `mesh` both say on which devices to continue; leave one of them out")
    if devices is not None:
        return replace(config, devices=devices, mesh="", shard="")
    if mesh is None and shard is None:
        return config
    found = parse_sharding(mesh or config.mesh or None, config.shard or None if shard is None else shard)
    return replace(config, devices=1, mesh=str(found.mesh) if found else "", shard=found.shard if found else "")


def on_target(config: RunConfig, word: str) -> RunConfig:
    """The run as it goes on on another target: without its mesh where that has none."""
    config = config if parse_target(word).partitions else replace(config, mesh="", shard="")
    return replace(config, target=word, choices=NO_OVERRIDES)


def begun_already(request: TrainRequest, plan: Plan, *, same_bits: bool = True) -> Plan | None:
    """The plan of going on with the run in the plan's folder, or None if there is none.

    Raises UserError for a run that another request began.
    """
    if not (plan.folder / "run.json").exists():
        return None
    held, config = read_config(plan.folder), plan.config
    if not same_bits and held.target != config.target:
        held = on_target(held, config.target)
    if not same_bits:
        held = replace(held, devices=config.devices, mesh=config.mesh, shard=config.shard)
    if config.memory_budget and not config.recipe.remat_blocks:  # it chose the run's, which stay
        config = replace(config, recipe=replace(config.recipe, remat_blocks=held.recipe.remat_blocks))
    if found := [*_differences(held.to_json(), config.to_json())]:
        raise UserError(
            f"`auto_resume` wants the options that started {plan.folder}, got others: {'; '.join(found)}; give those, "
            f"another `out`, or continue with `resume={plan.folder}`"
        )
    refuse_other_data(held, plan.data, plan.folder)
    logging = logging_of(request.log, request.log_every, held.logging)
    return replace(plan, config=replace(held, saving=saving_of(request.saving, held.saving), logging=logging))


def refuse_no_longer(held: RunConfig, config: RunConfig, data: Dataset) -> None:
    """Raise UserError for more epochs of a run that `max_steps` ends."""
    most, per_epoch = held.training.max_steps, steps_per_epoch(len(data.train), held.training.batch)
    if most and config.training.epochs > held.training.epochs and held.training.steps(per_epoch) == most:
        raise UserError(
            f"`max_steps` ends this run after step {most:,}, got also `epochs={config.training.epochs}`; leave it out, "
            "or start a new run with more `max_steps`"
        )


def refuse_other_data(config: RunConfig, data: Dataset, folder: Path) -> None:
    """Raise UserError for data that a run cannot go on with: another training part, or a generator."""
    if isinstance(data.train, Batches) and data.train.once:
        raise UserError(
            f"{folder} was trained on batches from a generator, which cannot be read again; start a new run with "
            "a function of the epoch in its place"
        )
    if config.train_sha256 in ("", data.train_digest):
        return
    if config.data.startswith(OWN):
        raise UserError(
            f"{folder} was trained on other arrays (SHA-256 {config.train_sha256[:12]}), got ones of "
            f"{data.train_digest[:12]}; give the same ones, or start a new run"
        )
    raise UserError(
        f"{folder} was trained on other data: the training part of {data.name} was SHA-256 "
        f"{config.train_sha256[:12]}, and is {data.train_digest[:12]} now; put it back, or start a new run"
    )


def _differences(held: dict[str, Any], ours: dict[str, Any], where: str = "") -> Iterator[str]:
    """Each field that differs, with what it is in the run and what it would be."""
    for name in sorted(held.keys() | ours.keys()):
        there, here, path = held.get(name), ours.get(name), f"{where}{name}"
        if there == here or path in _UNSAID:
            continue
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _differences(there, here, f"{path}.")
        elif name == "spec":
            yield "another net"
        else:
            yield f"{path} ({there} there, {here} here)"
