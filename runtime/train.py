"""The training loop: batches in, metrics out, a trace and checkpoints on the way."""

from __future__ import annotations

import importlib.metadata
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice, starmap
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from netc.codegen.program import build
from netc.netspec.errors import NetcError, UserError
from netc.netspec.recipe import Schedule
from netc.netspec.types import TensorType, batched
from netc.runtime import checkpoint
from netc.runtime.backends import check_device
from netc.runtime.backends.protocol import Array
from netc.runtime.cache import Cache
from netc.runtime.checkpoint import Checkpoint
from netc.runtime.data.batches import (
    Batch,
    Normalise,
    eval_batches,
    prefetch,
    statistics,
    steps_per_epoch,
    train_batches,
)
from netc.runtime.data.catalog import TEXT_PREFIX
from netc.runtime.data.dataset import Dataset, Split
from netc.runtime.data.windows import TextSplit
from netc.runtime.ledger import Ledger, StepDone
from netc.runtime.pretrained import Start
from netc.runtime.run import RunConfig, left_off, normalise_of, refuse_used, write_config
from netc.runtime.schedule import learning_rate
from netc.runtime.session import Feed, Prepared, Session, prepare
from netc.runtime.target import parse_target
from netc.traces.schema import EvalRecord, Header
from netc.traces.write import TraceWriter


class NonFiniteError(NetcError):
    """The loss became infinite or NaN; the last good checkpoint is kept."""


@dataclass
class Progress:
    """Calls for whoever watches a run. Each does nothing unless it is set."""

    prepared: Callable[[Prepared], None] = field(default=lambda p: None)
    started: Callable[[int, int], None] = field(default=lambda first, total: None)
    stepped: Callable[[StepDone, float], None] = field(default=lambda done, seconds: None)
    evaluated: Callable[[EvalRecord], None] = field(default=lambda record: None)


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `interrupted`: by Ctrl-C, after a checkpoint."""

    folder: Path
    steps: int
    accuracy: float
    best: float
    seconds: float
    interrupted: bool


@dataclass
class _Counter:
    """Where a run stands: steps done, the best accuracy so far, the last."""

    step: int = 0
    best: float = -1.0
    last: float = 0.0


LOGGED = ("loss", "grad_norm", "param_norm")  # the metrics that are fetched after each step

ENGINES: dict[str, tuple[str, ...]] = {
    "iree": ("iree-base-compiler", "iree-base-runtime"),
    "xla": ("jaxlib",),
    "reference": (),
}


def versions(*engines: str) -> dict[str, str]:
    """The installed versions of what can change a trace on these engines (by default all), as its header records it."""
    packages = ("netc", "numpy", *(p for e in engines or ENGINES for p in ENGINES[e]))
    found: dict[str, str] = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class _Run:
    config: RunConfig
    data: Dataset
    folder: Path
    session: Session
    normalise: Normalise
    per_epoch: int
    progress: Progress

    @property
    def schedule(self) -> Schedule:
        return self.config.schedule

    def save(self, name: str, counter: _Counter) -> None:
        meta: dict[str, Any] = {"step": counter.step, "best": counter.best, "last": counter.last}
        meta |= {"spec_sha256": self.config.net.digest, "net": self.config.net.spec.name}
        meta["normalise"] = {"mean": list(self.normalise.mean), "std": list(self.normalise.std)}
        meta["classes"] = list(self.data.classes)
        meta["data_sha256"] = self.data.digest
        state = self.session.fetch()
        broken = [n for n, t in state.items() if t.dtype.kind == "f" and not np.isfinite(t).all()]
        if broken:
            raise _diverged(self, f"{broken[0]} after step {counter.step - 1}", float("nan"))
        checkpoint.save(self.folder, name, state, meta)


def train(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    cache: Cache,
    *,
    resume: bool = False,
    start: Start | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Train as `config` says, on `data` already of the net's input size, writing into `folder`.

    With `resume`, continue from the checkpoint `last`, or from the seed where a drawn run was killed before its first
    one: the trace is then byte for byte that of an uninterrupted run.
    With `start`, begin with its weights, where they are, instead of drawn ones, and normalise images as they want.
    Raises UserError, CompileError, and NonFiniteError when the loss is no number any more.
    """
    watch = progress or Progress()
    begin = time.perf_counter()
    if not resume:
        refuse_used(folder, "--out")
    target = parse_target(config.target)
    check_device(target)
    shape = tuple(config.net.spec.input)
    _fits(config, data)
    batch = config.schedule.batch
    per_epoch = steps_per_epoch(len(data.train), batch)
    saved = left_off(folder, config, per_epoch) if resume else None
    given = normalise_of(saved) if saved else start.normalise if start else None
    normalise = given or statistics(data.train, shape[-1])
    if config.steps_per_call > per_epoch:
        raise UserError(
            f"--steps-per-call wants at most the {per_epoch} steps of an epoch, got {config.steps_per_call}; "
            "give a smaller one, or a smaller --batch"
        )
    program = build(config.net, config.recipe, batch, steps_per_call=config.steps_per_call)
    prepared = prepare(program, target, cache, config.choices)
    config = replace(config, choices=prepared.choices)
    watch.prepared(prepared)
    session = Session(prepared)
    run = _Run(config, data, folder, session, normalise, per_epoch, watch)
    counter = _resumed(run, saved) if saved else _begun(run, start)
    if not resume:
        write_config(folder, config)
    header = Header(
        net=config.net.spec.name, spec_sha256=config.net.digest, module_sha256=prepared.step_sha256, data=config.data,
        data_sha256=data.digest, recipe=config.recipe_json, seed=config.seed, batch=batch, target=config.target,
        versions=versions(target.engine),
    )  # fmt: skip
    total = config.schedule.epochs * per_epoch
    watch.started(counter.step, total)
    with (
        TraceWriter(folder / "trace.jsonl", header, counter.step if resume else None) as trace,
        _interruptible() as stop,
    ):
        try:
            while counter.step < total and not stop:
                _epoch(run, counter, trace, stop)
        except NonFiniteError:
            if not checkpoint.exists(folder / "last"):  # the last good state is the one that was drawn
                run.session.init(config.seed)
                run.save("last", _Counter())
            raise
    done = counter.step >= total
    return Outcome(folder, counter.step, counter.last, counter.best, time.perf_counter() - begin, not done)


def refuse_other_targets(config: RunConfig) -> None:
    """Raise UserError unless the data, images with a class each or text, can feed the net and its loss."""
    net, loss = config.net, config.recipe.loss
    problems = []
    text = config.data.startswith(TEXT_PREFIX)
    if net.x.dtype != "f32" and not text:
        problems.append(f"{net.spec.name} takes token ids, and {config.data} holds images; choose a net for images")
    elif net.x.dtype == "f32" and text:
        problems.append(f"{net.spec.name} takes images, and {config.data} is text; choose a net of token ids")
    elif text and net.out.shape[:-1] != net.x.shape:
        problems.append(
            f"{config.data} has a next token for each place and wants a net with an output of [batch, T, vocabulary], "
            f"got {net.spec.name} with {batched(net.out.shape)}; end it in tiedHead or lmHead"
        )
    elif not text and net.out.rank != 1:
        problems.append(
            f"{config.data} has one class for each image and wants a net with an output of [batch, classes], "
            f"got {net.spec.name} with {batched(net.out.shape)}; choose a classifier, or drive its module from Python"
        )
    if loss.target(TensorType((2,))).dtype != "i32":
        problems.append(
            f"{config.data} has class ids, and {loss.kind} wants floats of the output's shape; choose another --loss"
        )
    if problems:
        raise UserError("\n".join(problems))


def _fits(config: RunConfig, data: Dataset) -> None:
    refuse_other_targets(config)
    classes, outputs = len(data.classes), config.net.out.shape[-1]
    if classes < 2 and config.net.x.dtype == "f32":
        raise UserError(f"{config.data} wants at least two classes to train on, got {classes}; add a folder of images")
    if outputs < classes:
        raise UserError(
            f"{config.data} has {classes} classes, got a net with {outputs} outputs; give --classes {classes}"
        )
    if data.train.shape != config.net.spec.input:
        raise NetcError(f"examples of shape {data.train.shape} were given to a net that wants {config.net.spec.input}")


def _begun(run: _Run, start: Start | None) -> _Counter:
    """Take the state before step 0. A drawn one is not written, as the seed gives it again, bit for bit."""
    run.session.init(run.config.seed)
    checkpoint.want_room(run.folder / "last", sum(slot.type.bytes for slot in run.session.program.state))
    counter = _Counter()
    if start:
        run.session.restore(run.session.fetch() | start.tensors)
        run.save("last", counter)  # before run.json: a folder with run.json can always be resumed
    return counter


def _resumed(run: _Run, saved: Checkpoint) -> _Counter:
    if saved.meta.get("spec_sha256") != run.config.net.digest:
        raise UserError(f"{run.folder / 'last'} belongs to another spec than run.json; the run cannot be continued")
    run.session.restore(saved.tensors)
    return _Counter(int(saved.meta["step"]), float(saved.meta["best"]), float(saved.meta["last"]))  # type: ignore[arg-type]


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """A list that is filled by the first Ctrl-C (or SIGTERM); the second ends the process at once."""
    stop: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(number)

    try:
        old = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: then nobody presses Ctrl-C here
        old = {}
    try:
        yield stop
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)


def _epoch(run: _Run, counter: _Counter, trace: TraceWriter, stop: list[int]) -> None:
    epoch, start = divmod(counter.step, run.per_epoch)
    batches = train_batches(
        run.data.train, batch=run.schedule.batch, seed=run.config.seed, epoch=epoch, normalise=run.normalise,
        augment=run.config.augment, start=start,
    )  # fmt: skip
    with Ledger(trace) as ledger:
        _steps(run, counter, ledger, _ahead(run, _groups(run, batches, counter.step)), stop)
    if counter.step % run.per_epoch == 0:
        _evaluate(run, counter, trace, epoch)
    trace.sync()
    run.save("last", counter)


def _steps(run: _Run, counter: _Counter, ledger: Ledger, feeds: Iterator[Feed], stop: list[int]) -> None:
    """Take what `feeds` gives, until the epoch is over or a stop was asked for; a NonFiniteError ends it too."""
    epoch = counter.step // run.per_epoch
    for feed in feeds:
        begin = time.perf_counter()
        found = run.session.train(feed, LOGGED)
        seconds = (time.perf_counter() - begin) / len(feed.rates)
        nothing = [math.nan] * len(feed.rates)
        columns = [found[n].tolist() if n in found else nothing for n in LOGGED]
        for lr, loss, grad_norm, param_norm in zip(feed.rates.tolist(), *columns, strict=True):
            done = StepDone(counter.step, epoch, loss, lr, grad_norm, param_norm)
            ledger.add(done, seconds)
            if not math.isfinite(loss):
                raise _diverged(run, f"the loss of step {counter.step}", loss)
            counter.step += 1
            run.progress.stepped(done, seconds)
        if stop:
            break


_Group = tuple[list[Array], list[Array], list[float]]  # x, y and rate of each step of a call


def _groups(run: _Run, batches: Iterator[Batch], step: int) -> Iterator[_Group]:
    """The batches of each call from step `step` on: as many as a call takes, or what is left of the epoch."""
    while group := list(islice(batches, run.config.steps_per_call)):
        rates = [learning_rate(run.schedule, step + i, run.per_epoch) for i in range(len(group))]
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


def _diverged(run: _Run, what: str, value: float) -> NonFiniteError:
    return NonFiniteError(
        f"{what} is {value}; the checkpoint {run.folder / 'last'} is the last good one; "
        "try a lower --lr or a longer --warmup"
    )


def _evaluate(run: _Run, counter: _Counter, trace: TraceWriter, epoch: int) -> None:
    loss, correct, count = sums(run.session, run.data.test, run.schedule.batch, run.normalise)
    if not np.isfinite(loss):
        trace.sync()
        raise _diverged(run, f"the test loss after step {counter.step - 1}", loss)
    record = EvalRecord(
        step=counter.step - 1, epoch=epoch, loss=loss / count, accuracy=correct / count, count=int(count)
    )
    trace.write(record)
    counter.last = correct / count
    if counter.last > counter.best:
        counter.best = counter.last
        run.save("best", counter)
    run.progress.evaluated(record)


def sums(session: Session, test: Split | TextSplit, batch: int, normalise: Normalise) -> tuple[float, float, float]:
    """(loss, correct, count) summed over a test split."""
    total = np.zeros(3)
    for b in prefetch(eval_batches(test, batch=batch, normalise=normalise)):
        total += session.eval_step(b.x, b.y, b.weight)
    return float(total[0]), float(total[1]), float(total[2])
