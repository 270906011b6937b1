"""How the evaluations of a run compare: which is the best, how long ago, and what follows from that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netc.netspec.averaging import Averaging
from netc.netspec.errors import UserError
from netc.netspec.recipe import TrainConfig
from netc.netspec.schedules import Plateau
from netc.runtime.data.dataset import Dataset
from netc.runtime.metrics.seen import Task, task_of
from netc.runtime.metrics.table import METRICS, Metric, comparable, scalar_of
from netc.runtime.run.config import RunConfig
from netc.traces.schema import EvalRecord

ACCURACY, LOSS = "accuracy", "loss"
Measure = Callable[[dict[str, Metric], Task], dict[str, object]]


@dataclass
class Standing:
    """Where the evaluations of a run stand; it is kept in each checkpoint.

    `best` is the value of the checkpoint `best`, `mark` the one that a later value must be better than by `min_delta`,
    `since` the evaluations since then, `waited` those of them since the rate fell last, `falls` how often it fell.
    """

    best: float | None = None
    mark: float | None = None
    since: int = 0
    waited: int = 0
    falls: int = 0


@dataclass(frozen=True)
class Comparison:
    """By what evaluations are compared: `word`, whether more is better, and the metric, if it is not of each one."""

    word: str
    higher: bool
    metric: Metric | None = None
    task: Task | None = None

    def better(self, value: float, than: float | None, by: float = 0.0) -> bool:
        """Whether a value is better than another by more than `by`; than None every number is."""
        if than is None:
            return not math.isnan(value)
        return value > than + by if self.higher else value < than - by

    def value(self, record: EvalRecord, loss: float, accuracy: float, measure: Measure) -> float:
        """The value of an evaluation; NaN where the metric is not defined."""
        if self.metric is None or self.task is None:
            return loss if self.word == LOSS else accuracy
        found = scalar_of(self.word, measure({self.word: self.metric}, self.task)[self.word])
        return float("nan") if found is None else found


def comparison_of(config: RunConfig, data: Dataset) -> Comparison:
    """The comparison that a run asks for; raises UserError for a metric that there is not, or not of its output."""
    given, knows_none = config.training.best_by, config.recipe.metric == "nothing"
    if given == LOSS or (not given and knows_none):
        return Comparison(LOSS, higher=False)
    word = METRICS.word(given or "top1")
    if word is None:
        near = METRICS.near(given)
        hint = f"did you mean {' or '.join(near)}?" if near else "choose one of these"
        raise UserError(f"`best_by` wants loss or one of {', '.join(comparable())}, got {given!r}; {hint}")
    if word == "top1" and not knows_none:
        return Comparison(ACCURACY, higher=True)
    lengths = data.tokenizer.lengths if data.tokenizer else None
    metric, task = METRICS[word], task_of(config.net, config.recipe.loss, data.classes, len(data.test), lengths)
    if config.recipe.averaging != Averaging():
        raise UserError(f"`best_by` wants accuracy or loss where averages of the weights are kept, got {word}")
    problem = metric.misfit(task) or ("" if metric.better else "has no better and worse")
    if problem:
        fitting = [name for name in comparable() if not METRICS[name].misfit(task)]
        raise UserError(f"`best_by`: {word} {problem}; choose loss or one of {', '.join(fitting)}")
    return Comparison(word, metric.better == "higher", metric, task)


def is_kept(config: TrainConfig) -> bool:
    """Whether a run needs to know how its evaluations stand beyond the best accuracy and loss."""
    return bool(config.patience) or config.schedule.by_evaluation or config.best_by not in ("", ACCURACY, LOSS)


def moved(standing: Standing, value: float, by: Comparison, config: TrainConfig) -> tuple[Standing, bool]:
    """Where evaluations stand after one of that value, and whether it is the best so far."""
    best = by.better(value, standing.best)
    if by.better(value, standing.mark, config.min_delta):
        found = Standing(standing.best, value, 0, 0, standing.falls)
    else:
        found = Standing(standing.best, standing.mark, standing.since + 1, standing.waited + 1, standing.falls)
    if isinstance(config.schedule, Plateau) and found.waited >= config.schedule.wait:
        found.waited, found.falls = 0, found.falls + 1
    if best:
        found.best = value
    return found, best


def is_over(standing: Standing, config: TrainConfig) -> bool:
    """Whether the patience of a run is at its end."""
    return 0 < config.patience <= standing.since


def said(standing: Standing, before: Standing, word: str, config: TrainConfig) -> Iterator[str]:
    """What there is to say of an evaluation."""
    if standing.falls > before.falls and isinstance(config.schedule, Plateau):
        rate = max(config.lr * config.final, config.lr * config.schedule.gamma**standing.falls)
        yield f"{word} is no better: the learning rate falls to {rate:g}"
    if is_over(standing, config):
        yield f"{word} was no better {standing.since} times in a row: the run ends"
