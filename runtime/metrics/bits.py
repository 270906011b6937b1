"""What a language model's loss is in bits: of a token, and of a byte of the text, which compares tokenizers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from netc.netspec.loss import CrossEntropy, Loss
from netc.runtime.data.dataset import AnySplit
from netc.runtime.data.tokenizer import Tokenizer
from netc.runtime.data.windows import TextSplit
from netc.runtime.metrics.seen import JSON, Floats, Ints, Seen, Task

AT_ONCE = 1 << 10  # contexts that are counted together
FIRST = 8  # positions that are shown each by itself


@dataclass(frozen=True)
class Bits:
    """The targets of a test part: `tokens` of them, which stand for `bytes` of UTF-8; 0 where nobody knows that."""

    tokens: int
    bytes: int = 0

    def of(self, nats: float) -> dict[str, float]:
        """A mean loss of `nats` a token as bits: `per_token`, and `per_byte` = nats tokens / bytes / ln 2."""
        bits = nats / math.log(2)
        return {"per_token": bits, **({"per_byte": bits * self.tokens / self.bytes} if self.bytes else {})}

    def said(self, nats: float) -> str:
        """The same in words."""
        found = self.of(nats)
        whole = f"{found['per_token']:.4f} bits per token"
        return whole + (f", {found['per_byte']:.4f} bits per byte" if "per_byte" in found else "")

    def short(self, nats: float) -> str:
        """The one of them that compares most."""
        found = self.of(nats)
        return f"{found['per_byte']:.4f} bits per byte" if "per_byte" in found else self.said(nats)


def bits_of(test: AnySplit, tokenizer: Tokenizer | None, loss: Loss) -> Bits | None:
    """The targets of a text's test part; None of other data, and of a loss that is not the plain cross-entropy."""
    if not isinstance(test, TextSplit) or not isinstance(loss, CrossEntropy) or loss.weights:
        return None
    lengths = tokenizer.lengths if tokenizer is not None else None
    tokens, size = len(test) * test.context, 0
    for first in range(0, len(test) if lengths is not None else 0, AT_ONCE):
        _, targets = test.windows(np.arange(first, min(first + AT_ONCE, len(test)), dtype=np.int64))
        size += int(lengths[targets].sum())  # type: ignore[index]
    return Bits(tokens, size)


class BitsPerByte:
    """-log2 of the right tokens' probabilities, summed, over the bytes that these tokens stand for."""

    def __init__(self, task: Task) -> None:
        self._lengths: Any = task.lengths
        self._nats, self._bytes = 0.0, 0

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        self._nats += float(seen.log_loss.sum())
        self._bytes += int(self._lengths[seen.target].sum())

    def result(self) -> JSON:
        """The bits of a byte; None where the tokens stand for none."""
        return self._nats / math.log(2) / self._bytes if self._bytes else None


class ByPosition:
    """exp of the mean log loss at each position of a context."""

    def __init__(self, task: Task) -> None:
        self._sums: Floats = np.zeros(task.places)
        self._counts: Ints = np.zeros(task.places, np.int64)

    def add(self, seen: Seen) -> None:
        """Take some rows."""
        places = seen.numbers % len(self._sums)
        self._sums += np.bincount(places, seen.log_loss, len(self._sums))
        self._counts += np.bincount(places, minlength=len(self._sums))

    def result(self) -> JSON:
        """`positions`: the perplexity of each; `ranges`: of each of the first, then of twice as many at a time."""
        each = [_perplexity(s, c) for s, c in zip(self._sums.tolist(), self._counts.tolist(), strict=True)]
        first, ranges = 0, []
        while first < len(each):
            last = min(first + (first if first >= FIRST else 1), len(each))
            value = _perplexity(float(self._sums[first:last].sum()), int(self._counts[first:last].sum()))
            ranges.append({"first": first + 1, "last": last, "perplexity": value})
            first = last
        return {"positions": each, "ranges": ranges}


def _perplexity(nats: float, count: int) -> float | None:
    return math.exp(min(nats / count, 700.0)) if count else None  # the largest power that is a number
