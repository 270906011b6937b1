"""The options of the loss: each kind with its own options, and a sentence for whatever does not belong together."""

import pytest
from click.testing import CliRunner

from netc.cli.train import train
from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy, Dice, Focal
from netc.netspec.recipe_words import loss_of


def options(loss="crossEntropy", smoothing=None, *pairs):
    return {"loss": loss, "label_smoothing": smoothing, "loss_option": pairs}


@pytest.mark.parametrize(
    ("given", "loss"),
    [
        (options(), CrossEntropy()),
        (options("crossEntropy", 0.1), CrossEntropy(0.1)),
        (options("crossEntropy", 0.1, "weights=1,2.5,0"), CrossEntropy(0.1, (1.0, 2.5, 0.0))),
        (options("focal", None, "gamma=1.5", "alpha=0.25"), Focal(1.5, (0.25,))),
        (options("dice"), Dice()),
    ],
)
def test_a_loss_from_options(given, loss):
    assert loss_of(given) == loss


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (options("hinge"), "`loss` wants one of crossEntropy, softCrossEntropy, .*, got 'hinge'"),
        (options("focal", 0.1), "`loss=focal` has no option 'smoothing'; its options are: gamma, alpha"),
        (options("meanSquaredError", None, "gamma=1"), "has no option 'gamma'; its options are: none"),
        (options("focal", None, "gamma=high"), "`loss_option` gamma wants numbers, got 'high'; write gamma=0.5"),
        (options("focal", None, "gamma"), "`loss_option` gamma wants numbers, got ''"),
        (options("focal", None, "gamma=1", "gamma=2"), "`loss_option` wants each name once, got gamma 2 times"),
        (
            options("crossEntropy", 0.1, "smoothing=0.2"),
            "wants `label_smoothing` or smoothing in `loss_option`, got both",
        ),
        (options("focal", None, "gamma=1,2"), "`loss_option` gamma wants one number, got '1,2'"),
    ],
)
def test_sentences(given, sentence):
    with pytest.raises(UserError, match=sentence):
        loss_of(given)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["unet"], "digits has one class for each image and wants a net with an output of [batch, classes], got unet"),
        (["tiny-gpt"], "digits holds images, and the net takes token ids"),
        (["mnist-mlp", "--loss", "binaryCrossEntropy"], "digits has class ids, and binaryCrossEntropy wants floats"),
        (["mnist-mlp", "--label-smoothing", "2"], "`label_smoothing` wants a number in [0, 1), got 2.0"),
    ],
)
def test_data_that_cannot_feed_the_net_is_refused_at_once(words, sentence, tmp_path):
    result = CliRunner().invoke(train, [*words, "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)
