"""The values of the recipes that netc ships are those of the tables and files that they name as their sources."""

import pytest

from netc.config_file import recipe_names
from netc.netspec.words_of import words_of_recipe
from netc.requests import request_training

# Wightman et al. 2021 (arXiv:2110.00476), table 2, but for `min lr`: mmpretrain's schedule imagenet_bs2048_rsb.py
RSB = {
    "train res": 224, "test res": 224, "batch": 2048, "optimizer": "lamb", "decay": "cosine", "min lr": 1e-6,
    "warmup epochs": 5, "dropout": None, "clip": 0.0, "flip": True, "rrc": True, "cutmix": 1.0, "erasing": 0.0,
    "ema": 0.0, "loss": "oneVersusRest", "test crop ratio": 0.95, "colour jitter": None,
}  # fmt: skip
RSB_A12 = {"lr": 5e-3, "drop path": 0.05, "repeated": 3, "rand augment": "7/0.5"}
# what facebookresearch/deit and facebookresearch/ConvNeXt have alike as defaults in main.py
TIMM = {
    "train res": 224, "epochs": 300, "optimizer": "adamw", "decay": "cosine", "weight decay": 0.05, "smoothing": 0.1,
    "drop path": 0.1, "dropout": None, "clip": 0.0, "rrc": True, "flip": True, "rand augment": "9/0.5", "mixup": 0.8,
    "cutmix": 1.0, "switch": 0.5, "mix prob": 1.0, "erasing": 0.25, "erasing mode": "pixel", "loss": "crossEntropy",
    "epsilon": 1e-8, "beta1": 0.9, "beta2": 0.999, "interpolation": "bicubic",
}  # fmt: skip
SOURCES = {
    "a1": RSB | RSB_A12 | {"epochs": 600, "weight decay": 0.01, "smoothing": 0.1, "mixup": 0.2},
    "a2": RSB | RSB_A12 | {"epochs": 300, "weight decay": 0.02, "smoothing": 0.0, "mixup": 0.1},
    "a3": RSB
    | {"train res": 160, "epochs": 100, "lr": 8e-3, "weight decay": 0.02, "smoothing": 0.0, "drop path": None}
    | {"repeated": 1, "rand augment": "6/0.5", "mixup": 0.1},
    # Touvron et al. 2021 (arXiv:2012.12877), table 9: lr 0.0005 x batch / 512
    "deit": TIMM
    | {"batch": 1024, "lr": 0.0005 * 1024 / 512, "warmup epochs": 5, "repeated": 3, "ema": 0.99996, "min lr": 1e-5},
    # Liu et al. 2022 (arXiv:2201.03545), table 5 of the appendix; TRAINING.md: 4 x 8 x 128 images
    "convnext": TIMM
    | {"batch": 4 * 8 * 128, "lr": 4e-3, "warmup epochs": 20, "repeated": 1, "ema": 0.9999, "min lr": 1e-6},
    # karpathy/nanoGPT config/train_shakespeare_char.py; weight decay, clip and beta1 are the defaults of train.py
    "nanogpt": {
        "iterations": 5000, "batch": 64, "lr": 1e-3, "min lr": 1e-4, "warmup steps": 100, "decay": "cosine",
        "optimizer": "adamw", "beta1": 0.9, "beta2": 0.99, "weight decay": 0.1, "clip": 1.0,
    },
    # lean4-mlir's resnet34Config
    "imagenette-r34": {
        "train res": 224, "epochs": 80, "batch": 32, "lr": 1e-3, "warmup epochs": 3, "decay": "cosine",
        "optimizer": "adamw", "weight decay": 1e-4, "smoothing": 0.1, "flip": True, "min lr": 0.0,
    },
    # karpathy/nanochat's setup_optimizers in nanochat/gpt.py; the rate and its warm-up are netc's own
    "nanochat": {"optimizer": "muon", "weight decay": 0.0, "beta1": 0.8, "beta2": 0.95},
}  # fmt: skip
OWN = {"digits", "fashion"}  # netc's own, judged by scripts/train_recipes.py
WORDS = {
    "optimizer": "optimizer", "beta1": "beta1", "beta2": "beta2", "epsilon": "epsilon", "weight decay": "weight_decay",
    "smoothing": "label_smoothing", "loss": "loss", "drop path": "drop_path", "dropout": "dropout", "clip": "clip_norm",
    "mixup": "mixup", "cutmix": "cutmix", "switch": "mixup_switch_prob", "mix prob": "mixup_prob", "ema": "ema",
    "erasing": "random_erasing", "batch": "batch", "epochs": "epochs", "lr": "lr", "decay": "decay", "flip": "flip",
    "warmup epochs": "warmup", "warmup steps": "warmup_steps", "iterations": "max_steps", "colour jitter": "jitter",
}  # fmt: skip


def said(name):
    """What a run by the recipe has, in the words of the tables."""
    request = request_training(recipe=name)
    held = {**words_of_recipe(request.recipe), **request.training, **request.augment}
    policy = held.get("auto_augment", "rand-m0-mstd0").split("-")
    own = {theirs: held.get(ours) for theirs, ours in WORDS.items()}
    test = request.input[0] if request.input else request.net.input[0]
    return own | {
        "test res": test,
        "train res": held.get("train_size", test),
        "min lr": held["lr"] * held.get("final", 0.0),
        "rrc": held.get("rrc_scale") == [0.08, 1.0],
        "rand augment": f"{policy[1][1:]}/{policy[2][4:]}" if policy[0] == "rand" else None,
        "repeated": request.feeding.aug_repeats,
        "erasing mode": "pixel" if held["erasing_pixels"] else "const",
        "interpolation": request.preprocess.interpolation,
        "test crop ratio": request.preprocess.crop_pct,
    }


def test_every_recipe_has_a_source_or_is_netcs_own():
    assert {*SOURCES} | OWN == {*recipe_names()}


@pytest.mark.parametrize("name", SOURCES)
def test_a_recipe_has_the_values_of_its_source(name):
    found = said(name)
    wanted = SOURCES[name]
    assert {key: found[key] for key in wanted} == {
        key: pytest.approx(value) if isinstance(value, float) else value for key, value in wanted.items()
    }
