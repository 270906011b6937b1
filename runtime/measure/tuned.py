"""What `netc tune` found, kept: for a target on this machine, the fastest form of each convolution it measured.

And as a table in a file that people share: the same text, kept here for a target of the same kind.

One file for each (target, CPU, compiler) lies under the cache's root, `tuned/<digest>.json`. It says how the numbers
came about and carries a digest of itself; a file that does not fit is reported and left aside, and the next
`netc tune` writes it anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.netspec.errors import UserError, reason
from netc.runtime.compile import COMPILER, host_cpu, version_of
from netc.runtime.files import made_for, read_regular, write_whole
from netc.runtime.target import Target

FORMAT = 1
LARGEST = 4 << 20  # bytes
Notice = Callable[[str], None]
_DAMAGES = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
# jaxlib's GPU plugins: with one of them the same target word is another machine
_PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin", "jax-rocm60-plugin", "jax-rocm7-plugin")


@dataclass(frozen=True)
class Winner:
    """The fastest form of one convolution, what the target's table says, and the fastest time of each in ms.

    `table_ms` is 0 where the table's own form could not be measured.
    """

    form: str
    table: str
    ms: float
    table_ms: float


@dataclass(frozen=True)
class Tuned:
    """What is kept for one target on one CPU with one compiler. `nets` are the nets that were tuned, oldest first."""

    target: str
    cpu: str
    compiler: str
    nets: tuple[str, ...]
    updated: datetime
    winners: Mapping[str, Winner]

    @property
    def choices(self) -> FormOverrides:
        """From the key of a convolution to the name of its form."""
        return {key: winner.form for key, winner in self.winners.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of what decides whether it holds: target, CPU and compiler."""
        return hashlib.sha256("\n".join((self.target, self.cpu, self.compiler)).encode()).hexdigest()


def nothing_for(target: Target) -> Tuned:
    """What is kept for a target before anything was measured: it names the machine as it is."""
    return Tuned(target.word, host_cpu(), _compiler(target), (), datetime.now(UTC), {})


def _compiler(target: Target) -> str:
    if target.ahead:
        return f"{COMPILER} {version_of(COMPILER)}"
    parts = [f"{p} {v}" for p in ("jaxlib", *_PLUGINS) if (v := version_of(p))]
    platforms = os.environ.get("JAX_PLATFORMS")
    return " ".join(parts + ([f"on {platforms}"] if platforms else []))


def _folder(root: Path) -> Path:
    return root / "tuned"


def path_of(root: Path, tuned: Tuned) -> Path:
    """Where it is kept."""
    return _folder(root) / f"{tuned.digest}.json"


def tuned_for(target: Target, root: Path, on_damage: Notice) -> Tuned:
    """What is kept for a target on this machine; without winners where there is nothing."""
    empty = nothing_for(target)
    return _read(path_of(root, empty), on_damage) or empty


def choices_for(target: Target, root: Path, on_damage: Notice) -> FormOverrides:
    """The forms chosen on this machine for a target: none for one that is not tuned."""
    return tuned_for(target, root, on_damage).choices if target.compiled else NO_OVERRIDES


def keep(target: Target, root: Path, net: str, winners: Mapping[str, Winner], on_damage: Notice) -> Path:
    """Add the winners to what is kept for the target. Raises UserError where the root cannot be written."""
    return _kept(target, root, (net,), winners, on_damage)


def write_table(target: Target, root: Path, path: Path, on_damage: Notice) -> Tuned:
    """Write what is kept for the target on this machine, for others. Raises UserError where there is nothing."""
    held = tuned_for(target, root, on_damage)
    if not held.winners:
        raise UserError(f"a table wants what `netc tune NET` kept for {target.word}, got nothing; tune a net first")
    write_whole(made_for(path), _to_text(held))
    return held


def read_table(path: Path) -> Tuned:
    """The table of a file that `write_table` wrote, on any machine. Raises UserError for another or damaged file."""
    try:
        return _parsed(read_regular(path, LARGEST))
    except FileNotFoundError as error:
        said = f"`table_in` wants a table that `netc tune --to` wrote, got {path}, nothing there; check the path"
        raise UserError(said) from error
    except IsADirectoryError as error:
        said = f"`table_in` wants a table that `netc tune --to` wrote, got the folder {path}; name the file in it"
        raise UserError(said) from error
    except _DAMAGES as error:
        raise UserError(
            f"`table_in` wants a table that `netc tune --to` wrote, got another file, {path} ({reason(error)}); "
            "check the path"
        ) from error


def adopt(table: Tuned, target: Target, root: Path, on_damage: Notice) -> Path:
    """Keep a table's forms for the target on this machine, in the place of what is kept for the same convolutions.

    Raises UserError for a table of another kind of target.
    """
    if table.target.partition(":")[0] != target.word.partition(":")[0]:
        raise UserError(f"a table for `target={target.word}` wants that kind of target, got one of {table.target}")
    here = nothing_for(target)
    origin = "" if (table.cpu, table.compiler) == (here.cpu, here.compiler) else f" (on {table.cpu})"
    return _kept(target, root, [f"{net}{origin}" for net in table.nets], table.winners, on_damage)


def _kept(target: Target, root: Path, added: Sequence[str], winners: Mapping[str, Winner], on_damage: Notice) -> Path:
    path = path_of(root, nothing_for(target))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            held = tuned_for(target, root, on_damage)
            nets = (*(n for n in held.nets if n not in added), *added)
            made = Tuned(
                held.target, held.cpu, held.compiler, nets, datetime.now(UTC), {**held.winners, **winners}
            )  # fmt: skip
            write_whole(path, _to_text(made))
    except PermissionError as error:
        raise UserError(f"the cache {root} cannot be written ({error.strerror}); set NETC_CACHE_DIR") from error
    return path


def all_tuned(root: Path, on_damage: Notice) -> tuple[Tuned, ...]:
    """Everything that is kept, of this and of other machines, in order of target."""
    paths = sorted(_folder(root).glob("*.json"))
    found = [tuned for path in paths if (tuned := _read(path, on_damage))]
    return tuple(sorted(found, key=lambda t: (t.target, t.updated)))


def remove(root: Path, digests: frozenset[str] | None = None) -> int:
    """Remove the files of these digests, or all, damaged ones too; the bytes that they had."""
    freed = 0
    for path in _folder(root).glob("*.json"):
        if digests is None or path.stem in digests:
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    return freed


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _to_text(tuned: Tuned) -> str:
    body: dict[str, Any] = {
        "format": FORMAT, "target": tuned.target, "cpu": tuned.cpu, "compiler": tuned.compiler,
        "nets": list(tuned.nets), "updated": tuned.updated.isoformat(),
        "winners": {key: asdict(w) for key, w in sorted(tuned.winners.items())},
    }  # fmt: skip
    body["sha256"] = hashlib.sha256(_canonical(body).encode()).hexdigest()
    return json.dumps(body, indent=1, allow_nan=False) + "\n"


def _read(path: Path, on_damage: Notice) -> Tuned | None:
    try:
        found = _parsed(read_regular(path, LARGEST))
        if found.digest != path.stem:
            raise ValueError("it is of another machine or compiler")
        return found
    except FileNotFoundError:
        return None
    except _DAMAGES as error:
        on_damage(
            f"what `netc tune` kept in {path.name[:12]} is damaged ({reason(error)}) and is not used; run it again"
        )
        return None


def _parsed(content: bytes) -> Tuned:
    """What a text says; raises one of _DAMAGES."""
    body = json.loads(content)
    sha256 = body.pop("sha256")
    if body["format"] != FORMAT or hashlib.sha256(_canonical(body).encode()).hexdigest() != sha256:
        raise ValueError("its digest is another")
    winners = {key: Winner(**w) for key, w in body["winners"].items()}
    if not all(_sound(key, w) for key, w in winners.items()):
        raise ValueError("it names a form that this netc does not have")
    nets, updated = tuple(map(str, body["nets"])), datetime.fromisoformat(body["updated"])
    return Tuned(str(body["target"]), str(body["cpu"]), str(body["compiler"]), nets, updated, winners)


def _sound(key: str, winner: Winner) -> bool:
    known = CONV_FORMS.get(key.partition(" ")[0], {})
    numbers = (winner.ms, winner.table_ms)
    return winner.form in known and winner.table in known and all(math.isfinite(n) and n >= 0 for n in numbers)
