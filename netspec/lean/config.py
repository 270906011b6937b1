"""TrainConfig: what of it `netc train` takes over, what it cannot do and says so, and what has nothing to say here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from netc.netspec.augment import Augment
from netc.netspec.lean.arguments import is_whole, shown
from netc.netspec.lean.source import Built, Misread, Record, Value
from netc.netspec.lean.switched import switched_notes, switched_options
from netc.netspec.loss import LOSSES as NETC_LOSSES
from netc.netspec.nearest import did_you_mean
from netc.netspec.optimizers import OPTIMIZERS

Role = Literal["taken", "refused", "part", "noted"]
GAMMA = 2.0  # of focal loss, where focalGamma is not stated
WITHOUT = "take it out, or train without the structure: `config=none`"


@dataclass(frozen=True)
class LeanConfig:
    """Options of `netc train`, by the names that its parameters have, and what there is to say about the rest."""

    options: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Field:
    """A field: its type, the value that means nothing, what becomes of it.

    taken: it becomes options. refused: netc does it not, or elsewhere, which `say` says. part: it belongs to the field
    `say`, without which it means nothing. noted: it changes no result, for the reason `say`.
    """

    type: str
    default: Any
    role: Role = "taken"
    say: str = ""


def _refused(type_: str, default: Any, say: str = WITHOUT) -> Field:
    return Field(type_, default, "refused", say)


def _part(type_: str, of: str) -> Field:
    return Field(type_, None, "part", of)


OLDER_WORD = "it is a word of lean4-mlir's older versions"
AFTER_WARM_UP = "netc counts the falls from the end of the warm-up: take one of them out"
FIRST_EPOCH = "netc averages after whole epochs, this one the first: write swaStartEpoch := 1 or more"
EVERY_EPOCH = "netc evaluates and saves after every epoch"
FIELDS: dict[str, Field] = {
    "learningRate": Field("Float", None),
    "batchSize": Field("Nat", None),
    "epochs": Field("Nat", None),
    "seed": Field("Nat", None),
    "momentum": Field("Float", 0.0),
    "useAdam": Field("Bool", False),
    "optimizer": Field("optimizer", "sgd"),
    "useMuon": _refused("Bool", False, f"{OLDER_WORD}; write optimizer := .muon, which is Jordan's"),
    "useShampoo": _refused("Bool", False, f"{OLDER_WORD}; write optimizer := .shampoo, which is Gupta's with averages"),
    "rmspropDecay": Field("Float", 0.9),
    "rmspropEps": Field("Float", 1e-3),
    "weightDecay": Field("Float", 0.0),
    "wdExcludeNormBias": Field("Bool", None),
    "cosineDecay": Field("Bool", False),
    "warmupEpochs": Field("Nat", 0),
    "augment": Field("Bool", False),
    "labelSmoothing": Field("Float", 0.0),
    "useFocal": Field("Bool", False),
    "focalGamma": Field("Float", GAMMA),
    "lossKind": Field("loss", "crossEntropy"),
    "bf16": Field("Bool", False),
    "bf16Conv": Field("Bool", False, "noted", "with bf16, netc's convolutions take bf16 too"),
    "gradAccumSteps": Field("Nat", 1),
    "runningBN": Field("Bool", None, "noted", "netc always evaluates with running statistics"),
    "evalEveryNEpochs": Field("Nat", None, "noted", EVERY_EPOCH),
    "valEveryEpochs": Field("Nat", None, "noted", EVERY_EPOCH),
    "checkpointEveryNEpochs": Field("Nat", None, "noted", EVERY_EPOCH),
    "bnMomentum": _refused("Float", 0.9, "give the layers (momentum := 0.01), one less what the original has"),
    "bnEps": _refused("Float", 1e-5, "give the layers (epsilon := 1e-3)"),
    "dropPath": Field("Float", 0.0),
    "dropPathOverN": Field("Bool", False),
    "dropout": Field("Float", 0.0),
    "vitInit": _refused("Bool", False, "give the layers (std := 0.02)"),
    "cnxInit": _refused("Bool", False, "give the layers (std := 0.02)"),
    "bootstrapBackbone": _refused("option", None, "take it out, and begin with given weights (`init`)"),
    "bootstrapBackboneRange": _refused("option", None, "take it out, and begin with given weights (`init`)"),
    "minLR": Field("Float", 0.0),
    "expLRDecayRate": Field("Float", 0.0),
    "expLRDecayEpochs": Field("Float", 1.0),
    "expLRStaircase": Field("Bool", False, say=AFTER_WARM_UP),
    "gradClipNorm": Field("Float", 0.0),
    "headLrMult": Field("Float", 1.0),
    "useMixup": Field("Bool", False),
    "mixupAlpha": Field("Float", 0.8),
    "useCutmix": Field("Bool", False),
    "cutmixAlpha": Field("Float", 1.0),
    "useKnnMixup": _refused("Bool", False),
    "knnMixupAlpha": _part("Float", "useKnnMixup"),
    "randomErasing": Field("Bool", False),
    "randomErasingProb": Field("Float", 0.25),
    "erasingPixel": Field("Bool", False),
    "useRandAugment": Field("Bool", False),
    "randAugmentN": Field("Nat", 2),
    "randAugmentM": Field("Float", 9.0),
    "randAugmentGeometric": Field("Bool", False),
    "randAugmentMstd": Field("Float", 0.0),
    "randAugmentInc": Field("Bool", False),
    "augBicubic": Field("Bool", False),
    "useAutoAugment": Field("Bool", False),
    "repeatedAug": Field("Nat", 1),
    "trainRes": Field("Nat", 0),
    "testCropRatio": Field("Float", 0.0),
    "useEMA": Field("Bool", False),
    "emaDecay": Field("Float", 0.9999),
    "useSWA": Field("Bool", False, say=FIRST_EPOCH),
    "swaStartEpoch": Field("Nat", 0),
    "useSWAG": _refused("Bool", False),
    "swagK": _part("Nat", "useSWAG"),
    "swagSamples": _part("Nat", "useSWAG"),
    "useTTA": _refused("Bool", False),
    "ttaSamples": _part("Nat", "useTTA"),
    "useYolov1": _refused("Bool", False),
    "useDiouBox": _refused("Bool", False),
    "anchors": _refused("list", ()),
    "fpnScales": _refused("list", ()),
    "fpnAffineScale": _refused("Float", 0.0),
    "fpnAffineTranslate": _refused("Float", 0.0),
    "fpnAffineProb": _refused("Float", 0.0),
    "fpnAffineWhThrPx": _part("Float", "fpnAffineProb"),
    "fpnAffineAreaThr": _part("Float", "fpnAffineProb"),
    "yoloClsWeights": _refused("list", ()),
    "yoloClsFocalGamma": _refused("Float", 0.0),
    "headPriorBias": _refused("list", ()),
    "detPriorPi": _refused("Float", 0.0),
}  # fmt: skip

ORIGINAL_OPTIMIZERS = ("sgd", "adam", "rmsprop", "lamb")  # besides, netc's own words may be given
# the original's loss -> netc's, and the option that its argument becomes
LOSSES: dict[str, tuple[str, str]] = {
    "classCE": ("crossEntropy", ""),
    "perPixelCE": ("crossEntropy", ""),
    "softLabelCE": ("softCrossEntropy", ""),
    "perPixelDice": ("dice", ""),
    "perPixelDiceCE": ("diceCrossEntropy", ""),
    "perPixelFocalCE": ("focal", "gamma"),
    "floatTargetMse": ("meanSquaredError", ""),
    "bce": ("binaryCrossEntropy", ""),
}


def _float(value: Value) -> Any:
    return float(value) if is_whole(value) or isinstance(value, float) else None  # type: ignore[arg-type]


def _loss(value: Value) -> Any:
    """(netc's loss, its options), or the word of one that netc has not."""
    if not isinstance(value, Built) or value.named:
        return None
    if value.head not in LOSSES:
        word = NETC_LOSSES.word(value.head)
        return value.head if word is None or value.args else (word, ())
    kind, option = LOSSES[value.head]
    if len(value.args) != bool(option):
        return None
    numbers = [_float(argument) for argument in value.args]
    return None if None in numbers else (kind, tuple(f"{option}={n}" for n in numbers))


def _optimizer_word(head: str) -> str | None:
    return OPTIMIZERS.word(head) or (head if head in ORIGINAL_OPTIMIZERS else None)


# type -> what a message calls it, and its reading: a value, or None
TYPES: dict[str, tuple[str, Callable[[Value], Any]]] = {
    "Float": ("a number", _float),
    "Nat": (
        "an integer of at least 0",
        lambda v: int(v) if is_whole(v) and 0 <= v < 2**63 else None,  # type: ignore[operator, arg-type]
    ),
    "Bool": ("true or false", lambda v: v if isinstance(v, bool) else None),
    "optimizer": (
        "one of " + " ".join(f".{word}" for word in ORIGINAL_OPTIMIZERS),
        lambda v: _optimizer_word(v.head) if isinstance(v, Built) and not v.args else None,
    ),
    "loss": ("one of " + " ".join(f".{word}" for word in LOSSES), _loss),
    "list": ("a list", lambda v: v if isinstance(v, tuple) else None),
    "option": ("some .. or none", lambda v: v if isinstance(v, Built) and v.head in ("some", "none") else None),
}


def config_of(record: Record) -> LeanConfig:
    """The options that a TrainConfig stands for.

    Raises Misread for a field that there is not, a value of another type, and for whatever netc cannot do: every
    such field is named.
    """
    given: dict[str, Any] = {}
    for name, (value, at) in record.fields.items():
        if name not in FIELDS:
            raise Misread(at, f"a TrainConfig has no field {name!r}; {did_you_mean(name, FIELDS, 'leave it out')}")
        what, read = TYPES[FIELDS[name].type]
        found = read(value)
        if found is None:
            raise Misread(at, f"{name} wants {what}, got {shown(value)}; change it")
        given[name] = found
    for name in ("learningRate", "batchSize", "epochs"):
        if name not in given:
            raise Misread(record.at, f"a TrainConfig wants {name}, got none; write {name} := ..")
    _refuse(record, given)
    return LeanConfig(MappingProxyType(_options(given)), tuple(_notes(given)))


def _refuse(record: Record, given: Mapping[str, Any]) -> None:
    """Raise Misread at the first thing that netc cannot do, naming all of them."""
    refused = [name for name in given if FIELDS[name].role == "refused" and not _idle(name, given[name])]
    if given.get("optimizer", "sgd") not in OPTIMIZERS:
        refused.append("optimizer")
    if given.get("expLRStaircase", False) and given.get("expLRDecayRate", 0.0) and given.get("warmupEpochs", 0):
        refused.append("expLRStaircase")
    if given.get("expLRDecayEpochs", 1.0) <= 0:
        refused.append("expLRDecayEpochs")
    if given.get("useSWA", False) and not given.get("swaStartEpoch", 0):
        refused.append("useSWA")
    if isinstance(given.get("lossKind"), str):
        refused.append("lossKind")
    if not refused:
        return
    names = ", ".join(f"{name} := {shown(record.fields[name][0])}" for name in refused)
    do = FIELDS[refused[0]].say or WITHOUT
    raise Misread(record.fields[refused[0]][1], f"netc train does not support {names}; {do}")


def _idle(name: str, value: Any) -> bool:
    """Whether a refused field asks for nothing."""
    if isinstance(value, Built):
        return value.head == "none"
    return bool(value == FIELDS[name].default)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    parts = max(int(given.get("gradAccumSteps", 1)), 1)
    options: dict[str, Any] = {
        "epochs": given["epochs"],
        "batch": given["batchSize"] * parts,  # the original's batch is one part's
        "lr": given["learningRate"],
        "warmup": float(given.get("warmupEpochs", 0)),
        **_decay(given),
        **({"final": given["minLR"] / given["learningRate"]} if _has_floor(given) else {}),
        **_optimizer(given),
        **_loss_options(given),
    }
    if not given.get("augment", False):
        options |= {f.name: f.default for f in fields(Augment) if not f.metadata["later"]}  # those that data sets set
    if "seed" in given:
        options["seed"] = given["seed"]
    if given.get("bf16", False):
        options["precision"] = "bf16"
    if parts > 1:
        options["accumulate"] = parts
    return options | switched_options(given)


def _has_floor(given: Mapping[str, Any]) -> bool:
    """Whether the rate ends above 0; of the original's cosine alone."""
    falls_by_cosine = given.get("cosineDecay", False) and not given.get("expLRDecayRate", 0.0)
    return bool(falls_by_cosine and given.get("minLR", 0.0) and given["learningRate"] > 0)


def _decay(given: Mapping[str, Any]) -> dict[str, Any]:
    """The original's exponential decay is after its warm-up, and goes before its cosine."""
    rate, every = given.get("expLRDecayRate", 0.0), given.get("expLRDecayEpochs", 1.0)
    falling = given["epochs"] - given.get("warmupEpochs", 0)
    if not rate:
        return {"decay": "cosine" if given.get("cosineDecay", False) else "constant"}
    if falling <= 0:
        return {"decay": "constant"}
    if not given.get("expLRStaircase", False):
        return {"decay": "exponential", "left": rate ** (falling / every)}
    return {"decay": "step", "gamma": rate, "every": every / falling} if every <= falling else {"decay": "constant"}


def _optimizer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Adam with decay is AdamW, as the original's; SGD's decay is in its gradient. Other words are netc's own."""
    decay = given.get("weightDecay", 0.0)
    own: dict[str, Any] = {"weight_decay": decay}
    if decay and given.get("wdExcludeNormBias") is False:
        own["decay_all"] = True
    if given.get("useAdam", False) or given.get("optimizer") == "adam":
        return {"optimizer": "adamw" if decay else "adam", **own}
    if given.get("optimizer") == "rmsprop":  # the original's is TensorFlow's: epsilon in the root, squares from 1
        known = {"alpha": given.get("rmspropDecay", 0.9), "epsilon": given.get("rmspropEps", 1e-3)}
        return {"optimizer": "rmsprop-tf", "momentum": given.get("momentum", 0.0), **known, **own}
    if given.get("optimizer", "sgd") != "sgd":
        return {"optimizer": given["optimizer"], **(own if decay else {})}
    return {"optimizer": "sgd", "momentum": given.get("momentum", 0.0), **own}


def _loss_options(given: Mapping[str, Any]) -> dict[str, Any]:
    kind, options = given.get("lossKind", ("crossEntropy", ()))
    smoothing = given.get("labelSmoothing", 0.0)
    if given.get("useFocal", False):
        kind, options = "focal", (f"gamma={given.get('focalGamma', GAMMA)}",)
    found: dict[str, Any] = {"loss": kind}
    if options:
        found["loss_option"] = options
    if smoothing:
        found["label_smoothing"] = smoothing
    return found


def _notes(given: Mapping[str, Any]) -> list[str]:
    """A sentence for each field that was given and becomes no option."""
    notes = []
    for name in given:
        field = FIELDS[name]
        if field.role == "noted":
            notes.append(f"{name}: {field.say}")
        elif field.role == "part":
            notes.append(f"{name}: belongs to {field.say}, which is off")
    adam = given.get("useAdam", False) or given.get("optimizer") == "adam"
    if adam and given.get("momentum", 0.0):
        notes.append("momentum: belongs to SGD, and the optimizer is Adam")
    if not given.get("expLRDecayRate", 0.0):
        own = ("expLRDecayEpochs", "expLRStaircase")
        notes += [f"{name}: belongs to expLRDecayRate, which is off" for name in own if name in given]
    notes += switched_notes(given)
    if given.get("minLR", 0.0) and not _has_floor(given):
        notes.append("minLR: belongs to cosineDecay, which is off")
    if given.get("optimizer") != "rmsprop":
        notes += [
            f"{name}: belongs to optimizer := .rmsprop" for name in ("rmspropDecay", "rmspropEps") if name in given
        ]
    if "focalGamma" in given and not given.get("useFocal", False):
        notes.append("focalGamma: belongs to useFocal, which is off")
    if given.get("weightDecay", 0.0) and "wdExcludeNormBias" not in given:
        notes.append("weightDecay: leaves out biases and the scales of normalisations; `decay_all` takes them in")
    if given.get("wdExcludeNormBias") is not None and not given.get("weightDecay", 0.0):
        notes.append("wdExcludeNormBias: belongs to weightDecay, which is 0")
    return notes
