"""Every field of a TrainConfig that becomes an option changes something: the program's text, the rates or the batches.

And the corpus of modern recipes: each is read, and trains a step.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.augment import Augment
from netc.netspec.feeding import Feeding
from netc.netspec.lean.config import FIELDS, config_of
from netc.netspec.preprocess import Preprocess
from netc.netspec.recipe_words import training_of, training_words
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.frame import fit_of, fitted
from netc.runtime.schedule import learning_rate
from tests.netspec.lean.built import b, structure

SCRIPT = Path(__file__).parents[3] / "scripts" / "lean_configs.py"


def script():
    spec = importlib.util.spec_from_file_location("lean_configs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lean_configs = script()
CONFIGS = dict(lean_configs.configs([lean_configs.CORPUS]))
MODERN = {name: found for name, found in CONFIGS.items() if name.startswith("Modern.lean")}


def test_the_corpus_is_read():
    assert len(MODERN) >= 20
    assert not [str(error) for error in CONFIGS.values() if isinstance(error, Exception)]


@pytest.mark.parametrize("name", MODERN)
def test_a_modern_recipe_trains_a_step(name):
    metrics = lean_configs.step(lean_configs.program_of(MODERN[name].options))
    assert np.isfinite([*metrics.values()]).all()
    assert metrics["loss"] > 0


def test_refusals_are_counted_by_field(tmp_path, capsys, monkeypatch):
    text = "def c : TrainConfig where\n  learningRate := 0.1\n  batchSize := 8\n  epochs := 2\n  useSWAG := true\n"
    (tmp_path / "F.lean").write_text(text)
    monkeypatch.setattr("sys.argv", ["lean_configs.py", str(tmp_path)])
    lean_configs.main()
    said = capsys.readouterr().out
    assert "F.lean:c: " in said
    assert "   1 TrainConfigs\n   1 refused for useSWAG\n" in said


# -- fields -----------------------------------------------------------------------------------------------------------

NEEDED = {"learningRate": 0.1, "batchSize": 4, "epochs": 4}
ADAM, SMOOTH = {"useAdam": True}, {"labelSmoothing": 0.1}
FALL = {"expLRDecayRate": 0.5, "expLRDecayEpochs": 2}
DECAY = {"weightDecay": 0.1}
RAND = {"useRandAugment": True}
# field -> (what is stated besides, its value): the effect is compared with that of the rest alone
CHANGES = {
    "learningRate": ({}, 0.2), "batchSize": ({}, 8), "epochs": ({"cosineDecay": True}, 5), "seed": ({}, 7),
    "momentum": ({}, 0.9), "useAdam": ({}, True), "optimizer": ({}, ".lamb"),
    "rmspropDecay": ({"optimizer": ".rmsprop"}, 0.5), "rmspropEps": ({"optimizer": ".rmsprop"}, 1.0),
    "weightDecay": (ADAM, 0.1), "wdExcludeNormBias": (DECAY, False), "cosineDecay": ({}, True),
    "warmupEpochs": ({}, 2), "augment": ({}, True), "labelSmoothing": ({}, 0.1), "useFocal": ({}, True),
    "focalGamma": ({"useFocal": True}, 3.0), "lossKind": ({}, b("perPixelFocalCE", 1)), "bf16": ({}, True),
    "gradAccumSteps": ({}, 2), "dropPath": ({}, 0.2), "dropPathOverN": ({"dropPath": 0.2}, True),
    "dropout": ({}, 0.2), "minLR": ({"cosineDecay": True}, 0.01), "expLRDecayRate": ({}, 0.5),
    "expLRDecayEpochs": ({"expLRDecayRate": 0.5}, 2.0), "expLRStaircase": (FALL, True), "gradClipNorm": ({}, 1.0),
    "headLrMult": ({}, 10.0),
    "useMixup": ({}, True), "mixupAlpha": ({"useMixup": True}, 0.2), "useCutmix": ({}, True),
    "cutmixAlpha": ({"useCutmix": True}, 0.2), "randomErasing": ({}, True),
    "randomErasingProb": ({"randomErasing": True}, 0.9), "erasingPixel": ({"randomErasing": True}, True),
    "useRandAugment": ({}, True), "randAugmentN": (RAND, 4), "randAugmentM": (RAND, 3.0),
    "randAugmentMstd": (RAND, 2.0), "randAugmentInc": (RAND, True), "useAutoAugment": ({}, True),
    "randAugmentGeometric": (RAND, True),
    "augBicubic": ({}, True), "trainRes": ({}, 4), "testCropRatio": ({}, 0.875), "repeatedAug": ({}, 3),
    "useEMA": ({}, True), "emaDecay": ({"useEMA": True}, 0.9),
    "useSWA": ({"swaStartEpoch": 1}, True), "swaStartEpoch": ({"useSWA": True, "swaStartEpoch": 1}, 2),
}  # fmt: skip
STANDARD = Augment(crop=1, flip=True)  # what a data set of images says where the file leaves it to it


def effect(**fields):
    """The program's text, the rate of every step, the bytes of an epoch's batches, and those of a photo of the test."""
    options = config_of(structure(**{**NEEDED, **fields})).options
    program = lean_configs.program_of(options)
    training = training_of(**{name: value for name, value in options.items() if name in training_words()})
    rates = [learning_rate(training, step, 5) for step in range(5 * training.epochs)]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    own = {name: options[name] for name in vars(STANDARD) if name in options}
    batches = train_batches(
        ArraySplit(pixels, np.arange(20, dtype=np.int32)), batch=training.batch, seed=options.get("seed", 0), epoch=1,
        normalise=Normalise((0.5,) * 3, (0.25,) * 3), augment=Augment(**{**vars(STANDARD), **own}),
        feeding=Feeding(aug_repeats=options.get("aug_repeats", 1)),
    )  # fmt: skip
    fit = fit_of(Preprocess(**{name: options[name] for name in ("crop_pct", "interpolation") if name in options}))
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 12, 3), np.uint8))
    return (
        fitted(photo, 8, 8, fit).tobytes(),
        text_of(lower(program.module, "xla"), "xla"),
        rates,
        [(batch.x.tobytes(), batch.y.tobytes()) for batch in batches],
    )


def test_every_field_that_is_taken_is_changed_here():
    assert CHANGES.keys() == {name for name, field in FIELDS.items() if field.role == "taken"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_changes_the_text_the_rates_or_the_batches(name):
    beside, value = CHANGES[name]
    assert effect(**{**beside, name: value}) != effect(**beside)
