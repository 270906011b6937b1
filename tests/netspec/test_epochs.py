"""What is said in epochs becomes steps of the recipe, and nothing is said twice."""

import pytest

from netc.netspec.epochs import in_steps
from netc.netspec.errors import SpecError, UserError
from netc.netspec.recipe import TrainConfig
from netc.netspec.recipe_words import recipe_of


def test_epochs_become_steps():
    training, recipe = in_steps(TrainConfig(swa_start_epoch=2, unfreeze="stem=3, stage1=1"), recipe_of(), 10)
    assert training == TrainConfig()
    assert (recipe.averaging.swa_start, recipe.averaging.swa_every) == (29, 10)  # after epochs 2, 3, ..
    assert recipe.groups.thawing == {"stem": 30, "stage1": 10}
    plain = TrainConfig(), recipe_of(ema=0.9)
    assert in_steps(*plain, 10) == plain


@pytest.mark.parametrize(
    ("training", "recipe", "said"),
    [
        ({"swa_start_epoch": 1}, {"swa_start": 5}, "`swa_start_epoch` averages after each epoch"),
        ({"swa_start_epoch": 1}, {"ema": 0.9}, "weights are averaged in one way"),
        ({"unfreeze": "stem=1"}, {"thaw": "stem=5"}, "`unfreeze` says in epochs what `thaw` says in steps"),
    ],
)
def test_nothing_is_said_twice(training, recipe, said):
    with pytest.raises((UserError, SpecError), match=said):
        in_steps(TrainConfig(**training).check(), recipe_of(**recipe), 10)


@pytest.mark.parametrize("given", ["stem", "stem=", "stem=0", "stem=1,", "=2"])
def test_layers_come_with_their_epochs(given):
    with pytest.raises(SpecError, match="`unfreeze` wants layers, each with its epochs, as stem=3,stage1=2"):
        TrainConfig(unfreeze=given).check()
