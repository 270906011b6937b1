"""Feeding: which examples are held out for the test, how often each is drawn, and what the tokens of a text are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.netspec.errors import SpecError
from netc.netspec.vocabulary import option

SAMPLERS = ("shuffle", "balanced")
MOST_FOLDS = 1_000
MOST_REPEATS = 1_000


@dataclass(frozen=True)
class Feeding:
    """How data is divided and drawn. Both depend on nothing but these fields, the seeds and the number of examples.

    `val` is the share of the training part that is held out; `fold` K/N holds out the K-th of N parts of it, K from 1.
    Either takes the place of the test part, which the run then never sees. `stratify`: every class has the same share
    of both parts. `split_seed` draws the division. `sampler` is `shuffle`, every example once an epoch, or `balanced`,
    every class as often, in an epoch of the same length. Of a source that is read in stretches (the row groups of
    Parquet) at least `shuffle_buffer` examples are shuffled at a time. `aug_repeats` R: each drawn example comes R
    times in a row, each time augmented by itself, and an epoch has as many steps as before, so that it sees one in R of
    the examples (repeated augmentation: Hoffer et al. 2020; timm's RASampler on one device). `tokenizer` says what the
    tokens of a text are.
    """

    val: float = option(0.0, "Hold out this fraction of the training set, and evaluate on it.", later=True)
    fold: str = option("", "K/N: hold out the K-th of N folds of the training set, and evaluate on it.", later=True)
    stratify: bool = option(False, "Split each class in the same proportion (val, fold).", later=True)
    split_seed: int = option(0, "Seed of the split (val, fold).", later=True)
    sampler: str = option("shuffle", "shuffle, or balanced: draw every class equally often.", later=True)
    aug_repeats: int = option(1, "Repeat each example N times in a row, augmented independently.", later=True)
    shuffle_buffer: int = option(4096, "Size of the shuffle buffer, for data that is streamed.", later=True)
    tokenizer: str = option(
        "char", "Tokenizer for text: char, byte, bpe:SIZE, a tokenizer.json or a folder.", later=True
    )

    @property
    def divides(self) -> bool:
        """Whether part of the training part is held out."""
        return bool(self.val or self.fold)

    @property
    def folds(self) -> tuple[int, int]:
        """(K, N) of `fold`."""
        first, _, count = self.fold.partition("/")
        return int(first), int(count)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range, and for options that say nothing or contradict."""
        if not 0 <= self.val < 1:
            yield f"`val` wants a share from 0 to below 1, got {self.val}; give `val=0.1` for a tenth"
        if self.fold and not self._is_fold():
            yield f"`fold` wants K/N, K from 1 to N and N from 2 to {MOST_FOLDS}, got {self.fold!r}; give `fold=1/5`"
        if self.val and self.fold:
            yield "only one part is held out, got `val` and `fold`; leave one of them out"
        if not self.divides and (self.stratify or self.split_seed):
            name = "stratify" if self.stratify else "split_seed"
            yield f"`{name}` belongs to `val` or `fold`, got neither; give one of them, or leave it out"
        if type(self.split_seed) is not int or not 0 <= self.split_seed < 1 << 63:
            yield f"`split_seed` wants an integer from 0 to 2^63 - 1, got {self.split_seed!r}"
        if type(self.shuffle_buffer) is not int or self.shuffle_buffer < 1:
            yield f"`shuffle_buffer` wants 1 or more examples, got {self.shuffle_buffer!r}"
        if self.sampler not in SAMPLERS:
            yield f"`sampler` wants {' or '.join(SAMPLERS)}, got {self.sampler!r}"
        if type(self.aug_repeats) is not int or not 1 <= self.aug_repeats <= MOST_REPEATS:
            yield f"`aug_repeats` wants an integer from 1 to {MOST_REPEATS}, got {self.aug_repeats!r}"

    def check(self) -> Feeding:
        """The feeding itself; raises SpecError with one sentence for each problem."""
        if problems := [*self.problems()]:
            raise SpecError(tuple(problems))
        return self

    def _is_fold(self) -> bool:
        first, slash, count = self.fold.partition("/")
        if not (slash and first.isascii() and first.isdigit() and count.isascii() and count.isdigit()):
            return False
        return len(count) < 9 and 1 <= int(first) <= int(count) and 2 <= int(count) <= MOST_FOLDS
