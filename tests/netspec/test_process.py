"""The processes of generative models as words: what is refused, and the numbers of their noise."""

from itertools import pairwise

import pytest

from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import Chain, ChannelWindow, ClassEmbed, GlobalAvgPool, SpatialBroadcast
from netc.netspec.loss import CrossEntropy, Huber, MeanSquaredError
from netc.netspec.process import PROCESSES, BranchingFlow, Ddpm, Flow, Generation, MaskedDiffusion
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import learning_misfits
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.netspec.zoo import ZOO

IMAGES, TIMED, CLASSED = TensorType((4, 4, 3)), TensorType((4, 4, 4)), TensorType((4, 4, 5))
SLOTS = TensorType((6, 4))
TOKENS, LOGITS = TensorType((6,), "i32"), TensorType((5, 7))


def test_a_word_is_a_process_with_its_options():
    assert Generation("rectified-flow").chosen == Flow()
    assert Generation("ddpm", predicts="v", noise_steps=50).chosen == Ddpm("v", noise_steps=50)
    assert Generation().chosen is None and not Generation().problems()
    assert {cls.kind for cls in PROCESSES.values()} == set(PROCESSES)


def test_the_loss_follows_from_the_process():
    assert recipe_of(process="flow").loss == MeanSquaredError()
    assert recipe_of(process="ddpm", loss="huber").loss == Huber()
    assert recipe_of(process="masked").loss == CrossEntropy()
    assert recipe_of(process="flow").metric == "nothing" and recipe_of().metric == "class"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"process": "flo"}, "`process` wants one of flow, ddpm, masked, branching, got 'flo'; did you mean flow?"),
        ({"times": "logit-normal"}, "`times` belongs to `process=flow`, got none; leave it out"),
        ({"process": "ddpm", "times": "logit-normal"}, "`times` belongs to `process=flow`, got `process=ddpm`"),
        ({"process": "masked", "label_drop": 0.2}, "`label_drop` belongs to `process=flow or ddpm`"),
        ({"process": "flow", "times": "normal"}, "`times` wants uniform or logit-normal, got 'normal'"),
        ({"process": "flow", "flow_predicts": "x0"}, "`flow_predicts` wants v or x, got 'x0'"),
        ({"process": "ddpm", "flow_predicts": "x"}, "`flow_predicts` belongs to `process=flow`, got `process=ddpm`"),
        ({"process": "ddpm", "predicts": "x"}, "`predicts` wants epsilon, v or x0, got 'x'"),
        ({"process": "ddpm", "noise_steps": 10}, "`noise_steps` wants a number of steps from 21 to 4095, got 10"),
        ({"process": "branching", "deletions": 1.0}, "`deletions` wants a probability of at least 0 and below 1, got"),
        ({"process": "branching", "wander": -1.0}, "`wander` wants a deviation from 0 to 100, got -1.0"),
        ({"process": "branching", "loss": "huber"}, "`process=branching` wants `loss=branching`, got huber"),
        ({"process": "flow", "label_drop": 1.0}, "`label_drop` wants a probability of at least 0 and below 1, got 1.0"),
        ({"process": "flow", "loss": "crossEntropy"}, "wants `loss=meanSquaredError or huber`, got crossEntropy"),
        ({"process": "masked", "label_smoothing": 0.1}, "wants a loss without weights and smoothing"),
        ({"process": "flow", "mixup": 0.2}, "`process=flow` learns the data as it is, got mixup or cutmix"),
    ],
)
def test_what_is_refused(words, sentence):
    with pytest.raises((SpecError, UserError)) as caught:
        recipe_of(**words)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("generation", "x", "out", "sentence"),
    [
        (Generation("flow"), TIMED, IMAGES, None),
        (Generation("flow", label_count=10), CLASSED, IMAGES, None),
        (Generation("flow"), CLASSED, IMAGES, "a net that sees classes needs the number of classes"),
        (Generation("flow", label_count=4), TIMED, IMAGES, "`label_count` wants a net that sees classes, got one from"),
        (Generation("ddpm", label_drop=0.2), TIMED, IMAGES, "`label_drop` wants a net that sees classes, got one from"),
        (Generation("flow"), IMAGES, IMAGES, "wants a net from [batch, H, W, C + 1]"),
        (Generation("ddpm"), TOKENS, LOGITS, "`process=ddpm` wants a net from [batch, H, W, C + 1]"),
        (Generation("masked"), TOKENS, LOGITS, None),
        (Generation("masked"), TIMED, IMAGES, "wants a net from token ids [batch, T + 1], the last of them the time"),
        (Generation("branching"), SLOTS, SLOTS, None),
        (Generation("branching"), SLOTS, TensorType((6, 5)), "wants a net from [batch, slots, C + 2] to the same"),
        (Generation("branching"), *[TensorType((65, 3))] * 2, "`process=branching` wants at most 64 slots, got 65"),
        (Generation("masked"), TensorType((5,), "i32"), LOGITS, "got i32 [batch, 5] -> [batch, 5, 7]"),
    ],
)
def test_which_nets_fit(generation, x, out, sentence):
    problems = list(generation.misfits(x, out))
    assert not problems if sentence is None else sentence in problems[0]


TABLED = "20 classes and the null class want a table of 21 rows, got 11 in "


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (ZOO["tiny-dit"].make(), TABLED + "patches.condition.shortcut.table; give `classes=20`"),
        (ZOO["tiny-unet-diffusion"].make(), TABLED),
        (
            NetSpec(
                "own",
                (1, 1, 3),
                (
                    Chain(
                        (
                            ChannelWindow(2, 1),
                            GlobalAvgPool(),
                            ClassEmbed(11, 1, name="table"),
                            SpatialBroadcast((1, 1)),
                        )
                    ),
                ),
            ),
            "; give it 21 rows",
        ),
    ],
    ids=["dit", "unet", "own"],
)
def test_a_table_of_classes_has_a_row_for_each_and_none(spec, sentence):
    def found(net, count):
        return [
            *learning_misfits(
                check(net), Recipe(loss=MeanSquaredError(), generation=Generation("flow", label_count=count))
            )
        ]

    assert not found(spec, 10) and sentence in found(spec, 20)[0] and len(found(spec, 20)) == 1
    if spec.class_tables:
        assert not found(spec.with_classes(20), 20)


def test_what_the_data_is_of():
    assert Flow().example(CLASSED, IMAGES) == IMAGES and Flow().conditional(CLASSED, IMAGES)
    assert not Flow().conditional(TIMED, IMAGES)
    assert MaskedDiffusion().example(TOKENS, LOGITS) == TensorType((5,), "i32")
    assert BranchingFlow().example(SLOTS, SLOTS) == TensorType((6, 3))


def test_the_noise_is_that_of_the_papers():
    linear = Ddpm().kept  # Ho et al. 2020: beta from 1e-4 to 0.02, and almost nothing is left of the data
    assert linear[1] == pytest.approx(1 - 1e-4) and linear[1000] / linear[999] == pytest.approx(0.98)
    assert linear[1000] == pytest.approx(4.036e-5, rel=1e-3)  # as diffusers' DDPMScheduler has it
    cosine = Ddpm(noise_schedule="cosine").kept
    assert cosine[500] == pytest.approx(0.4938, abs=1e-3) and cosine[1000] / cosine[999] == pytest.approx(1e-3)
    assert all(a > b > 0 for a, b in pairwise(cosine))
