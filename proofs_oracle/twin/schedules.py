"""Schedules in the script: each one's factor of t, as netspec/schedules.py defines it, in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Schedule,
    StableDecay,
    Step,
)  # fmt: skip

FACTORS: dict[type[Schedule], Callable[[Any], str]] = {
    Cosine: lambda schedule: "0.5 * (1 + math.cos(math.pi * t))",
    Constant: lambda schedule: "1.0",
    Linear: lambda schedule: "1 - t",
    Polynomial: lambda schedule: f"(1 - t) ** {schedule.power!r}",
    Step: lambda schedule: f"{schedule.gamma!r} ** math.floor(t / {schedule.every!r} + 1e-9)",
    Exponential: lambda schedule: f"{schedule.left!r} ** t",
    CosineRestarts: lambda schedule: (
        f"next(0.5 * (1 + math.cos(math.pi * (t - a) / (b - a))) for a, b in {schedule.spans!r} if t < b or b == 1)"
    ),
    InverseSqrt: lambda schedule: f"1 / math.sqrt(1 + t / {schedule.timescale!r})",
    StableDecay: lambda schedule: f"min(1.0, (1 - t) / {schedule.fall!r})",
    OneCycle: lambda schedule: (
        f"{schedule.begins!r} + {1 - schedule.begins!r} * 0.5 * (1 - math.cos(math.pi * t / {schedule.rise!r})) "
        f"if t < {schedule.rise!r} else {schedule.ends!r} + {1 - schedule.ends!r} * 0.5 "
        f"* (1 + math.cos(math.pi * (t - {schedule.rise!r}) / {1 - schedule.rise!r}))"
    ),
}


def factor_text(schedule: Schedule) -> str:
    """The expression in t; raises UserError for a schedule without one."""
    form = FACTORS.get(type(schedule))
    if form is None:
        known = ", ".join(cls.kind for cls in FACTORS)
        raise UserError(f"emit-jax wants one of the schedules {known}, got {schedule.kind}; choose one of these")
    return form(schedule)
