"""The learning rate of each step."""

from __future__ import annotations

import math

from netc.netspec.recipe import Schedule


def learning_rate(schedule: Schedule, step: int, steps_per_epoch: int) -> float:
    """The rate of step `step` (from 0): linear warm-up, then half a cosine or constant (netspec/recipe.py)."""
    total = schedule.epochs * steps_per_epoch
    warm = round(schedule.warmup * steps_per_epoch)
    if step < warm:
        return schedule.lr * (step + 1) / warm
    if schedule.decay == "constant" or total <= warm:
        return schedule.lr
    progress = (step - warm) / (total - warm)
    floor = schedule.lr * schedule.final
    return floor + (schedule.lr - floor) * 0.5 * (1 + math.cos(math.pi * progress))
