"""A schedule in one file, with an option, and its form in Python for the JAX script."""

from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.plugins import for_oracle
from netc.netspec.schedules import SCHEDULES, Schedule
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Steps(Schedule):
    """drop^floor(3 t): two falls, after one third and after two."""

    kind: ClassVar[str] = "steps"
    drop: float = option(0.1, "What the rate is multiplied by at each fall.")

    def factor(self, t: float) -> float:
        return float(self.drop ** int(3 * t))

    def problems(self):
        if not 0 < self.drop <= 1:
            yield f"steps: drop wants a number in (0, 1], got {self.drop}"


SCHEDULES.add("steps", Steps)


@for_oracle
def form() -> None:
    from netc.proofs_oracle.twin.schedules import FACTORS

    FACTORS[Steps] = lambda schedule: f"{schedule.drop!r} ** int(3 * t)"
