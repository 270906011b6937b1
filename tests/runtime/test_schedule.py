"""The learning rate of each step, beside optax's schedules."""

import optax
import pytest

from netc.netspec.recipe import TrainConfig
from netc.runtime.schedule import learning_rate

STEPS = 7  # an epoch


@pytest.mark.parametrize("warmup", [0.0, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("decay", ["cosine", "constant"])
def test_every_step_is_optaxs(warmup, final, decay):
    schedule = TrainConfig(epochs=4, lr=0.3, warmup=warmup, decay=decay, final=final)
    warm, total = round(warmup * STEPS), 4 * STEPS
    after = (
        optax.constant_schedule(0.3)
        if decay == "constant"
        else optax.cosine_decay_schedule(0.3, max(total - warm, 1), alpha=final)
    )
    rise = optax.linear_schedule(0.0, 0.3, max(warm, 1))
    for step in range(total):  # the first step's rate is not 0: step s is the end of its s + 1 parts of the rise
        wanted = rise(step + 1) if step < warm else after(step - warm)
        assert learning_rate(schedule, step, STEPS) == pytest.approx(
            float(wanted), abs=0.3 * 4e-7
        )  # optax is in float32


def test_the_ends():
    schedule = TrainConfig(epochs=2, lr=1.0, warmup=1.0, final=0.25)
    rates = [learning_rate(schedule, s, 4) for s in range(8)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates == sorted(rates[:4]) + sorted(rates[4:], reverse=True)
    assert min(rates[4:]) > 0.25
