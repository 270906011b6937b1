"""What a person sees while a network trains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from netc.cli.console import line, terminal
from netc.cli.options import tuned_line
from netc.cli.spelling import spelled_here
from netc.cli.views.examples import examples_of, of_characters, predictions
from netc.cli.views.pace import Pace
from netc.cli.views.waiting import Waiting
from netc.netspec.counting import counted
from netc.netspec.recipe import Recipe
from netc.netspec.vocabulary import default_of, option_parts_of, options_of
from netc.runtime import train as loop
from netc.runtime.cache.store import Cache, CacheKey
from netc.runtime.data.augment import said
from netc.runtime.data.batches import steps_per_epoch
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.frame import said_of_all
from netc.runtime.metrics.bits import bits_of
from netc.runtime.prepare import Prepared
from netc.runtime.run.config import RunConfig
from netc.runtime.run.ledger import StepDone
from netc.traces.schema import EvalRecord

# of the engines that compile nothing before the first step, what happens instead
UNCOMPILED = {
    "c": "compiled by the C compiler when first called",
    "xla": "compiled by XLA when first called",
    "reference": "evaluated as it is",
}
REFRESH = 4  # a second: drawing the bar takes milliseconds, and the steps of a small net are as short


class TrainView:
    """A few lines about the run, a bar over its steps, and a line for each epoch."""

    def __init__(self, config: RunConfig, data: Dataset, *, quiet: bool) -> None:
        self._config, self._data = config, data
        self._console = terminal(quiet=quiet, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("loss {task.fields[loss]}"), TextColumn("{task.fields[pace]}"),
            console=self._console, disable=quiet or not self._console.is_terminal, expand=True,
            refresh_per_second=REFRESH,
        )  # fmt: skip
        self._waiting = Waiting(self._console, "preparing")
        self._bits = None if quiet else bits_of(data.test, data.tokenizer, config.recipe.loss)
        self.last: EvalRecord | None = None
        self._experts = ""  # of the last step
        self._next = 0.0  # when the bar is next told of a step
        self._task = self._bar.add_task("train", total=None, loss="", pace="")
        self._pace = Pace(config.training.batch, examples_of(config.net, table=bool(data.columns.inputs)))
        self.progress = loop.Progress(
            self._prepared, self._started, self._stepped, self._evaluated, self.note, self._pace.waited
        )

    def __enter__(self) -> Self:
        net, schedule = self._config.net, self._config.training
        size, native = ("x".join(map(str, shape)) for shape in (self._config.example.shape, self._data.native))
        what = examples_of(net, table=bool(self._data.columns.inputs))
        if net.x.dtype != "f32":
            native = size
        kind, outputs = self._config.recipe.metric, net.out.shape[-1] if net.out.rank else 1
        ends = "output" if kind == "nothing" else "label" if kind == "side" else "class"
        ends += ("es" if ends == "class" else "s") * (outputs != 1)
        self._say(
            f"{net.spec.name}: {net.count:,} parameters, input {size}, {outputs} {ends}, "
            f"batch {schedule.batch}, {counted(schedule.epochs, 'epoch')}"
        )
        own = self._data.sizes or native
        resized = "" if own == size else f", {own} resized to {size}"
        self._say(
            f"{self._config.data}: {len(self._data.train):,} training and {len(self._data.test):,} test {what}{resized}"
        )
        for note in self._data.notes:
            self._say(note)
        if on := spelled_here(", ".join(said(self._config.augment))):
            self._say(f"training images are {on}")
        if to := spelled_here(", ".join(said_of_all(self._config.preprocess))):
            self._say(f"images are {to}")
        if asked := spelled_here(", ".join(_parts_said(self._config.recipe))):
            recipe, each = self._config.recipe, steps_per_epoch(len(self._data.train), schedule.batch)
            in_steps = recipe.averaging.swa_start or recipe.groups.thaw
            self._say(f"each step has {asked}" + (f"; an epoch has {each:,} steps" if in_steps else ""))
        self._waiting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._waiting.stop()
        self._bar.stop()

    def cache(self) -> Cache:
        """The user's cache, which says here what it waits for, what is damaged and what is compiled for it."""
        more = self._waiting.more
        return Cache(on_wait=self.note, on_damage=self.note, on_build=self._compiling, on_progress=more)

    @contextmanager
    def _compiling(self, key: CacheKey) -> Iterator[None]:
        self._waiting.now(f"compiling for {key.target}")
        yield

    def note(self, text: str) -> None:
        """A line that the cache or the run wants to say."""
        self._say(text)

    def _say(self, text: str) -> None:
        line(self._console, text)

    def _prepared(self, prepared: Prepared) -> None:
        self._waiting.stop()
        text = prepared.source.text
        compiled = "from the cache" if prepared.cached else f"compiled in {prepared.compilation:.1f} s"
        took = UNCOMPILED.get(prepared.target.engine, compiled)
        self._say(
            f"one module, {len(text) / 1e6:.2f} MB of StableHLO emitted in {prepared.emission:.2f} s, {took} "
            f"(sha256 {prepared.sha256[:12]})"
        )
        if prepared.choices:
            self._say(tuned_line(prepared.choices))

    def _started(self, first: int, total: int) -> None:
        doing = "compile" if self._config.target == "xla" else "train"  # at its first step
        self._bar.update(self._task, total=total, completed=first, description=doing)
        self._bar.start()

    def _stepped(self, done: StepDone, seconds: float) -> None:
        now = time.monotonic()
        if done.expert_most is not None:
            self._experts = f"; experts got {done.expert_least:.0%} to {done.expert_most:.0%} of the last choices"
        if now >= self._next:
            self._next = now + 1 / REFRESH
            pace = self._pace.said(now, done.step + 1, self._console.width)
            self._bar.update(
                self._task, completed=done.step + 1, description="train", loss=f"{done.loss:.4f}", pace=pace
            )

    def _evaluated(self, record: EvalRecord) -> None:
        self._bar.update(self._task, completed=record.step + 1)
        self._pace.pause()
        mean, word = record.averaged_accuracy, self._config.recipe.averaging.word
        averaged = "" if mean is None else f"; {word} loss {record.averaged_loss:.4f}"
        table, text = bool(self._data.columns.inputs), of_characters(self._data)
        right = f", accuracy {record.accuracy:.2%} of "
        right += predictions(self._config.net, record.count, table=table, text=text)
        self.last = record
        if self._config.recipe.metric == "nothing":  # of a regression no number is right
            right = f" of {record.count:,}"
        elif mean is not None:
            averaged += f", accuracy {mean:.2%}"
        bits = f" ({self._bits.short(record.loss)})" if self._bits else ""
        self._say(f"epoch {record.epoch + 1:>3}: test loss {record.loss:.4f}{bits}{right}{averaged}{self._experts}")


def _parts_said(recipe: Recipe) -> Iterator[str]:
    """What of the parts of a recipe was asked for: `mixup=0.2`."""
    for part, cls in option_parts_of(Recipe).items():
        own = getattr(recipe, part)
        for name, f in options_of(cls).items():
            if (value := getattr(own, name)) != default_of(f):
                yield f"`{name}={','.join(value) if isinstance(value, tuple) else value}`"
