"""Every check of the oracle, how some are chosen by name, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from netc.netspec.errors import UserError
from netc.netspec.nearest import did_you_mean
from netc.proofs_oracle.check_layer import run_case
from netc.proofs_oracle.check_loss import run_loss_case
from netc.proofs_oracle.check_optimizer import run_optimizer_case
from netc.proofs_oracle.check_step import KIND as STEP
from netc.proofs_oracle.check_step import run_step_case
from netc.proofs_oracle.references import REFERENCES, losses, optimizers, step
from netc.proofs_oracle.result import Result

__all__ = ["GradCheck", "checks", "run", "run_case", "select"]


@dataclass(frozen=True)
class GradCheck:
    """One case of one kind; `run(seed=..)` gives its result."""

    kind: str
    case: str
    run: Callable[..., Result]

    @property
    def label(self) -> str:
        """`conv2d/groups-2`."""
        return f"{self.kind}/{self.case}"


def checks() -> Iterator[GradCheck]:
    """Every check: layers, then losses, optimizers, whole train steps."""
    for layer in REFERENCES.values():
        for case in layer.cases:
            yield GradCheck(layer.kind, case.name, partial(run_case, layer, case))
    for loss in losses.CASES:
        yield GradCheck(loss.loss.kind, loss.name, partial(run_loss_case, loss))
    for cls, reference in optimizers.OPTIMIZERS.items():
        for rule in reference.cases:
            yield GradCheck(cls.kind, rule.name, partial(run_optimizer_case, cls.kind, rule))
    for whole in step.CASES:
        yield GradCheck(STEP, whole.name, partial(run_step_case, whole))


def select(pattern: str | None = None) -> list[GradCheck]:
    """The checks whose `kind/case` holds `pattern`, or matches it where it has * ? or [ ]; raises UserError if none."""
    every = list(checks())
    if not pattern:
        return every
    chosen = [e for e in every if _matches(e, pattern)]
    if not chosen:
        hint = did_you_mean(pattern, (e.kind for e in every), "without PATTERN, all are checked and listed")
        raise UserError(f"PATTERN wants part of a kind or case, got {pattern!r}; {hint}")
    return chosen


def _matches(check: GradCheck, pattern: str) -> bool:
    if any(c in pattern for c in "*?["):
        return any(fnmatchcase(name, pattern) for name in (check.label, check.kind, check.case))
    return pattern in check.label


def run(chosen: Sequence[GradCheck], *, seed: int = 0) -> Iterator[Result]:
    """The result of each check, as it is done."""
    for check in chosen:
        yield check.run(seed=seed)
