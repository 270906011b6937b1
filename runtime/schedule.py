"""The learning rate of each step."""

from __future__ import annotations

import math

from netc.netspec.recipe import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of step `step` (from 0): linear warm-up, then half a cosine or constant (netspec/recipe.py)."""
    total = config.epochs * steps_per_epoch
    warm = round(config.warmup * steps_per_epoch)
    if step < warm:
        return config.lr * (step + 1) / warm
    if config.decay == "constant" or total <= warm:
        return config.lr
    progress = (step - warm) / (total - warm)
    floor = config.lr * config.final
    return floor + (config.lr - floor) * 0.5 * (1 + math.cos(math.pi * progress))
