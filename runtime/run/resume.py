"""Where a run goes on: from its newest whole checkpoint, and what may have changed since it stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netc.netspec.errors import UserError
from netc.runtime.data.dataset import Dataset
from netc.runtime.files import read_regular
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint import Checkpoint, CheckpointError
from netc.runtime.run.config import RunConfig, check_config_file, check_spec_file, read_config
from netc.traces.read import LARGEST
from netc.traces.write import Accept, Seal

KEPT = "step-"
"""What the names of the checkpoints before `last` begin with; the step follows, in eight digits."""

Notice = Callable[[str], None]


@dataclass(frozen=True)
class LeftOff:
    """A run to go on with: what it is from here on, and the checkpoint, or None to begin anew from its seed.

    `name` is the checkpoint's; it is empty without one.
    """

    config: RunConfig
    saved: Checkpoint | None
    name: str = ""

    @property
    def step(self) -> int:
        """Steps that are done."""
        return step_of(self.saved)

    @property
    def seal(self) -> Seal | None:
        """The bytes of the trace that the checkpoint binds, or None of one that is too old to say."""
        table = self.saved.meta.get("trace") if self.saved else None
        return Seal(int(table["bytes"]), str(table["sha256"])) if isinstance(table, dict) else None  # type: ignore[arg-type]


def step_of(saved: Checkpoint | None) -> int:
    """The steps that were done when a run's checkpoint was made; 0 without one."""
    step = saved.meta.get("step") if saved else 0
    if not isinstance(step, int):
        raise CheckpointError(f"a run's checkpoint wants a step, got {step!r}; it was not made by netc train")
    return step


def tidy(folder: Path, keep: int) -> None:
    """Remove what a killed process left in a run's folder, but for a checkpoint that is one of the last `keep`.

    Nobody else may write there meanwhile.
    """
    replaced = folder / ".last.old"
    if keep > 1 and replaced.is_dir() and (folder / "last").is_dir():
        _keep(replaced, folder)
    checkpoint.tidy(folder)
    for name in ("run.json", "spec.toml", "config.toml"):
        for half in folder.glob(f".{name}.new*"):
            half.unlink()


def _keep(replaced: Path, folder: Path) -> None:
    """Give a `last` that was replaced the name that it was to have next, if it is whole and of another step."""
    try:
        step = step_of(checkpoint.load(replaced))
        newer = step_of(checkpoint.load(folder / "last"))
    except CheckpointError:
        return
    if step != newer and not (folder / kept_name(step)).exists():
        replaced.rename(folder / kept_name(step))


def kept(folder: Path) -> list[Path]:
    """The checkpoints before `last`, the newest first."""
    return sorted((p for p in folder.glob(f"{KEPT}*") if p.name.removeprefix(KEPT).isdigit()), reverse=True)


def kept_name(step: int) -> str:
    """The name of the checkpoint after so many steps, once it is no longer `last`."""
    return f"{KEPT}{step:08d}"


def left_off(folder: Path, config: RunConfig, per_epoch: int, noted: Notice) -> LeftOff:
    """Where the run in `folder` goes on as `config`, which may have more epochs than its run.json says.

    That is `last`, or, where it is damaged or gone, the newest whole checkpoint before it, of which `noted` is told. A
    run whose state was drawn has none before its first; it then begins anew. Raises CheckpointError where no checkpoint
    is whole, and UserError for a file of the run that was altered, and for epochs that were begun already.
    """
    held = read_config(folder)
    check_spec_file(folder)
    check_config_file(folder)
    name, saved = _newest(folder, config, per_epoch, noted)
    step = step_of(saved)
    if saved is not None and saved.meta.get("spec_sha256") != config.net.digest:
        raise UserError(f"{folder / name} belongs to another spec than run.json; the run cannot be continued")
    begun = -(-step // per_epoch)
    if config.training.epochs < begun:
        raise UserError(
            f"`epochs` wants at least the {begun} that {folder} has started, got {config.training.epochs}; give more"
        )
    earlier = _earlier(held, config, step)
    return LeftOff(dataclasses.replace(config, earlier=earlier, train_sha256=held.train_sha256), saved, name)


def _earlier(held: RunConfig, config: RunConfig, step: int) -> tuple[tuple[int, int], ...]:
    """How many epochs the schedule had before which step; what was trained after `step` is trained again."""
    pairs = [*held.earlier, *([(step, held.training.epochs)] if held.training.epochs != config.training.epochs else [])]
    found: dict[int, int] = {}
    for before, epochs in pairs:
        found.setdefault(min(before, step), epochs)
    return tuple((before, epochs) for before, epochs in found.items() if before)


def _newest(folder: Path, config: RunConfig, per_epoch: int, noted: Notice) -> tuple[str, Checkpoint | None]:
    if (
        not checkpoint.exists(folder / "last")
        and not (config.init or config.recipe.distilling.teacher)
        and _is_early(folder, per_epoch)
    ):
        return "", None
    try:
        return "last", checkpoint.load(folder / "last")
    except CheckpointError as error:
        whole = sorted(_whole(folder), key=lambda pair: step_of(pair[1]), reverse=True)
        if not whole:
            raise
        name, saved = whole[0]
        noted(f"{error}; going on from {folder / name}, after step {step_of(saved) - 1}")
        return name, saved


def _whole(folder: Path) -> Iterator[tuple[str, Checkpoint]]:
    for path in [*kept(folder), folder / "best"]:
        try:
            yield path.name, checkpoint.load(path)
        except CheckpointError:
            continue


def _is_early(folder: Path, per_epoch: int) -> bool:
    """Whether the trace is not beyond the first epoch: a header, its steps, and its evaluation."""
    trace = folder / "trace.jsonl"
    lines = read_regular(trace, LARGEST).count(b"\n") if trace.exists() else 0
    return lines <= per_epoch + 2 and not checkpoint.exists(folder / "best") and not kept(folder)


def damaged(folder: Path) -> dict[str, CheckpointError]:
    """The checkpoints besides `last` that are not whole, and why."""
    found: dict[str, CheckpointError] = {}
    for path in [*kept(folder), folder / "best"]:
        if checkpoint.exists(path):
            try:
                checkpoint.load(path)
            except CheckpointError as error:
                found[path.name] = error
    return found


def accepted(config: RunConfig, data: Dataset, *, same_bits: bool) -> Accept:
    """What of its trace's header a run may go on without.

    The number of epochs, where it was extended, and what becomes of damaged images; the test part of its data, if the
    training part is the same; and, unless it is to have the `same_bits`, what computes it.
    """

    def extended(theirs: Any, ours: Any) -> bool:
        return bool(_without_end(theirs) == _without_end(ours))

    def trained(theirs: Any, ours: Any) -> bool:
        return config.train_sha256 != "" and data.train_digest == config.train_sha256

    def other(theirs: Any, ours: Any) -> bool:
        return not same_bits

    by = dict.fromkeys(("target", "module_sha256", "program_sha256", "versions"), other)
    return {"recipe": extended, "data_sha256": trained, **by}


def _without_end(recipe: Any) -> Any:
    """A recipe without what says when its run ends, and whether damaged images, which it met none of, are refused."""
    if images := {k: v for k, v in recipe.get("preprocess", {}).items() if k != "on_damaged"}:
        recipe = {**recipe, "preprocess": images}
    else:
        recipe = {k: v for k, v in recipe.items() if k != "preprocess"}
    kept = {k: v for k, v in recipe.get("schedule", {}).items() if k not in ("epochs", "patience", "min_delta")}
    return {**recipe, "schedule": kept}


CHANGES = {
    "recipe": "the run has another end, or takes damaged images in another way",
    "data_sha256": "the test part of the data changed; the training part is the same",
    "target": "the run has another target",
    "module_sha256": "the program is another text",
    "program_sha256": "the program is another, before any target's forms",
    "versions": "other versions compute it",
}
"""What a change of a header's field says."""


def change_of(name: str, before: RunConfig, now: RunConfig) -> str:
    """What a change of a header's field says of a run; of its recipe, which part of it changed and what it was."""
    ends = [(word, getattr(before.training, word), getattr(now.training, word)) for word in ("epochs", "patience")]
    parts = [f"{word} {new:,} after {old:,}" for word, old, new in ends if new != old]
    found = [f"the run has another end ({', '.join(parts)})"] if parts else []
    old, new = before.preprocess.on_damaged, now.preprocess.on_damaged
    if old != new:
        found.append(f"the run takes damaged images in another way (on_damaged {new} after {old})")
    return " and ".join(found) if name == "recipe" and found else CHANGES[name]
