"""Every word of every vocabulary is known wherever it must be: one test a vocabulary, over its whole table."""

from dataclasses import fields
from typing import get_type_hints

import click
import pytest

from netc.cli.main import COMMANDS, LazyGroup, cli
from netc.codegen.layers.activation import TABLE
from netc.codegen.losses import LOSS_RULES, METRICS
from netc.codegen.optim import RULES
from netc.netspec.activations import ACTIVATIONS
from netc.netspec.augment import Augment
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import Activation, ConvBn, SqueezeExcite
from netc.netspec.loss import LOSSES, Focal
from netc.netspec.optimizers import OPTIMIZERS, SGD, Adam, optimizer_kinds
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.recipe_words import optimizer_words, recipe_of, schedule_words, training_of
from netc.netspec.schedules import SCHEDULES, Constant, Cosine
from netc.netspec.vocabulary import Vocabulary, options_of
from netc.proofs_oracle.references import activation as activation_references
from netc.proofs_oracle.references import losses as loss_references
from netc.proofs_oracle.references import optimizers as optimizer_references
from netc.proofs_oracle.twin.losses import NAMES
from netc.proofs_oracle.twin.schedules import FACTORS
from netc.runtime.data.augment import AUGMENTATIONS


def test_optimizers():
    classes = set(optimizer_kinds().values())
    assert classes == set(RULES) == set(optimizer_references.OPTIMIZERS)
    assert all(optimizer_references.OPTIMIZERS[cls].form for cls in classes)
    for word, row in OPTIMIZERS.items():
        made = row.make({})
        assert isinstance(made, row.cls) and not list(made.problems()), word
        assert row.options.keys() | row.says.keys() == {f.name for f in fields(row.cls)}, word
        assert {get_type_hints(row.cls)[name] for name in row.options} <= {float, int, bool}, word


def test_schedules():
    assert {cls for cls in SCHEDULES.values() if not cls.by_evaluation} == set(FACTORS)
    for cls in SCHEDULES.values():
        schedule = cls()
        factors = [schedule.factor(t / 1000) for t in range(1001)]
        assert min(factors) >= 0 and max(factors) == pytest.approx(1.0), cls
        assert not list(schedule.problems()) and {get_type_hints(cls)[f.name] for f in fields(cls)} <= {float, int}


def test_losses():
    assert set(LOSSES.values()) == set(LOSS_RULES)
    assert set(LOSSES) == set(loss_references.LOSSES)
    assert METRICS.keys() == loss_references.RIGHT.keys() == loss_references.TARGETS.keys()
    assert {cls.metric for cls in LOSSES.values()} <= METRICS.keys()
    assert set(NAMES) == {cls for cls in LOSSES.values() if cls.metric == "class"}


def test_activations():
    assert set(ACTIVATIONS) == set(TABLE) == set(activation_references.FUNCTIONS)


def test_augmentations():
    assert list(AUGMENTATIONS) == [f.name for f in fields(Augment)] == list(options_of(Augment))
    off = {name: "none" if isinstance(value, str) else 0 for name, value in vars(Augment()).items()}
    assert Augment() == Augment(**off), "0, False or none turns each off"


def test_options_of_different_rows_do_not_meet():
    own = set(options_of(Recipe)) | {f.name for f in fields(TrainConfig)} | {"loss", "optimizer"}
    assert not own & optimizer_words() and not own & schedule_words() and not optimizer_words() & schedule_words()


@pytest.mark.parametrize(
    ("vocabulary", "given", "word"),
    [(ACTIVATIONS, "silu", "swish"), (ACTIVATIONS, "SiLU", "swish"), (ACTIVATIONS, "hardswish", "h-swish"),
     (ACTIVATIONS, "Hardsigmoid", "h-sigmoid"), (ACTIVATIONS, "LeakyReLU", "leaky-relu"), (ACTIVATIONS, "ReLU", "relu"),
     (OPTIMIZERS, "SGD", "sgd"), (OPTIMIZERS, "AdamW", "adamw"), (LOSSES, "cross_entropy", "crossEntropy"),
     (LOSSES, "mse", "meanSquaredError"), (SCHEDULES, "Cosine", "cosine"), (ACTIVATIONS, "no such", None),
     (ACTIVATIONS, None, None), (ACTIVATIONS, 3, None)],
)  # fmt: skip
def test_other_names(vocabulary, given, word):
    assert vocabulary.word(given) == word


@pytest.mark.parametrize(
    ("given", "name"), [("ResNet-18", "resnet18"), ("mobilenet-v2", "mobilenet_v2"), ("UNet", "unet")]
)
def test_other_names_of_nets(given, name):
    assert find(given) == find(name)


def test_an_alias_in_a_layer_is_the_word():
    assert Activation("silu") == Activation("swish") and Activation("silu").function == "swish"
    assert ConvBn(4, activation="HardSwish").activation == "h-swish"
    assert SqueezeExcite(4, gate="hard_sigmoid") == SqueezeExcite(4, gate="h-sigmoid")
    assert Activation("rely").function == "rely"  # which check refuses


def test_a_wrong_word_is_a_sentence_with_the_nearest():
    with pytest.raises(UserError, match=r"^`optimizer` wants one of adam, .*, got 'sdg'; did you mean sgd\?$"):
        recipe_of(optimizer="sdg")
    with pytest.raises(UserError, match=r"^activation wants one of .*, got 'sillu'; did you mean swish"):
        ACTIVATIONS.find("sillu")
    with pytest.raises(UserError, match=r"decay wants one of cosine, constant, .*, got 7$"):
        SCHEDULES.find(7)
    with pytest.raises(UserError, match="activation 'ReLU' exists already"):
        ACTIVATIONS.add("ReLU", ACTIVATIONS["relu"])


def test_a_long_vocabulary_is_not_listed():
    words: Vocabulary[int] = Vocabulary("word", "a word")
    for n in range(100):
        words.add(f"word{n}x", n)
    assert words.problem("word7") == "word wants a word, got 'word7'; did you mean word7x or word70x or word71x?"


def test_recipes_of_words():
    assert recipe_of() == Recipe(Adam(decoupled=False))
    assert recipe_of(optimizer="adamw", beta1=0.8) == Recipe(Adam(0.8, weight_decay=0.01))
    assert recipe_of(optimizer="SGD", momentum=0.5, nesterov=True, remat=True) == Recipe(SGD(0.5, True), remat=True)
    assert recipe_of(remat_blocks="stage1, stage2.block0").remat_blocks == ("stage1", "stage2.block0")
    assert recipe_of(optimizer=SGD(), loss=Focal(1.0)) == Recipe(SGD(), Focal(1.0))
    assert recipe_of(loss="focal", loss_option={"gamma": 1}) == recipe_of(loss="focal", loss_option=("gamma=1",))
    assert training_of(decay="constant", lr=1, epochs=2).decay == Constant()
    assert training_of(decay=Cosine()) == training_of()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [({"optimizer": "adam", "momentum": 0.5}, r"`momentum` does not belong to `optimizer=adam`; leave it out"),
     ({"optimizer": "sgd", "beta1": 0.5, "epsilon": 1}, r"`beta1`, `epsilon` do not belong to `optimizer=sgd`"),
     ({"optimizer": SGD(), "momentum": 0.5}, r"`momentum` does not belong to `optimizer=sgd`"),
     ({"loss": Focal(), "loss_option": {"gamma": 1}}, r"`loss` is a value, so its options are in it, got also gamma"),
     ({"optimiser": "sgd"}, r"a recipe has no `optimiser`; it has absolute, accumulate, "),
     ({"beta1": 2}, r"beta1 wants a number in \[0, 1\), got 2")],
)  # fmt: skip
def test_words_that_make_no_recipe(words, sentence):
    with pytest.raises(UserError, match=sentence):
        recipe_of(**words)


def test_no_command_has_two_options_of_one_name():
    for name in COMMANDS:
        assert LazyGroup().get_command(click.Context(cli), name) is not None  # it raises UsageError
