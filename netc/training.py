"""Train a net, and go on with a run."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from netc.config_text import config_text
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.programs import ProgramRequest, quiet, within_budget
from netc.requests import Plan, counted_classes, planned, request_training, with_tuned
from netc.resuming import begun_already, refuse_no_longer, refuse_other_data, resumed
from netc.runs import Run
from netc.runtime.cache.store import Cache
from netc.runtime.data.dataset import OWN, Dataset
from netc.runtime.data.examples import Batches
from netc.runtime.processes.group import ALONE, Together
from netc.runtime.run.config import read_config
from netc.runtime.run.ledger import StepDone
from netc.runtime.run.outcome import Outcome
from netc.runtime.train import Progress
from netc.runtime.train import train as run_training
from netc.traces.schema import EvalRecord
from netc.train_request import TrainRequest
from netc.training_data import data_for

OnStep = Callable[[StepDone], bool | None]
OnEpoch = Callable[[EvalRecord], bool | None]


def train(
    net: NetSpec | CheckedNet | str | None = None,
    data: Dataset | str | None = None,
    *,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    on_note: Callable[[str], None] = quiet,
    config: str | Path | None = None,
    same_bits: bool = True,
    **words: Any,
) -> Run:
    """Train a net, a NetSpec or what `netc.load` takes, on data: a Dataset, or a name that `netc.datasets` knows.

    Without `data` it learns the bundled digits. `config` is a FILE.toml that says any of this, the net too, and whose
    words give way to these (docs/configuration.md), or names a TrainConfig of a .lean file; `recipe` may name a recipe
    that netc ships.

    `words` are the fields of TrainRequest, of the recipe and of its optimizer (`optimizer="adamw"`, `weight_decay`,
    `loss`, `precision`, ..), and of TrainConfig (`epochs`, `batch`, `lr`, `warmup`, `decay`); what is not stated is as
    for `netc train`. The run lies in `out`, by default runs/NET-DATA. `on_step` gets each StepDone, `on_epoch` each
    EvalRecord; where one returns True, the run is saved and stops. `on_note` gets what there is to say on the way.

    Raises UserError, SpecError and DataError for what does not fit, NonFiniteError when the loss is no number any more,
    and after a signal, with the run saved, KeyboardInterrupt or SystemExit. With `auto_resume`, a ValueError (of
    netc.traces, a TraceError) for a trace that is not the run's.
    """
    progress = _progress(on_step, on_epoch, on_note)
    request = request_training(net, config=config, data=data, **words)
    plan, resume = plan_of(request, same_bits=same_bits, note=on_note)
    for note in plan.start.notes_for(plan.data.classes) if plan.start else ():
        on_note(note)
    outcome = run_plan(plan, resume=resume, same_bits=same_bits, progress=progress)
    return _ended(outcome, plan.data)


def resume(
    run: Run | Path | str,
    data: Dataset | str | None = None,
    *,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
    on_note: Callable[[str], None] = quiet,
    same_bits: bool = True,
    **words: Any,
) -> Run:
    """Go on with a run from its newest checkpoint: what comes is bit for bit what an unbroken run would have had.

    A run on arrays of your own wants the same `data` again. `words` may be `epochs` (more of them), `patience`,
    `data_dir`, `workers`, `on_damaged`, `log`, `log_every`, `checkpoint_every`, `checkpoint_minutes`, `keep`, and,
    without `same_bits`, `target`, `devices`, `mesh` and `shard`. A run on a generator cannot go on. Raises as `train`
    does, and ValueError (of netc.traces, a TraceError) for a trace that is not the run's.
    """
    progress = _progress(on_step, on_epoch, on_note)
    folder = run.folder if isinstance(run, Run) else Path(run)
    plan = plan_resumed(folder, data, words, same_bits=same_bits)
    return _ended(run_plan(plan, resume=True, same_bits=same_bits, progress=progress), plan.data)


def plan_of(request: TrainRequest, *, same_bits: bool = True, note: Callable[[str], None] = quiet) -> tuple[Plan, bool]:
    """The plan of a request, and whether it goes on with a run that the same request began."""
    plan = planned(request)
    if request.auto_resume and (held := begun_already(request, plan, same_bits=same_bits)):
        return held, True
    if isinstance(plan.data.train, Batches):
        plan.data.train.want_first()  # before anything is written
    counted = counted_classes(request.net, plan.data) if request.classes is None else 0
    if counted and plan.data.classes == tuple(map(str, range(counted))):
        name = plan.config.net.spec.name
        note(f"{name} gets {counted} outputs, as `y` has class ids from 0 to {counted - 1}; `classes` says otherwise")
    plan = with_tuned(plan, note) if request.tuned else plan
    plan = _within_budget(plan, note)
    return replace(plan, text=config_text(request, plan.config)), False


def _within_budget(plan: Plan, note: Callable[[str], None]) -> Plan:
    """The plan with the blocks to recompute that its budget of memory wants."""
    config = plan.config
    asked = ProgramRequest(
        config.trained_net, config.recipe, config.training.batch, config.steps_per_call, config.devices,
        config.sharding, memory_budget=config.memory_budget,
    )  # fmt: skip
    return replace(
        plan, config=replace(config, recipe=within_budget(asked, config.target, config.choices, note).recipe)
    )


def plan_resumed(folder: Path, data: Dataset | str | None, words: dict[str, Any], *, same_bits: bool = True) -> Plan:
    """The plan of going on with a run. Raises UserError for words that it must not be given, and for other data."""
    config = resumed(folder, words, same_bits=same_bits)
    if data is not None and not config.data.startswith(OWN):
        raise UserError(
            f"`resume` uses the data of the run, {config.data}, got also `data`; leave it out, or start a new run"
        )
    found = data_for(config, data or config.data, words.get("data_dir"), folder=folder)
    refuse_other_data(config, found, folder)
    refuse_no_longer(read_config(folder), config, found)
    return Plan(config, found, folder, workers=words.get("workers") or 0)


def run_plan(
    plan: Plan,
    *,
    resume: bool = False,
    same_bits: bool = True,
    progress: Progress,
    cache: Cache | None = None,
    together: Together = ALONE,
) -> Outcome:
    """Run a plan in its folder; see runtime/train.py."""
    cache = cache or Cache(on_wait=progress.noted, on_damage=progress.noted)
    return run_training(
        plan.config, plan.data, plan.folder, cache,
        resume=resume, start=plan.start, progress=progress, same_bits=same_bits, workers=plan.workers, text=plan.text,
        together=together,
    )  # fmt: skip


def _progress(on_step: OnStep | None, on_epoch: OnEpoch | None, on_note: Callable[[str], None]) -> Progress:
    for name, given in (("on_step", on_step), ("on_epoch", on_epoch), ("on_note", on_note)):
        if given is not None and not callable(given):
            raise UserError(f"`{name}` wants a function, got {given!r}; give one, or leave it out")
    progress = Progress(noted=on_note)
    if on_step is not None:
        step = on_step
        progress = replace(progress, stepped=lambda done, seconds: step(done))
    return progress if on_epoch is None else replace(progress, evaluated=on_epoch)


def _ended(outcome: Outcome, data: Dataset) -> Run:
    """The run; raises what a signal asks for."""
    if outcome.signal == signal.SIGINT:
        raise KeyboardInterrupt
    if outcome.signal:
        raise SystemExit(128 + outcome.signal)
    run = Run.open(outcome.folder)
    return replace(run, steps=outcome.steps, stopped=outcome.interrupted, data=data)
