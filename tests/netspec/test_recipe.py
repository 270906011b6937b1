"""Recipes and schedules: every value out of range is named, and the rate of each step is the closed form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.netspec.clipping import Clipping
from netc.netspec.errors import SpecError
from netc.netspec.loss import CrossEntropy, Dice, Focal
from netc.netspec.recipe import SGD, Adam, Recipe, TrainConfig
from netc.netspec.recipe_words import optimizer_words, recipe_of, recipe_parts, schedule_words, training_words
from netc.netspec.schedules import SCHEDULES
from netc.netspec.vocabulary import options_of
from netc.runtime.schedule import learning_rate

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (Recipe(Adam(beta1=1.0)), "adam: beta1 wants a number in [0, 1), got 1.0"),
        (Recipe(Adam(beta1=NAN)), "adam: beta1 wants a number in [0, 1), got nan"),
        (Recipe(Adam(beta2=-0.1)), "adam: beta2 wants a number in [0, 1), got -0.1"),
        (Recipe(Adam(epsilon=0.0)), "adam: epsilon wants a positive number, got 0.0"),
        (Recipe(Adam(epsilon=NAN)), "adam: epsilon wants a positive number, got nan"),
        (Recipe(Adam(epsilon=INF)), "adam: epsilon wants a positive number, got inf"),
        (Recipe(Adam(epsilon=1e-50)), "adam: epsilon wants a number from 1e-37 to 1e+09, got 1e-50"),
        (Recipe(Adam(weight_decay=1e39)), "adam: weight_decay wants a number of at most 1e+09, got 1e+39"),
        (Recipe(loss=Focal(gamma=1e39)), "focal: gamma wants numbers of at most 1e+09, got 1e+39"),
        (Recipe(loss=Dice(epsilon=1e39)), "dice: epsilon wants a number from 1e-37 to 1e+09, got 1e+39"),
        (Recipe(Adam(weight_decay=-1.0)), "adam: weight_decay wants a number of at least 0, got -1.0"),
        (Recipe(Adam(weight_decay=NAN)), "adam: weight_decay wants a number of at least 0, got nan"),
        (Recipe(Adam(weight_decay=INF)), "adam: weight_decay wants a number of at least 0, got inf"),
        (Recipe(SGD(momentum=1.0)), "sgd: momentum wants a number in [0, 1), got 1.0"),
        (Recipe(SGD(momentum=0.0, nesterov=True)), "sgd: nesterov wants a momentum above 0, got 0"),
        (Recipe(SGD(weight_decay=INF)), "sgd: weight_decay wants a number of at least 0, got inf"),
        (Recipe(loss=CrossEntropy(1.0)), "`label_smoothing` wants a number in [0, 1), got 1.0"),
        (Recipe(loss=CrossEntropy(NAN)), "`label_smoothing` wants a number in [0, 1), got nan"),
        (TrainConfig(epochs=0), "`epochs` wants a positive integer, got 0"),
        (TrainConfig(batch=-1), "`batch` wants a positive integer, got -1"),
        (TrainConfig(lr=0.0), "`lr` wants a positive number, got 0.0"),
        (TrainConfig(lr=INF), "`lr` wants a positive number, got inf"),
        (TrainConfig(lr=NAN), "`lr` wants a positive number, got nan"),
        (TrainConfig(warmup=-0.5), "`warmup` wants between 0 and 5 epochs, got -0.5"),
        (TrainConfig(epochs=2, warmup=3), "`warmup` wants between 0 and 2 epochs, got 3"),
        (TrainConfig(warmup=NAN), "`warmup` wants between 0 and 5 epochs, got nan"),
        (TrainConfig(decay="stp"), SCHEDULES.problem("stp")),
        (TrainConfig(final=1.5), "`final` wants a fraction of lr from 0 to 1, got 1.5"),
        (TrainConfig(final=NAN), "`final` wants a fraction of lr from 0 to 1, got nan"),
    ],
)
def test_sentences(recipe, sentence):
    with pytest.raises(SpecError) as caught:
        recipe.check()
    assert caught.value.problems == (sentence,)


def test_all_at_once():
    with pytest.raises(SpecError) as caught:
        Recipe(Adam(beta1=2, beta2=2, epsilon=-1, weight_decay=-1), loss=CrossEntropy(-1)).check()
    assert len(caught.value.problems) == 5
    with pytest.raises(SpecError) as caught:
        TrainConfig(epochs=0, batch=0, lr=-1, warmup=-1, decay="", final=2).check()
    assert len(caught.value.problems) == 5  # without epochs a warm-up cannot be judged


def test_each_word_of_a_recipe_belongs_to_one_of_its_parts():
    held = [name for cls in recipe_parts() for name in options_of(cls)]
    assert len(held) == len(set(held)) and "clip_norm" in held
    assert not set(held) & (optimizer_words() | schedule_words() | training_words())
    assert recipe_of(clip_norm=2.0).clipping == Clipping(clip_norm=2.0)


def test_what_is_right_is_given_back():
    for good in (
        Recipe(),
        Recipe(SGD(0.0)),
        Recipe(SGD(nesterov=True), CrossEntropy(0.1), True, False),
        TrainConfig(),
        TrainConfig(1, 1, 1e-9),
    ):
        assert good.check() is good


# The rate is computed in float64 by additions and one cosine: a few roundings of 1.1e-16 each.
CLOSE = 1e-14


@given(
    st.integers(1, 20), st.integers(1, 50), st.floats(1e-6, 10), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from(["cosine", "constant"]),
)  # fmt: skip
def test_closed_form(epochs, per_epoch, lr, part, final, decay):
    schedule = TrainConfig(epochs, 1, lr, part * epochs, decay, final).check()
    total, warm = epochs * per_epoch, round(schedule.warmup * per_epoch)
    rates = [learning_rate(schedule, t, per_epoch) for t in range(total)]
    for t, rate in enumerate(rates):
        if t < warm:
            wanted = lr * (t + 1) / warm
        elif decay == "constant":
            wanted = lr
        else:
            cosine = math.cos(math.pi * (t - warm) / (total - warm))
            wanted = lr * (final + (1 - final) * (1 + cosine) / 2)
        assert math.isclose(rate, wanted, rel_tol=CLOSE, abs_tol=CLOSE * lr)
    assert all(0 < rate <= lr * (1 + CLOSE) for rate in rates)  # never above lr, and never a step of nothing
    assert rates[:warm] == sorted(rates[:warm])
    assert rates[warm:] == sorted(rates[warm:], reverse=True)


def test_the_rate_by_hand():
    schedule = TrainConfig(epochs=4, lr=0.8, warmup=1, final=0.25)
    rates = [learning_rate(schedule, t, 2) for t in range(8)]
    assert rates[:3] == pytest.approx([0.4, 0.8, 0.8], rel=CLOSE)
    assert rates[5] == pytest.approx((0.8 + 0.2) / 2, rel=CLOSE)  # half way down
    assert rates[7] == pytest.approx(0.2 + 0.6 * (1 + math.cos(5 / 6 * math.pi)) / 2, rel=CLOSE)
    assert learning_rate(TrainConfig(epochs=2, lr=0.5, decay="constant"), 7, 4) == 0.5
