"""The training loop: batches in, metrics out, a trace and checkpoints on the way."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice, starmap
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.choices import METRICS as EXPERTS
from netc.codegen.program import build
from netc.netspec.errors import UserError
from netc.netspec.recipe import TrainConfig
from netc.runtime.backends import check_device
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Batch, Normalise, open_all, prefetch, steps_per_epoch, train_batches
from netc.runtime.data.damaged import untold
from netc.runtime.data.dataset import AnySplit, Dataset
from netc.runtime.data.examples import Examples
from netc.runtime.data.frame import fit_of
from netc.runtime.data.part import Part, part_of
from netc.runtime.fit import check_fit
from netc.runtime.logs.tee import logged
from netc.runtime.metrics.measure import measured
from netc.runtime.metrics.seen import Task
from netc.runtime.metrics.table import Metric
from netc.runtime.normalisation import normalisation, standardised_note
from netc.runtime.prepare import Prepared, in_use, prepare
from netc.runtime.processes.facts import facts_of
from netc.runtime.processes.group import ALONE, Stop, Together, refuse_apart
from netc.runtime.run import checkpoint
from netc.runtime.run.config import Logging, RunConfig, refuse_used
from netc.runtime.run.interrupt import interruptible
from netc.runtime.run.ledger import Ledger, StepDone
from netc.runtime.run.lock import only_writer
from netc.runtime.run.meta import meta_of
from netc.runtime.run.outcome import Outcome
from netc.runtime.run.resume import LeftOff, damaged, left_off, tidy
from netc.runtime.run.saver import Counter, NonFiniteError, Rescue, Saver, diverged
from netc.runtime.run.standing import LOSS, Comparison, Standing, comparison_of, is_kept, is_over, moved, said
from netc.runtime.run.traced import AnyTrace, traced
from netc.runtime.run.waiting import Waiting
from netc.runtime.schedule import learning_rate
from netc.runtime.session import Feed
from netc.runtime.sums import sums
from netc.runtime.target import Target, parse_target
from netc.runtime.trainer import Trainer
from netc.runtime.weights.pretrained import Start
from netc.runtime.weights.teacher import given_tensors
from netc.traces.schema import EvalRecord


@dataclass
class Progress:
    """Calls for whoever watches a run. Each does nothing unless it is set.

    Where `stepped` or `evaluated` returns True the run stops after that call, saved as by a signal. `waited` gets the
    part of the steps' time so far, 0 to 1, that was waiting for batches.
    """

    prepared: Callable[[Prepared], None] = field(default=lambda p: None)
    started: Callable[[int, int], None] = field(default=lambda first, total: None)
    stepped: Callable[[StepDone, float], bool | None] = field(default=lambda done, seconds: None)
    evaluated: Callable[[EvalRecord], bool | None] = field(default=lambda record: None)
    noted: Callable[[str], None] = field(default=lambda text: None)
    waited: Callable[[float], None] = field(default=lambda share: None)


ASKED = 0  # in place of the number of a signal: a callback asked to stop
LOGGED = ("loss", "grad_norm", "param_norm", *EXPERTS)  # the metrics that are fetched after each step


@dataclass(frozen=True)
class _Run:
    config: RunConfig
    data: Dataset
    folder: Path
    session: Trainer
    examiner: Trainer  # the session itself, unless tests have images of another size
    normalise: Normalise
    per_epoch: int
    progress: Progress
    saver: Saver
    comparison: Comparison
    workers: int
    together: Together
    part: Part  # of each batch, what this process makes
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def training(self) -> TrainConfig:
        return self.config.training

    @property
    def total(self) -> int:
        return self.training.steps(self.per_epoch)


def train(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    cache: Cache,
    *,
    resume: bool = False,
    start: Start | None = None,
    progress: Progress | None = None,
    same_bits: bool = True,
    text: str = "",
    workers: int = 0,
    together: Together = ALONE,
) -> Outcome:
    """Train as `config` says, on `data` already of the net's input size, writing into `folder`, which is locked.

    With `resume`, continue from the newest whole checkpoint, or from the seed where a drawn run was killed before its
    first one: the trace is then byte for byte that of an uninterrupted run. The config may have more epochs than the
    run had. Without `same_bits` it may have another target, and other versions may compute it; the trace says so.
    With `start`, begin with its weights, where they are, instead of drawn ones, and normalise images as they want.
    `text` is what a run that begins has as its config.toml. `workers` threads make batches, as many as are good where
    that is 0. `together`: the processes that train it; the leader writes the folder, which all of them can read.
    Raises UserError, LockedError, CompileError, and NonFiniteError when the loss is no number any more.
    """
    watch = progress or Progress()
    begin = time.perf_counter()
    target = parse_target(config.target)
    refuse_apart(target, config.training.best_by, together)
    check_device(target, *config.devices_asked)
    check_fit(config, data)
    per_epoch = steps_per_epoch(len(data.train), config.training.batch)
    with only_writer(folder, watch.noted) if together.leads else nullcontext():
        together.shared("tidied", lambda: _tidied(folder, config, resume=resume))
        if resume:
            left = left_off(folder, config, per_epoch, watch.noted)
        else:
            left = LeftOff(replace(config, train_sha256=data.train_digest), None)
        run = _prepared(left, data, folder, target, cache, start, watch, workers, together)
        together.compare(facts_of(run.session.prepared, run.config, data, left))
        counter = _resumed(run, left) if left.saved else _begun(run, start)
        asked = run.config.logging if together.leads else Logging()
        logs = logged(asked, folder, run.config.to_json(), watch.noted, resume=resume)
        with ExitStack() as stack:
            watching = None if resume else stack.enter_context(logs)  # before run.json: one that fails begins no run
            opened = traced(
                *(run.config, data, folder, run.session.prepared, left, together), watch.noted, resume=resume,
                same_bits=same_bits, text=text,
            )  # fmt: skip
            trace = stack.enter_context(opened)
            watching = stack.enter_context(logs) if resume else watching
            stop = together.stop(stack.enter_context(interruptible()))
            run.saver.trace, trace.watch = trace, watching
            if left.saved:
                _set_right(run, counter)
            if left.saved and (trace.changes or left.name != "last"):
                run.saver.last(counter)
            run.saver.prune()
            watch.started(counter.step, run.total)
            with Rescue(run.saver, counter, trace, watch.noted):
                _go(run, counter, trace, stop)
        left_over, early = counter.step < run.total, is_over(counter.standing, run.training)
        done = counter.evaluated and (early or not left_over)
        seconds, number = time.perf_counter() - begin, stop.number or 0
        early = done and early and left_over
        return Outcome(
            *(folder, counter.step, counter.last, counter.best, seconds, not done, number, early, run.waiting.share)
        )


def _tidied(folder: Path, config: RunConfig, *, resume: bool) -> str:
    """Remove what a killed process left; raises UserError where a new run finds a folder that is in use."""
    if not resume:
        refuse_used(folder, "`out`")
    tidy(folder, config.saving.keep if resume else 1)
    return ""


def _prepared(
    left: LeftOff,
    data: Dataset,
    folder: Path,
    target: Target,
    cache: Cache,
    start: Start | None,
    watch: Progress,
    workers: int,
    together: Together,
) -> _Run:
    """The run, its program compiled and its data opened; nothing is written yet."""
    config = left.config
    per_epoch = steps_per_epoch(len(data.train), config.training.batch)
    if config.steps_per_call > per_epoch:
        raise UserError(
            f"`steps_per_call` wants at most the {per_epoch} steps of an epoch, got {config.steps_per_call}; "
            "give a smaller one, or a smaller `batch`"
        )
    open_all(data, workers)
    normalise = normalisation(config, data, left.saved, start, workers)
    if note := standardised_note(normalise, data):
        watch.noted(note)
    if skipped := untold(data):
        watch.noted(skipped)
    batch, k, n = config.training.batch, config.steps_per_call, config.devices
    program = build(config.trained_net, config.recipe, batch, steps_per_call=k, replicas=n).on(config.sharding)
    choices, config = config.choices, replace(config, choices=in_use(program, target, config.choices))
    prepared = prepare(program, target, cache, config.choices)
    tested = build(config.net, config.recipe.untaught, batch, replicas=n) if config.trained_net != config.net else None
    watch.prepared(prepared)
    part = part_of(together.part, config.sharding)
    session = Trainer(prepared, part.count)
    # as `netc eval` makes it
    examiner = Trainer(prepare(tested.on(config.sharding), target, cache, choices), part.count) if tested else session
    saver = Saver(folder, session, config.saving, meta_of(config, data, normalise, program), together)
    comparison = comparison_of(config, data)
    return _Run(
        config, data, folder, session, examiner, normalise, per_epoch, watch, saver, comparison, workers, together, part
    )


def _begun(run: _Run, start: Start | None) -> Counter:
    """Take the state before step 0. A drawn one is not written, as the seed gives it again, bit for bit."""
    run.session.init(run.config.seed)
    checkpoint.want_room(run.folder / "last", sum(slot.type.bytes for slot in run.session.program.state))
    if given := given_tensors(run.config, start):
        run.session.restore(run.session.fetch() | given)
        run.saver.last(Counter())  # before run.json: a folder with run.json can always be resumed
    return Counter()


def _resumed(run: _Run, left: LeftOff) -> Counter:
    assert left.saved is not None
    run.session.restore(left.saved.tensors)
    meta: dict[str, Any] = left.saved.meta
    # checkpoints of older runs were made after the evaluation
    counter = Counter(int(meta["step"]), float(meta["best"]), float(meta["last"]), bool(meta.get("evaluated", True)))
    counter.lowest = float(meta.get("lowest_loss", math.inf))
    if "standing" in meta:
        counter.standing = Standing(**meta["standing"])
    elif is_kept(run.training) and counter.best >= 0:  # of a run that had no patience before
        counter.standing.best = counter.lowest if run.comparison.word == LOSS else counter.best
    if left.name == "last":
        run.saver.saved = counter.step
    return counter


def _set_right(run: _Run, counter: Counter) -> None:
    """Remove checkpoints that are not whole, and let the best evaluation to come take the place of a missing `best`.

    After the trace was checked: a run that is refused is left as it is.
    """
    found = damaged(run.folder)
    for name, error in found.items():
        run.progress.noted(str(error))
        if run.together.leads:
            checkpoint.remove(run.folder / name)
    if counter.best >= 0 and ("best" in found or not checkpoint.exists(run.folder / "best")):
        run.progress.noted(f"{run.folder / 'best'} is gone: the best of the epochs to come takes its place")
        counter.best, counter.lowest, counter.standing.best = -1.0, math.inf, None


def _go(run: _Run, counter: Counter, trace: AnyTrace, stop: Stop) -> None:
    """Train and evaluate by turns until the run is over or a stop was asked for."""
    try:
        while not stop.now() and (counter.step < run.total or not counter.evaluated):
            if counter.evaluated and is_over(counter.standing, run.training):
                break
            if counter.evaluated:
                _train_epoch(run, counter, trace, stop)
            else:
                _evaluate(run, counter, trace, stop)
            if skipped := untold(run.data):
                run.progress.noted(skipped)
            gc.collect(1)  # what Python's JSON leaves in rings; the command line lets it look for them rarely by itself
    except NonFiniteError:
        if not checkpoint.exists(run.folder / "last"):  # the last good state is the one that was drawn
            run.session.init(run.config.seed)
            run.saver.last(Counter())
        raise


def _train_epoch(run: _Run, counter: Counter, trace: AnyTrace, stop: Stop) -> None:
    """Take the steps of an epoch that are left, and save: what comes then may fail."""
    epoch, start = divmod(counter.step, run.per_epoch)
    batches = train_batches(
        run.data.train, batch=run.training.batch, seed=run.config.seed, epoch=epoch, normalise=run.normalise,
        augment=run.config.augment, start=start, feeding=run.config.feeding, workers=run.workers,
        fit=fit_of(run.config.preprocess), part=run.part,
    )  # fmt: skip
    with Ledger(trace) as ledger:
        _steps(run, counter, ledger, _ahead(run, _groups(run, batches, counter)), stop)
    counter.evaluated = counter.step % run.per_epoch != 0 and counter.step < run.total
    run.saver.last(counter)


def _steps(run: _Run, counter: Counter, ledger: Ledger, feeds: Iterator[Feed], stop: Stop) -> None:
    """Take what `feeds` gives, until the epoch is over or a stop was asked for; a NonFiniteError ends it too."""
    epoch = counter.step // run.per_epoch
    for feed, waited in run.waiting.each(feeds):
        begin, before = time.perf_counter(), counter.step
        counter.settled = False
        found = run.session.train(feed, LOGGED)
        seconds = (time.perf_counter() - begin) / len(feed.rates)
        count = len(feed.rates)
        columns = [found[n].tolist() if n in found else [None if n in EXPERTS else math.nan] * count for n in LOGGED]
        for lr, loss, *others in zip(feed.rates.tolist(), *columns, strict=True):
            done = StepDone(counter.step, epoch, loss, lr, *others)
            ledger.add(done, seconds, waited / len(feed.rates))
            if not math.isfinite(loss):
                what = f"the loss of step {counter.step}"
                raise diverged(run.folder, what, loss, data_is_broken=_broken(run.data.train))
            counter.step += 1
            counter.settled = counter.step == before + len(feed.rates)
            if run.progress.stepped(done, seconds):
                stop.asked.append(ASKED)
        run.progress.waited(run.waiting.share)
        if stop.now():
            break
        if run.saver.due(before, counter.step) and counter.step % run.per_epoch:
            ledger.write()
            run.saver.last(counter)


def _broken(split: AnySplit) -> bool:
    """Whether the examples hold a number that is not finite; of a source of batches it is not known."""
    return isinstance(split, Examples) and not np.isfinite(split.x).all()


_Group = tuple[list[Array], list[Array], list[float]]  # x, y and rate of each step of a call


def _groups(run: _Run, batches: Iterator[Batch], counter: Counter) -> Iterator[_Group]:
    """The batches of each call from here on: as many as a call takes, or what is left of the epoch or the run."""
    step, falls = counter.step, counter.standing.falls
    while group := list(islice(batches, min(run.config.steps_per_call, run.total - step))):
        steps = range(step, step + len(group))
        rates = [learning_rate(run.config.training_at(i), i, run.per_epoch, falls) for i in steps]
        yield [b.x for b in group], [b.y for b in group], rates
        step += len(group)


def _ahead(run: _Run, groups: Iterator[_Group]) -> Iterator[Feed]:
    """The groups on the device: made and, where the backend allows it, uploaded by a thread that is ahead of the steps.

    Two calls ahead, or one where a call holds several batches.
    """
    session, depth = run.session, 2 if run.config.steps_per_call == 1 else 1
    if session.concurrent_upload:
        return prefetch(starmap(session.upload, groups), depth)
    return starmap(session.upload, prefetch(groups, depth))


def _evaluate(run: _Run, counter: Counter, trace: AnyTrace, stop: Stop) -> None:
    """Evaluate the state after an epoch; a stop that is asked for meanwhile ends that, and it is done when resumed.

    Where the recipe keeps averages of the weights, they are evaluated too, and it is they that `best` goes by.
    """
    if run.examiner is not run.session:
        run.examiner.restore(run.session.fetch())
    parts, own = (run.examiner, run.data.test, run.training.batch, run.normalise), run.part
    loss, correct, count = sums(*parts, stop.now, part=own)[:3].tolist()
    if stop.come:
        return
    if not np.isfinite(loss):
        trace.sync()
        raise diverged(run.folder, f"the test loss after step {counter.step - 1}", loss)
    accuracy, step = correct / count, counter.step - 1
    record = EvalRecord(step, step // run.per_epoch, loss / count, accuracy, int(count))
    if run.session.program.averages:
        loss, correct, count = sums(*parts, stop.now, averaged=True, part=own)[:3].tolist()
        if stop.come:
            return
        accuracy = correct / count
        record = replace(record, averaged_loss=loss / count, averaged_accuracy=accuracy)
    trace.write(record)
    value = run.comparison.value(record, loss / count, accuracy, lambda *of: _measured(run, *of))
    if is_kept(run.training):
        before = counter.standing
        counter.standing, better = moved(before, value, run.comparison, run.training)
        for text in said(counter.standing, before, run.comparison.word, run.training):
            run.progress.noted(text)
    else:
        better = run.comparison.better(value, counter.lowest if run.comparison.word == LOSS else counter.best)
    counter.lowest = min(loss / count, counter.lowest)
    counter.last, counter.best, counter.evaluated = accuracy, max(accuracy, counter.best), True
    run.saver.evaluated(counter, better=better)
    if run.progress.evaluated(record):
        stop.asked.append(ASKED)


def _measured(run: _Run, metrics: dict[str, Metric], task: Task) -> dict[str, Any]:
    return measured(run.examiner, run.data.test, run.training.batch, run.normalise, task, metrics)
