"""What a metric sees: a net's outputs beside their targets, a few rows at a time, in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from netc.netspec.check import CheckedNet
from netc.netspec.errors import NetcError
from netc.netspec.loss import Loss

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
JSON = Any
CHUNK = 1 << 21  # numbers of the outputs that are looked at in one go: 16 MB in float64

CLASSES, TOKENS, PIXELS, LABELS, NUMBERS = "classes", "tokens", "pixels", "labels", "numbers"
KINDS = (CLASSES, TOKENS, PIXELS, LABELS, NUMBERS)


@dataclass(frozen=True)
class Task:
    """What is measured. `kind` follows from the loss and the output:

    classes: one class an example; tokens, pixels: one for each place; labels: any number of `width` labels at once
    (logits); numbers: a regression. `width` is the output's last axis, `names` of its classes or labels, `rows` the
    predictions that will be seen: examples times `places`. `lengths` int64 [width] are the bytes of text that tokens
    stand for, where that is known.
    """

    kind: str
    width: int
    rows: int
    names: tuple[str, ...] = ()
    places: int = 1
    lengths: Ints | None = None

    @property
    def classified(self) -> bool:
        """Whether a row has exactly one class."""
        return self.kind in (CLASSES, TOKENS, PIXELS)

    def name(self, index: int) -> str:
        """The name of a class, a label or an output."""
        return self.names[index] if index < len(self.names) else str(index)

    def each(self, values: Sequence[float | None]) -> JSON:
        """A value for each class, label or output, as plain JSON: a list, as two classes may have one name."""
        return [{"class": self.name(i), "value": value} for i, value in enumerate(values)]


def task_of(net: CheckedNet, loss: Loss, names: tuple[str, ...], count: int, lengths: Ints | None = None) -> Task:
    """The task of a net and its loss on `count` examples, of tokens of these `lengths` in bytes."""
    places = int(np.prod(net.out.shape[:-1])) if net.out.rank else 1
    width = net.out.shape[-1] if net.out.rank else 1
    one = CLASSES if net.out.rank == 1 else TOKENS if net.x.dtype != "f32" else PIXELS
    kinds = {"class": one, "likeliest": one, "side": LABELS, "nothing": NUMBERS}
    if lengths is not None and len(lengths) < width:  # ids that round a vocabulary up stand for nothing
        lengths = np.concatenate([lengths, np.zeros(width - len(lengths), np.int64)])
    return Task(kinds[loss.metric], width, count * places, names, places, lengths)


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows of outputs `z` float64 [n, width] and their targets.

    `numbers` int64 [n] are the rows' numbers in the part: an example's number times `places`, and its place. `target`
    is int64 [n] where a row has one class, else float64 [n, width].
    """

    task: Task
    numbers: Ints
    z: Floats
    target: Any

    @cached_property
    def log_chances(self) -> Floats:
        """log softmax(z), [n, width]."""
        shifted = self.z - self.z.max(axis=1, keepdims=True)
        found: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return found

    @cached_property
    def chances(self) -> Floats:
        """softmax(z), [n, width]."""
        found: Floats = np.exp(self.log_chances)
        return found

    @cached_property
    def guess(self) -> Ints:
        """The class of the largest output, the first of equal ones, [n]."""
        found: Ints = self.z.argmax(axis=1)
        return found

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the guess is the target, [n]."""
        found: npt.NDArray[np.bool_] = self.guess == self.target
        return found

    @cached_property
    def log_loss(self) -> Floats:
        """-log of the target's probability, [n]."""
        found: Floats = -self.log_chances[np.arange(len(self.z)), self.target]
        return found


class Tally(Protocol):
    """What a metric keeps while the rows go by."""

    def add(self, seen: Seen) -> None:
        """Take some rows."""

    def result(self) -> JSON:
        """What they come to: plain JSON, None for what is not defined on them."""


def rows_of(task: Task, numbers: Ints, outputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Iterator[Seen]:
    """The rows of a batch's outputs [n, .., width] and targets, a chunk at a time; raises NetcError for NaN in them.

    `numbers` [n] are the examples' places in the part. Pixels and tokens whose id is no class are left out.
    """
    rows = (numbers[:, np.newaxis] * task.places + np.arange(task.places)).reshape(-1)
    z = outputs.reshape(-1, task.width)
    if task.classified:
        soft = targets.dtype.kind == "f"
        target = targets.reshape(-1, task.width).argmax(axis=1) if soft else targets.reshape(-1)
    else:
        target = targets.reshape(-1, task.width)
    if task.places > 1 and task.classified:  # a pixel's or token's id that is none, such as 255, is left out
        known = (target >= 0) & (target < task.width)
        z, target, rows = z[known], target[known], rows[known]
    step = max(1, CHUNK // task.width)
    for start in range(0, len(z), step):
        part = z[start : start + step].astype(np.float64)
        if not np.isfinite(part).all():
            raise NetcError(
                f"metrics want finite outputs, got NaN or infinity for example {rows[start] // task.places}; the "
                "weights or this input are beyond what float32 holds"
            )
        kind = np.int64 if task.classified else np.float64
        yield Seen(task, rows[start : start + step], part, target[start : start + step].astype(kind))
