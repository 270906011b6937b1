"""TrainConfig: every field becomes an option, is refused by its name, or is spoken of."""

from __future__ import annotations

from typing import Any

import pytest

from netc.cli.lean_config import said
from netc.cli.train import train
from netc.netspec.lean.config import FIELDS, LOSSES, config_of
from netc.netspec.lean.source import Misread
from netc.netspec.loss import LOSSES as OURS
from tests.netspec.lean.built import b, structure

NEEDED = {"learningRate": 0.001, "batchSize": 32, "epochs": 80}


def options(**fields: Any) -> dict[str, Any]:
    return dict(config_of(structure(**NEEDED, **fields)).options)


def notes(**fields: Any) -> str:
    return " | ".join(config_of(structure(**NEEDED, **fields)).notes)


def sentence(**fields: Any) -> str:
    with pytest.raises(Misread) as caught:
        config_of(structure(**fields))
    return caught.value.sentence


def test_the_recipe_of_the_published_runs():
    """Adam, batch 32, cosine and three epochs of warm-up, smoothing 0.1, decay 1e-4, crops and flips."""
    found = options(
        useAdam=True, weightDecay=1e-4, cosineDecay=True, warmupEpochs=3, augment=True, labelSmoothing=0.1, momentum=0.0
    )
    assert found == {
        "epochs": 80, "batch": 32, "lr": 0.001, "warmup": 3.0, "decay": "cosine",
        "optimizer": "adamw", "weight_decay": 1e-4, "loss": "crossEntropy", "label_smoothing": 0.1,
    }  # fmt: skip


def test_the_original_without_a_word_is_plain_gradient_descent_at_a_constant_rate():
    assert options() == {
        "epochs": 80, "batch": 32, "lr": 0.001, "warmup": 0.0, "decay": "constant", "optimizer": "sgd", "momentum": 0.0,
        "weight_decay": 0.0, "loss": "crossEntropy", "crop": 0, "flip": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "some"),
    [
        ({"momentum": 0.9}, {"optimizer": "sgd", "momentum": 0.9}),
        ({"useAdam": True}, {"optimizer": "adam", "weight_decay": 0.0}),
        ({"optimizer": ".adam", "weightDecay": 1}, {"optimizer": "adamw", "weight_decay": 1.0}),
        ({"optimizer": ".adamw"}, {"optimizer": "adamw"}),
        (
            {"optimizer": ".rmsprop", "momentum": 0.9, "rmspropEps": 1, "weightDecay": 4e-5},
            {"optimizer": "rmsprop-tf", "momentum": 0.9, "alpha": 0.9, "epsilon": 1.0, "weight_decay": 4e-5},
        ),
        ({"optimizer": ".lamb", "weightDecay": 0.02}, {"optimizer": "lamb", "weight_decay": 0.02}),
        ({"optimizer": ".lion"}, {"optimizer": "lion"}),
        (
            {"expLRDecayRate": 0.5, "expLRDecayEpochs": 40, "cosineDecay": True},
            {"decay": "exponential", "left": 0.25},
        ),
        ({"expLRDecayRate": 0.5, "warmupEpochs": 78}, {"decay": "exponential", "left": 0.25}),
        ({"minLR": 1e-5, "cosineDecay": True}, {"decay": "cosine", "final": 0.01}),
        (
            {"expLRDecayRate": 0.9, "expLRDecayEpochs": 8, "expLRStaircase": True},
            {"decay": "step", "gamma": 0.9, "every": 0.1},
        ),
        ({"expLRDecayRate": 0.9, "expLRDecayEpochs": 99, "expLRStaircase": True}, {"decay": "constant"}),
        ({"expLRDecayRate": 0.9, "warmupEpochs": 80}, {"decay": "constant"}),
        ({"lossKind": ".binaryCrossEntropy"}, {"loss": "binaryCrossEntropy"}),
        ({"weightDecay": 0.1, "wdExcludeNormBias": False}, {"decay_all": True}),
        ({"seed": 7}, {"seed": 7}),
        ({"bf16": True}, {"precision": "bf16"}),
        ({"gradAccumSteps": 4}, {"batch": 128, "accumulate": 4}),
        ({"useEMA": True}, {"ema": 0.9999}),
        ({"useEMA": True, "emaDecay": 0.99}, {"ema": 0.99}),
        ({"headLrMult": 10}, {"head_lr": 10.0}),
        ({"gradClipNorm": 1}, {"clip_norm": 1.0}),
        ({"useMixup": True}, {"mixup": 0.8, "cutmix": None}),
        ({"useMixup": True, "mixupAlpha": 0.2, "useCutmix": True}, {"mixup": 0.2, "cutmix": 1.0}),
        ({"useCutmix": True, "cutmixAlpha": 2}, {"cutmix": 2.0}),
        ({"randomErasing": True}, {"random_erasing": 0.25, "erasing_pixels": None}),
        (
            {"randomErasing": True, "randomErasingProb": 0.1, "erasingPixel": True},
            {"random_erasing": 0.1, "erasing_pixels": True},
        ),
        ({"dropPath": 0.2}, {"drop_path": 0.2, "drop_path_over_n": None}),
        ({"dropPath": 0.2, "dropPathOverN": True}, {"drop_path": 0.2, "drop_path_over_n": True}),
        ({"dropout": 0.2}, {"head_dropout": 0.2}),
        ({"repeatedAug": 3}, {"aug_repeats": 3}),
        ({"useRandAugment": True}, {"auto_augment": "rand-m9-n2-color1"}),
        (
            {"useRandAugment": True, "randAugmentN": 3, "randAugmentMstd": 0.5, "randAugmentInc": True},
            {"auto_augment": "rand-m9-n3-mstd0.5-inc1-color1"},
        ),
        ({"useRandAugment": True, "useAutoAugment": True}, {"auto_augment": "imagenet"}),
        ({"augBicubic": True}, {"interpolation": "bicubic"}),
        ({"augBicubic": False}, {"interpolation": None}),
        ({"testCropRatio": 0.875}, {"crop_pct": 0.875}),
        ({"testCropRatio": 0}, {"crop_pct": None}),
        ({"trainRes": 160}, {"train_size": 160}),
        ({"trainRes": 0}, {"train_size": None}),
        (
            {"useRandAugment": True, "randAugmentMstd": 1e6, "randAugmentGeometric": True},
            {"auto_augment": "rand-m9-n2-mstd1000000"},
        ),
        ({"repeatedAug": 1}, {"aug_repeats": None}),
        ({"useFocal": True, "focalGamma": 1.5}, {"loss": "focal", "loss_option": ("gamma=1.5",)}),
        ({"useFocal": True}, {"loss": "focal", "loss_option": ("gamma=2.0",)}),
        ({"lossKind": b("perPixelFocalCE", 3)}, {"loss": "focal", "loss_option": ("gamma=3.0",)}),
        ({"lossKind": ".bce"}, {"loss": "binaryCrossEntropy"}),
    ],
)
def test_fields_that_become_options(fields, some):
    found = options(**fields)
    assert {name: found.get(name) for name in some} == some


def test_every_option_is_one_of_netc_train():
    from netc.cli.train import train

    named = {parameter.name for parameter in train.params}
    everything = options(
        useAdam=True, weightDecay=0.1, wdExcludeNormBias=False, seed=1, bf16=True, gradAccumSteps=2, useFocal=True,
        labelSmoothing=0.1,
    )  # fmt: skip
    assert everything.keys() | options().keys() <= named
    assert {kind for kind, _ in LOSSES.values()} <= set(OURS)


OTHER = {"Float": 0.123, "Nat": 17, "Bool": True, "list": (1,), "option": b("some", 1)}
REFUSED = [name for name, field in FIELDS.items() if field.role == "refused"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_netc_cannot_do_is_refused_by_name(name):
    said = sentence(**NEEDED, **{name: OTHER[FIELDS[name].type]})
    assert said.startswith(f"netc train does not support {name} := ")


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_nothing_is_not_refused(name):
    nothing = b("none") if FIELDS[name].type == "option" else FIELDS[name].default
    assert options(**{name: nothing}) == options()


def test_all_that_is_refused_is_named_at_once():
    said = sentence(**NEEDED, useSWAG=True, useTTA=True, lossKind=".yolov1Masked")
    assert "useSWAG := true, useTTA := true, lossKind := .yolov1Masked; take it out, or" in said


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.role in ("part", "noted")])
def test_what_becomes_no_option_is_spoken_of(name):
    assert f"{name}: " in notes(**{name: OTHER[FIELDS[name].type]})


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"useAdam": True, "momentum": 0.9}, "momentum: belongs to SGD"),
        ({"expLRStaircase": True}, "expLRStaircase: belongs to expLRDecayRate, which is off"),
        ({"rmspropEps": 1.0}, "rmspropEps: belongs to optimizer := .rmsprop"),
        ({"focalGamma": 1.0}, "focalGamma: belongs to useFocal, which is off"),
        ({"emaDecay": 0.99}, "emaDecay: belongs to useEMA, which is off"),
        ({"mixupAlpha": 1.0}, "mixupAlpha: belongs to useMixup, which is off"),
        ({"erasingPixel": True}, "erasingPixel: belongs to randomErasing, which is off"),
        ({"dropPathOverN": True}, "dropPathOverN: belongs to dropPath, which is off"),
        ({"useAutoAugment": True, "useRandAugment": True}, "useRandAugment: useAutoAugment takes its place"),
        ({"useEMA": True, "emaDecay": 0}, "useEMA: emaDecay is 0, which turns it off"),
        ({"useMixup": True, "mixupAlpha": 0}, "useMixup: mixupAlpha is 0, which turns it off"),
        ({"useMixup": True, "useCutmix": True}, "each step draws which of the two"),
        ({"weightDecay": 0.1}, "weightDecay: leaves out biases"),
        ({"wdExcludeNormBias": True}, "wdExcludeNormBias: belongs to weightDecay, which is 0"),
    ],
)
def test_notes_of_fields_that_miss_their_partner(fields, note):
    assert note in notes(**fields)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_refuses_a_value_of_another_type(name):
    assert sentence(**{**NEEDED, name: "text"}).startswith(f"{name} wants ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**NEEDED, "learningrate": 1}, "a TrainConfig has no field 'learningrate'; did you mean learningRate"),
        ({**NEEDED, "zzz": 1}, "a TrainConfig has no field 'zzz'; leave it out"),
        (
            {**NEEDED, "expLRDecayRate": 0.9, "expLRStaircase": True, "warmupEpochs": 5},
            "does not support expLRStaircase := true; netc counts the falls from the end of the warm-up",
        ),
        ({**NEEDED, "expLRDecayEpochs": 0}, "netc train does not support expLRDecayEpochs := 0"),
        ({"learningRate": 0.1}, "a TrainConfig wants batchSize, got none; write batchSize := .."),
        ({**NEEDED, "epochs": 2.5}, "epochs wants an integer of at least 0, got 2.5; change it"),
        ({**NEEDED, "batchSize": -1}, "batchSize wants an integer of at least 0, got -1"),
        ({**NEEDED, "optimizer": ".adamv"}, "optimizer wants one of .sgd .adam .rmsprop .lamb, got .adamv"),
        ({**NEEDED, "lossKind": b("perPixelFocalCE")}, "lossKind wants one of .classCE"),
    ],
)
def test_sentences(fields, said):
    assert said in sentence(**fields)


def test_the_line_is_what_the_command_line_would_say():
    with train.make_context("train", ["net"]):
        line = said(config_of(structure(**NEEDED, useFocal=True, bf16=True)).options)
    assert "--epochs 80 --batch 32 --lr 0.001 --warmup 0.0 --decay constant --optimizer sgd --momentum 0.0" in line
    assert "--loss focal --loss-option gamma=2.0 --crop 0 --no-flip --precision bf16" in line


def test_an_average_from_an_epoch_on():
    assert options(useSWA=True, swaStartEpoch=3)["swa_start_epoch"] == 3
    assert "swaStartEpoch: belongs to useSWA, which is off" in notes(swaStartEpoch=3)
    said = sentence(**NEEDED, useSWA=True)
    assert said.startswith(
        "netc train does not support useSWA := true; netc averages after whole epochs, this one the first"
    )


@pytest.mark.parametrize(
    ("word", "do"),
    [
        ("useMuon", "write optimizer := .muon, which is Jordan's"),
        ("useShampoo", "write optimizer := .shampoo, which is Gupta's with averages"),
    ],
)
def test_an_older_word_of_the_originals_is_named_and_ours_said(word, do):
    said = sentence(**NEEDED, **{word: True})
    assert said == f"netc train does not support {word} := true; it is a word of lean4-mlir's older versions; {do}"
    assert options(**{word: False}) == options()
    meant = word.removeprefix("use").lower()
    assert options(optimizer=f".{meant}")["optimizer"] == meant
