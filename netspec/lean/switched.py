"""Fields of a TrainConfig that a switch turns on, such as `useMixup` and `mixupAlpha`, and the options they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netc.netspec.policies import digits

# switch -> its fields (the switch itself, where it is a number), each with what it is unless given, and its option
SWITCHED: dict[str, dict[str, tuple[Any, str]]] = {
    "useMixup": {"mixupAlpha": (0.8, "mixup")},
    "useCutmix": {"cutmixAlpha": (1.0, "cutmix")},
    "randomErasing": {"randomErasingProb": (0.25, "random_erasing"), "erasingPixel": (False, "erasing_pixels")},
    "dropPath": {"dropPath": (0.0, "drop_path"), "dropPathOverN": (False, "drop_path_over_n")},
    "dropout": {"dropout": (0.0, "head_dropout")},
    "trainRes": {"trainRes": (0, "train_size")},
    "testCropRatio": {"testCropRatio": (0.0, "crop_pct")},
    "repeatedAug": {"repeatedAug": (1, "aug_repeats")},
    "useEMA": {"emaDecay": (0.9999, "ema")},
    "useSWA": {"swaStartEpoch": (0, "swa_start_epoch")},
    "headLrMult": {"headLrMult": (1.0, "head_lr")},
    "gradClipNorm": {"gradClipNorm": (0.0, "clip_norm")},
}
IDLE = {"aug_repeats": 1}  # what besides 0 asks for nothing
BY_CHANCE = "useMixup, useCutmix: each step draws which of the two, where the original takes them by turns"


def switched_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the switches that are on; a number of 0, or what is false, becomes none."""
    found = {}
    for switch, parts in SWITCHED.items():
        if given.get(switch, False):
            values = {option: given.get(name, default) for name, (default, option) in parts.items()}
            found.update({option: value for option, value in values.items() if value and value != IDLE.get(option)})
    if given.get("augBicubic", False):
        found["interpolation"] = "bicubic"
    return found | _policy(given)


def _policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """AutoAugment goes before RandAugment, which is named as timm names it."""
    if given.get("useAutoAugment", False):
        return {"auto_augment": "imagenet"}
    if not given.get("useRandAugment", False):
        return {}
    word = f"rand-m{digits(given.get('randAugmentM', 9.0))}-n{given.get('randAugmentN', 2)}"
    if spread := given.get("randAugmentMstd", 0.0):
        word += f"-mstd{digits(spread)}"
    word += "-inc1" if given.get("randAugmentInc", False) else ""
    return {"auto_augment": word + ("" if given.get("randAugmentGeometric", False) else "-color1")}


def switched_notes(given: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each field whose switch is off, and for each switch that turns on nothing."""
    for switch, parts in SWITCHED.items():
        if not given.get(switch, False):
            off = (name for name in parts if name in given and name != switch)
            yield from (f"{name}: belongs to {switch}, which is off" for name in off)
        elif (first := next(iter(parts))) != switch and not given.get(first, parts[first][0]):
            yield f"{switch}: {first} is 0, which turns it off"
    if given.get("useAutoAugment", False) and given.get("useRandAugment", False):
        yield "useRandAugment: useAutoAugment takes its place"
    if not given.get("useRandAugment", False):
        own = ("randAugmentN", "randAugmentM", "randAugmentMstd", "randAugmentInc", "randAugmentGeometric")
        yield from (f"{name}: belongs to useRandAugment, which is off" for name in own if name in given)
    if given.get("useMixup", False) and given.get("useCutmix", False):
        yield BY_CHANCE
