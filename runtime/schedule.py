"""The learning rate of each step."""

from __future__ import annotations

from netc.netspec.recipe import TrainConfig
from netc.netspec.schedules import Plateau


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int, falls: int = 0) -> float:
    """The rate of step `step` (from 0): a linear warm-up, then as the schedule says (netspec/schedules.py).

    `falls`: how often a plateau has lowered it. With `lr_per_epoch` the rate of an epoch is that of its first step, in
    the warm-up that of its last, as lean4-mlir has it: lr (epoch + 1) / warmup, then the schedule of whole epochs.
    """
    total, warm = config.steps(steps_per_epoch), config.warm_steps(steps_per_epoch)
    if config.lr_per_epoch:
        step = step // steps_per_epoch * steps_per_epoch
        if step < warm:
            step = min(step + steps_per_epoch, warm) - 1
    if step < warm:
        return config.lr * (step + 1) / warm
    if total <= warm:
        return config.lr
    floor = config.lr * config.final
    if isinstance(config.schedule, Plateau):
        return max(floor, config.lr * config.schedule.gamma**falls)
    return floor + (config.lr - floor) * config.schedule.factor((step - warm) / (total - warm))
