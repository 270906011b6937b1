"""The learning rate of each step."""

from __future__ import annotations

from netc.netspec.recipe import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of step `step` (from 0): a linear warm-up, then as the schedule says (netspec/schedules.py)."""
    total = config.epochs * steps_per_epoch
    warm = round(config.warmup * steps_per_epoch)
    if step < warm:
        return config.lr * (step + 1) / warm
    if total <= warm:
        return config.lr
    floor = config.lr * config.final
    return floor + (config.lr - floor) * config.schedule.factor((step - warm) / (total - warm))
