"""Which metrics there are, of which outputs, and how they are computed over a test part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netc.netspec.errors import UserError
from netc.netspec.vocabulary import Vocabulary
from netc.runtime.metrics.bits import BitsPerByte, ByPosition
from netc.runtime.metrics.calibration import Reliability, Temperature
from netc.runtime.metrics.counting import (
    Confusion,
    Counts,
    Mean,
    all_right,
    among,
    brier,
    by_class,
    macro,
    per_class,
)
from netc.runtime.metrics.ranking import SCORES, Areas
from netc.runtime.metrics.regression import MAE, R2, RMSE
from netc.runtime.metrics.seen import CLASSES, JSON, LABELS, NUMBERS, PIXELS, TOKENS, Floats, Seen, Tally, Task

Better = Literal["higher", "lower"]
WIDEST = 2048  # classes of a table or a matrix


@dataclass(frozen=True)
class Metric:
    """A row: a line about it, the kinds of tasks that have it, its tally, and which values are better.

    `scalar` names the number of its result that runs are compared by: empty where the result is that number. `widest`
    and `most` bound the classes and the scores that it can take; `least` the classes that it wants. `of_bytes`: it
    wants to know how many bytes each token stands for.
    """

    about: str
    kinds: tuple[str, ...]
    tally: Callable[[Task], Tally]
    better: Better | None = "higher"
    scalar: str = ""
    least: int = 1
    widest: float = math.inf
    most: float = math.inf
    of_bytes: bool = False

    def misfit(self, task: Task) -> str:
        """Why the task has no such metric, or nothing."""
        if task.kind not in self.kinds:
            return f"is of {' or '.join(self.kinds)}, got a net of {task.kind}"
        if not self.least <= task.width <= self.widest:
            bound = f"more than {self.least - 1}" if task.width < self.least else f"at most {int(self.widest):,}"
            return f"wants {bound} outputs, got {task.width:,}"
        if self.of_bytes and task.lengths is None:
            return "wants text whose tokenizer says the bytes of each token, got others"
        if task.rows * task.width > self.most:
            return f"wants at most {int(self.most):,} scores, got {task.rows * task.width:,}"
        return ""


def _loss(seen: Seen) -> Floats:
    return seen.log_loss


def _bits(seen: Seen) -> Floats:
    return seen.log_loss / math.log(2)


def _perplexity(log_loss: float) -> float:
    return math.exp(min(log_loss, 700.0))  # the largest power that is a number


def _counts(shown: Callable[[Counts], JSON]) -> Callable[[Task], Tally]:
    return lambda task: Counts(task, shown)


_ONE, _ALL = (CLASSES, TOKENS, PIXELS), (CLASSES, TOKENS, PIXELS, LABELS)
_REPORT = "precision, recall, F1 and support of each class, their means, and the means weighted by support"
_AREA = "area under the ROC curve; of more than two classes, of each against the rest"

# fmt: off
_ROWS: tuple[tuple[Metric, str, tuple[str, ...]], ...] = (
    (Metric("fraction whose likeliest class is right", _ONE, lambda t: Mean(among(1))), "top1", ("accuracy", "acc")),
    (Metric("fraction whose class is among the five likeliest", _ONE, lambda t: Mean(among(5)), least=6), "top5", ()),
    (Metric("mean -log of the right class's probability", _ONE, lambda t: Mean(_loss), "lower"), "log-loss", ("nll",)),
    (Metric("exp of the mean log loss", (TOKENS,), lambda t: Mean(_loss, _perplexity), "lower"), "perplexity", ()),
    (Metric("log loss in bits a token", (TOKENS,), lambda t: Mean(_bits), "lower"), "bits", ("bits-per-token", "bpc")),
    (Metric("log loss in bits a byte of the text", (TOKENS,), BitsPerByte, "lower", of_bytes=True),
     "bits-per-byte", ("bpb",)),
    (Metric("perplexity at each position of a context", (TOKENS,), ByPosition, None), "by-position", ()),
    (Metric("mean precision of the classes", _ALL, _counts(macro("precision"))), "precision", ()),
    (Metric("mean recall of the classes", _ALL, _counts(macro("recall"))), "recall", ()),
    (Metric("mean F1 of the classes", _ALL, _counts(macro("f1"))), "f1", ("macro-f1",)),
    (Metric(_REPORT, (CLASSES, PIXELS, LABELS), _counts(per_class), None, widest=WIDEST), "per-class", ()),
    (Metric("how often each class was taken for each", (CLASSES, PIXELS), Confusion, None, widest=WIDEST),
     "confusion", ("confusion-matrix",)),
    (Metric(_AREA, (CLASSES, LABELS), Areas, scalar="mean", most=SCORES), "auroc", ("roc-auc", "auc")),
    (Metric("expected calibration error in 15 bins", _ONE, lambda t: Reliability(), "lower", "ece"),
     "ece", ("calibration",)),
    (Metric("mean squared error of the probabilities", _ONE, lambda t: Mean(brier), "lower"), "brier", ()),
    (Metric("the temperature that calibrates best, fitted on every other example", (CLASSES, TOKENS), Temperature,
            None), "temperature", ()),
    (Metric("intersection over union of each class", (PIXELS, LABELS), _counts(by_class("iou")), scalar="mean"),
     "iou", ("miou", "jaccard")),
    (Metric("Dice's coefficient of each class", (PIXELS, LABELS), _counts(by_class("f1")), scalar="mean"), "dice", ()),
    (Metric("fraction whose labels are all right", (LABELS,), lambda t: Mean(all_right)), "exact-match", ()),
    (Metric("root of the mean squared error", (NUMBERS,), RMSE, "lower"), "rmse", ()),
    (Metric("mean absolute error", (NUMBERS,), MAE, "lower"), "mae", ()),
    (Metric("coefficient of determination of each output", (NUMBERS,), R2, scalar="mean"), "r2", ("r-squared",)),
)
# fmt: on

METRICS: Vocabulary[Metric] = Vocabulary("metric")
for _metric, _word, _aliases in _ROWS:
    METRICS.add(_word, _metric, *_aliases)


def chosen_metrics(asked: str | Iterable[str], task: Task) -> dict[str, Metric]:
    """The metrics that are asked for, by word: `all` are those that the task has.

    Raises UserError for a word that is no metric, and for one that the task does not have.
    """
    words = asked.split(",") if isinstance(asked, str) else list(asked)
    found: dict[str, Metric] = {}
    for given in words:
        if given == "all":
            found |= {word: metric for word, metric in METRICS.items() if not metric.misfit(task)}
            continue
        metric, word = METRICS.find(given.strip(), "`metrics`"), METRICS.word(given.strip()) or given
        if problem := metric.misfit(task):
            fitting = [name for name, row in METRICS.items() if not row.misfit(task)]
            raise UserError(f"`metrics`: {word} {problem}; choose from {', '.join(fitting)}, or all")
        found[word] = metric
    return found


def scalar_of(word: str, result: JSON) -> float | None:
    """The number of a metric's result that runs are compared by; None if it has none, or was not defined."""
    name = METRICS[word].scalar
    value = result[name] if name and isinstance(result, Mapping) else result
    return float(value) if isinstance(value, int | float) else None


def comparable() -> Sequence[str]:
    """The words of the metrics by which runs can be compared: those with a better and a worse."""
    return [word for word, metric in METRICS.items() if metric.better]
