"""Every exam of the oracle, how some are chosen by name, and how they are sat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from netc.netspec.errors import UserError
from netc.proofs_oracle.card import Card
from netc.proofs_oracle.exam_layer import run_case
from netc.proofs_oracle.exam_loss import run_loss_case
from netc.proofs_oracle.exam_optimizer import run_optimizer_case
from netc.proofs_oracle.exam_step import KIND as STEP
from netc.proofs_oracle.exam_step import run_step_case
from netc.proofs_oracle.references import REFERENCES, losses, optimizers, step

__all__ = ["Exam", "exams", "run", "run_case", "select", "sit"]


@dataclass(frozen=True)
class Exam:
    """One case of one kind; `sit(seed=..)` gives its card."""

    kind: str
    case: str
    sit: Callable[..., Card]

    @property
    def label(self) -> str:
        """`conv2d/groups-2`."""
        return f"{self.kind}/{self.case}"


def exams() -> Iterator[Exam]:
    """Every exam: layers, then losses, optimizers, whole train steps."""
    for reference in REFERENCES.values():
        for case in reference.cases:
            yield Exam(reference.kind, case.name, partial(run_case, reference, case))
    for loss in losses.CASES:
        yield Exam(loss.loss.kind, loss.name, partial(run_loss_case, loss))
    for kind, cases in optimizers.CASES.items():
        for rule in cases:
            yield Exam(kind, rule.name, partial(run_optimizer_case, kind, rule))
    for whole in step.CASES:
        yield Exam(STEP, whole.name, partial(run_step_case, whole))


def select(pattern: str | None = None) -> list[Exam]:
    """The exams whose `kind/case` holds `pattern`, or matches it where it has * ? or [ ]; raises UserError if none."""
    every = list(exams())
    if not pattern:
        return every
    chosen = [e for e in every if _matches(e, pattern)]
    if not chosen:
        kinds = ", ".join(dict.fromkeys(e.kind for e in every))
        raise UserError(f"PATTERN wants part of a kind or case, got {pattern!r}; the kinds are {kinds}")
    return chosen


def _matches(exam: Exam, pattern: str) -> bool:
    if any(c in pattern for c in "*?["):
        return any(fnmatchcase(name, pattern) for name in (exam.label, exam.kind, exam.case))
    return pattern in exam.label


def sit(chosen: Sequence[Exam], *, seed: int = 0) -> Iterator[Card]:
    """The card of each exam, as it is done."""
    for exam in chosen:
        yield exam.sit(seed=seed)


def run(pattern: str | None = None, *, seed: int = 0) -> list[Card]:
    """The cards of the chosen exams; raises UserError where `pattern` chooses none."""
    return list(sit(select(pattern), seed=seed))
