"""What a Lean file's TrainConfig states of a training, beside what its user says, which goes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from netc.netspec.errors import UserError
from netc.word_types import partners

NONE = "none"  # the word for no configuration


@dataclass(frozen=True)
class Stated:
    """The TrainConfig `name`: the words taken from it, those left to the user's own, and what there is to say."""

    name: str
    taken: Mapping[str, Any]
    beside: tuple[str, ...]
    notes: tuple[str, ...]


def stated(
    net: object, config: str | None, given: Mapping[str, Any], takes: frozenset[str] | None = None
) -> Stated | None:
    """What the TrainConfig of a .lean file states beside the words `given`, or None where there is none.

    `config` names it where there are several, or is "none". With `takes`, only these words are taken. Raises UserError
    for a `config` without a .lean file or without a TrainConfig of that name, for several without `config`, and for
    fields that netc cannot honour.
    """
    if not _is_lean(net):
        if config is not None:
            name = getattr(getattr(net, "spec", net), "name", net)
            raise UserError(f"`config` belongs to a .lean file, got the net {str(name)!r}; leave it out")
        return None
    if config == NONE:
        return None
    from netc.netspec.lean.config import config_of
    from netc.netspec.lean.file import divided, load, pick
    from netc.netspec.lean.found import CONFIGS

    file = load(divided(str(net))[0])
    if config is None and not file.configs:
        return None
    if config is None and len(file.configs) > 1:
        names = ", ".join(found.name for found in file.configs)
        raise UserError(
            f"{file.path} holds {len(file.configs)} TrainConfigs, {names}; choose one by `config=NAME`, or "
            "`config=none`"
        )
    found = pick(file, config, CONFIGS)
    read = found.read(config_of)
    silent = given.keys() | {name for word, value in given.items() for name in partners(word, value)}
    known = {name: value for name, value in read.options.items() if takes is None or name in takes}
    taken = {name: value for name, value in known.items() if name not in silent}
    epochs = given.get("epochs")
    if epochs is not None and taken.get("warmup", 0) > epochs:
        raise UserError(
            f"{found.name} has warmupEpochs := {taken['warmup']:g}, which needs at least as many epochs, got "
            f"`epochs={epochs}`"
            "; give `warmup` too"
        )
    return Stated(found.name, taken, tuple(n for n in known if n not in taken), read.notes)


def _is_lean(net: object) -> bool:
    if ".lean" not in str(net) or not isinstance(net, str | PathLike):  # then the reader of Lean need not be imported
        return False
    from netc.netspec.lean.file import is_lean

    return is_lean(str(net))
