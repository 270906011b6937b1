"""What a training says in epochs, and what an optimizer says of its rate, in the plan of a run."""

import pytest

from netc.netspec.errors import UserError
from netc.netspec.schedules import Constant, Cosine
from netc.requests import planned, request_training

WORDS = {"net": "mnist-mlp", "data": "digits", "input": (8, 8, 1), "batch": 100, "target": "reference", "epochs": 4}


def config(**words):
    return planned(request_training(**WORDS, **words)).config


def test_an_optimizers_own_schedule_is_there_unless_another_is_said():
    assert isinstance(config(optimizer="schedulefree").training.schedule, Constant)
    assert isinstance(config(optimizer="schedulefree", decay="cosine").training.schedule, Cosine)
    assert isinstance(config().training.schedule, Cosine)


def test_epochs_are_steps_in_the_runs_record():
    made = config(unfreeze="hidden1=2", swa_start_epoch=1)
    per_epoch = 14  # of 1,438 digits
    assert made.recipe.groups.thawing == {"hidden1": 2 * per_epoch}
    assert (made.recipe.averaging.swa_start, made.recipe.averaging.swa_every) == (2 * per_epoch - 1, per_epoch)
    assert (made.training.unfreeze, made.training.swa_start_epoch) == ("", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"unfreeze": "hidden1=4"},
            "`unfreeze` wants fewer epochs than the run's 4, got 4 for hidden1; give a smaller",
        ),
        (
            {"swa_start_epoch": 4},
            "`swa_start_epoch` wants an epoch of the run, counted from 0 and below 4, got 4; give",
        ),
        ({"unfreeze": "hidden7=1"}, "`unfreeze` wants layers that have parameters, got 'hidden7'; did you mean hidden"),
    ],
)
def test_what_no_step_of_the_run_does_is_refused(words, said):
    with pytest.raises(UserError, match=said):
        config(**words)
