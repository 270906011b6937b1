"""The learning rate of each step, beside optax's schedules."""

import math

import optax
import pytest

from netc.netspec.errors import SpecError
from netc.netspec.recipe import TrainConfig
from netc.netspec.schedules import (
    SCHEDULES,
    CosineRestarts,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Plateau,
    Polynomial,
    StableDecay,
    Step,
)  # fmt: skip
from netc.proofs_oracle.twin.schedules import factor_text
from netc.requests import planned, request_training
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


TOTAL = 60  # steps, none of them of a warm-up
PEERS = {
    "linear": (Linear(), optax.linear_schedule(1.0, 0.0, TOTAL)),
    "polynomial": (Polynomial(0.9), optax.polynomial_schedule(1.0, 0.0, 0.9, TOTAL)),
    "step": (Step(0.2, 1 / 3), optax.exponential_decay(1.0, 20, 0.2, staircase=True)),
    "exponential": (Exponential(0.05), optax.exponential_decay(1.0, TOTAL, 0.05)),
    "cosine-restarts": (
        CosineRestarts(3), optax.join_schedules([optax.cosine_decay_schedule(1.0, 20)] * 3, [20, 40]),
    ),
    "stable-decay": (
        StableDecay(0.25),
        optax.join_schedules([optax.constant_schedule(1.0), optax.linear_schedule(1.0, 0.0, 15)], [45]),
    ),
    "one-cycle": (OneCycle(), optax.cosine_onecycle_schedule(TOTAL, 1.0)),
    "one-cycle-else": (OneCycle(0.5, 0.1, 0.01), optax.cosine_onecycle_schedule(TOTAL, 1.0, 0.5, 10.0, 10.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_a_schedule_is_optaxs(name):
    schedule, wanted = PEERS[name]
    config = TrainConfig(epochs=6, lr=1.0, decay=schedule).check()
    for step in range(TOTAL):  # optax is in float32
        assert learning_rate(config, step, 10) == pytest.approx(float(wanted(step)), abs=4e-7)


def torchs(torch, make):
    """The rates of a schedule of torch's, step by step."""
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    schedule = make(torch.optim.lr_scheduler, optimizer)
    for _ in range(TOTAL):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()


TORCH = {
    "step": (Step(0.5, 0.3), lambda rates, o: rates.StepLR(o, 18, 0.5)),
    "linear": (Linear(), lambda rates, o: rates.LinearLR(o, 1.0, 0.0, TOTAL)),
    "polynomial": (Polynomial(3.0), lambda rates, o: rates.PolynomialLR(o, TOTAL, 3.0)),
    "exponential": (Exponential(0.1), lambda rates, o: rates.ExponentialLR(o, 0.1 ** (1 / TOTAL))),
    "cosine-restarts": (CosineRestarts(2, 2.0), lambda rates, o: rates.CosineAnnealingWarmRestarts(o, 20, 2)),
    "cosine-restarts-4": (CosineRestarts(), lambda rates, o: rates.CosineAnnealingWarmRestarts(o, 15)),
    "inverse-sqrt": (InverseSqrt(0.25), lambda rates, o: rates.LambdaLR(o, lambda s: math.sqrt(15 / (15 + s)))),
}


@pytest.mark.parametrize("name", TORCH)
def test_a_schedule_is_torchs(name):
    torch = pytest.importorskip("torch")  # of the extra `bench`
    schedule, make = TORCH[name]
    config = TrainConfig(epochs=6, lr=1.0, decay=schedule).check()
    ours = [learning_rate(config, step, 10) for step in range(TOTAL)]
    assert ours == pytest.approx(list(torchs(torch, make)), rel=1e-12, abs=1e-13)


def test_inverse_sqrt_is_vaswanis_where_its_timescale_is_the_warm_up():
    config = TrainConfig(epochs=10, lr=1.0, warmup=2, decay=InverseSqrt(2 / 8))
    for step in range(8, 40):
        assert learning_rate(config, step, 4) == pytest.approx(math.sqrt(8 / step))


TIMED = [cls() for cls in SCHEDULES.values() if not cls.by_evaluation]


@pytest.mark.parametrize("schedule", TIMED + [s for s, _ in PEERS.values()])
def test_the_script_of_emit_jax_has_the_same(schedule):
    text = factor_text(schedule)
    for step in range(101):
        held = {"math": math, "t": step / 100}
        assert eval(f"({text})", held) == pytest.approx(schedule.factor(step / 100), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [(Step(0.0), "step: gamma wants a number above 0, at most 1, got 0.0"), (Step(every=2.0), "step: every wants"),
     (Polynomial(-1.0), "polynomial: power wants a positive number"), (CosineRestarts(0), "cycles wants an integer"),
     (CosineRestarts(40, 2.0), "wants at most 30 if they grow, got 40"), (OneCycle(rise=1.0), "rise wants"),
     (OneCycle(ends=2.0), "ends wants a number from 0 to 1"), (StableDecay(0.0), "fall wants"),
     (Plateau(1.0), "gamma wants a number above 0, below 1"), (Plateau(wait=0), "wait wants a positive integer"),
     (Exponential(float("nan")), "left wants"), (InverseSqrt(0.0), "timescale wants")],
)  # fmt: skip
def test_an_option_out_of_range(schedule, said):
    with pytest.raises(SpecError, match=said):
        TrainConfig(decay=schedule).check()


def test_one_cycle_is_its_own_warm_up_unless_one_is_stated():
    words = {"data": "digits", "target": "reference", "lr": 1.0, "epochs": 6}
    config = planned(request_training("mnist-mlp", decay="one-cycle", **words)).config.training
    wanted = optax.cosine_onecycle_schedule(TOTAL, 1.0)
    assert [learning_rate(config, step, 10) for step in range(TOTAL)] == pytest.approx(
        [float(wanted(step)) for step in range(TOTAL)], abs=4e-7
    )
    assert planned(request_training("mnist-mlp", decay="one-cycle", warmup=1, **words)).config.training.warmup == 1
    assert planned(request_training("mnist-mlp", **words)).config.training.warmup == 0.5


def test_a_warm_up_in_steps_and_an_end_in_steps():
    config = TrainConfig(epochs=3, lr=1.0, warmup_steps=5, max_steps=25, decay="linear").check()
    wanted = optax.join_schedules([optax.linear_schedule(0.2, 1.2, 5), optax.linear_schedule(1.0, 0.0, 20)], [5])
    ours = [learning_rate(config, step, 10) for step in range(25)]
    assert ours == pytest.approx([float(wanted(step)) for step in range(25)], abs=4e-7)


def test_the_rate_of_an_epoch_is_lean4_mlirs():
    """lr (e + 1) / warmup in the warm-up, then half a cosine over whole epochs."""
    config = TrainConfig(epochs=7, lr=0.3, warmup=3, lr_per_epoch=True)
    for step in range(7 * STEPS):
        e = step // STEPS
        wanted = 0.3 * (e + 1) / 3 if e < 3 else 0.3 * 0.5 * (1 + math.cos(math.pi * (e - 3) / 4))
        assert learning_rate(config, step, STEPS) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("words", "said"),
    [({"warmup": 1.0, "warmup_steps": 3}, "`warmup` and `warmup_steps` say the same, got both"),
     ({"max_steps": 5, "warmup_steps": 6}, "`warmup_steps` wants at most the 5 steps"),
     ({"max_steps": -1}, "`max_steps` wants an integer of at least 0, got -1"),
     ({"min_delta": -0.1}, "`min_delta` wants a number of at least 0")],
)  # fmt: skip
def test_a_config_that_contradicts_itself(words, said):
    with pytest.raises(SpecError, match=said):
        TrainConfig(**words).check()


def test_max_steps_says_how_many_epochs_and_shortens_the_warm_up():
    words = {"data": "digits", "target": "reference", "batch": 32}
    made = planned(request_training("mnist-mlp", max_steps=100, **words)).config.training
    assert (made.epochs, made.warmup) == (3, pytest.approx(10 / 44))
    assert planned(request_training("mnist-mlp", max_steps=100, epochs=1, **words)).config.training.steps(44) == 44
    assert planned(request_training("mnist-mlp", warmup_steps=3, **words)).config.training.warmup == 0
