"""A result: the verdict on one case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netc.proofs_oracle.compare import Comparison
from netc.proofs_oracle.reference import AGAINST_DIFFERENCE


@dataclass(frozen=True)
class Result:
    """The verdict on one case.

    `tensors` were compared with JAX, `jax_error` is the worst relative error and `worst` its tensor. `directions`
    central differences were taken, the worst with `difference_error` (None if none was); `skipped` were left out
    for `skip_reason`, such as `ties: ..`. `problem` says what is wrong where a number cannot. `seconds` is wall time.
    """

    kind: str
    case: str
    tensors: int
    jax_error: float
    difference_error: float | None
    worst: str
    passed: bool
    seconds: float
    directions: int = 0
    skipped: int = 0
    skip_reason: str = ""
    problem: str = ""

    @property
    def label(self) -> str:
        """`conv2d/groups-2`."""
        return f"{self.kind}/{self.case}"

    def difference(self) -> str:
        """The worst error against a central difference as tables show it, or why there is none."""
        if self.difference_error is not None:
            return f"{self.difference_error:.1e}"
        return self.skip_reason.split(":")[0] or "-"

    def verdict(self) -> str:
        """Why the result failed, in one sentence; empty if it passed."""
        if self.passed:
            return ""
        if self.problem:
            return f"{self.label}: {self.problem}"
        against = f"JAX {self.jax_error:.1e}"
        if self.difference_error is not None:
            against += f", central difference {self.difference_error:.1e}"
        return f"{self.label}: {self.worst} is wrong by a relative error of {against}"

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values; an infinite error is spelled "Infinity"."""
        return {
            "kind": self.kind,
            "case": self.case,
            "passed": self.passed,
            "tensors": self.tensors,
            "jax_error": _spelled(self.jax_error),
            "difference_error": None if self.difference_error is None else _spelled(self.difference_error),
            "worst": self.worst,
            "directions": self.directions,
            "skipped": self.skipped,
            "skip_reason": self.skip_reason,
            "problem": self.problem,
            "seconds": round(self.seconds, 4),
        }


def _spelled(error: float) -> float | str:
    return error if math.isfinite(error) else "Infinity"


def result_of(
    kind: str,
    case: str,
    *,
    against_jax: Sequence[Comparison],
    differences: Sequence[Comparison] = (),
    tolerance: float,
    seconds: float,
    skipped: int = 0,
    skip_reason: str = "",
) -> Result:
    """The result for these comparisons; `worst` is the tensor that is furthest beyond (or nearest to) its limit."""
    limits = [(c.error / tolerance, c) for c in against_jax] + [(c.error / AGAINST_DIFFERENCE, c) for c in differences]
    furthest, worst = max(limits, key=lambda pair: pair[0])
    return Result(
        kind,
        case,
        tensors=len(against_jax),
        jax_error=max(c.error for c in against_jax),
        difference_error=max((c.error for c in differences), default=None),
        worst=worst.tensor,
        passed=furthest <= 1,
        seconds=seconds,
        directions=len(differences),
        skipped=skipped,
        skip_reason=skip_reason,
        problem=worst.problem,
    )


def summary(results: Sequence[Result]) -> str:
    """The closing line: `212 cases, 1304 tensors compared: all agree`, or how many do not."""
    failed = [result for result in results if not result.passed]
    skipped = sum(result.skipped for result in results)
    verdict = f"{_count(len(failed), 'case')} disagreeing" if failed else "all agree"
    rest = f" ({skipped} differences skipped at kinks and ties)" if skipped else ""
    tensors = sum(result.tensors for result in results)
    return f"{_count(len(results), 'case')}, {_count(tensors, 'tensor')} compared: {verdict}{rest}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
