"""Schedules in the script: each one's factor of t, as netspec/schedules.py defines it, in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.schedules import Constant, Cosine, Schedule

FACTORS: dict[type[Schedule], Callable[[Any], str]] = {
    Cosine: lambda schedule: "0.5 * (1 + math.cos(math.pi * t))",
    Constant: lambda schedule: "1.0",
}


def factor_text(schedule: Schedule) -> str:
    """The expression in t; raises UserError for a schedule without one."""
    form = FACTORS.get(type(schedule))
    if form is None:
        known = ", ".join(cls.kind for cls in FACTORS)
        raise UserError(f"emit-jax wants one of the schedules {known}, got {schedule.kind}; choose one of these")
    return form(schedule)
