"""How each of netc's kinds is said with the original's constructor: a head and its arguments in order.

These are proposals: what is written is read again, and what differs is named behind it or the proposal is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netc.netspec.lean.arguments import ACTIVATION_WORDS, NORM_WORDS
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Word:
    """An enumeration's value: `.relu`."""

    text: str


# netc's word -> the original's; those that only netc has are written as strings, behind their names
ACTIVATIONS = {netc: word for word, netc in ACTIVATION_WORDS.items()}
NORMS = {netc: word for word, netc in NORM_WORDS.items()}
ORIGINAL = frozenset({"relu", "relu6", "identity", "swish", "hSwish", "gelu"})

Words = tuple[Any, ...]
Propose = Callable[[Any, TensorType], Words | None]


def _act(function: str, default: str) -> Word:
    """The word for an activation, or the default where the original has none: the true one then follows by name."""
    word = ACTIVATIONS.get(function, default)
    return Word(word if word in ORIGINAL else default)


def _pad(padding: Any) -> Word:
    return Word("valid" if padding == "valid" else "same")


def _one(value: Any) -> int:
    """A number for both sides; raises TypeError for a pair, which no constructor takes."""
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _whole(value: float) -> int:
    """A ratio without a fraction; raises TypeError for another."""
    if value != int(value):
        raise TypeError(value)
    return int(value)


def _c(x: TensorType) -> int:
    return x.shape[-1]


def _max_pool(layer: Any, x: TensorType) -> Words | None:
    if layer.stride is None:
        return ("maxPool", _one(layer.size), _one(layer.size))
    return ("maxPool", _one(layer.size), _one(layer.stride))


def _patch_embed(layer: Any, x: TensorType) -> Words | None:
    if x.rank != 3:
        return None
    return ("patchEmbed", _c(x), layer.dim, layer.patch, (x.shape[0] // layer.patch) * (x.shape[1] // layer.patch))


def _token_embed(layer: Any, x: TensorType) -> Words:
    plain = ("tokenPositionEmbed", layer.vocabulary, x.shape[0], layer.dim)
    return plain if layer.positions else (*plain, False, False, False)


def _swin(layer: Any, x: TensorType) -> Words:
    return ("swinStage", _c(x), layer.heads, int(_c(x) * layer.mlp_ratio), layer.window, layer.blocks)


def _three(layer: Any, x: TensorType, *more: Any) -> Words:
    """A mobile stage: channels, features, expansion, kernel, stride, blocks."""
    return (layer.kind, _c(x), layer.features, _whole(layer.expansion), layer.kernel, layer.stride, layer.blocks, *more)


POSITIONAL: dict[str, Propose] = {
    "conv2d": lambda y, x: (
        "conv2d", _c(x), y.features, _one(y.kernel), _pad(y.padding), _act(y.activation, "identity"),
    ),
    "convBn": lambda y, x: ("convBn", _c(x), y.features, _one(y.kernel), _one(y.stride), _pad(y.padding)),
    "maxPool": _max_pool,
    "globalAvgPool": lambda y, x: ("globalAvgPool",),
    "flatten": lambda y, x: ("flatten",),
    "dense": lambda y, x: ("dense", _c(x), y.features, _act(y.activation, "identity")),
    "residualBlock": lambda y, x: ("residualBlock", _c(x), y.features, y.blocks, y.stride),
    "bottleneckBlock": lambda y, x: ("bottleneckBlock", _c(x), y.features, y.blocks, y.stride),
    "separableConv": lambda y, x: ("separableConv", _c(x), y.features, y.stride),
    "invertedResidual": lambda y, x: (
        "invertedResidual", _c(x), y.features, _whole(y.expansion), y.stride, y.blocks,
    ),
    "mbConv": lambda y, x: _three(y, x, y.squeeze > 0, _act(y.activation, "swish")),
    "mbConvV3": lambda y, x: (
        "mbConvV3", _c(x), y.features, y.hidden, y.kernel, y.stride, y.squeeze, _act(y.activation, "relu"),
    ),
    "fusedMbConv": lambda y, x: _three(y, x, y.squeeze > 0, _act(y.activation, "swish")),
    "uib": lambda y, x: (
        "uib", _c(x), y.features, _whole(y.expansion), y.stride, y.start_kernel, y.middle_kernel,
    ),
    "fireModule": lambda y, x: ("fireModule", _c(x), y.squeeze, y.expand1x1, y.expand3x3),
    "patchEmbed": _patch_embed,
    "convNextStage": lambda y, x: (
        "convNextStage", _c(x), y.blocks, Word(NORMS[y.norm]), _act(y.activation, "gelu"),
    ),
    "convNextDownsample": lambda y, x: ("convNextDownsample", _c(x), y.features, Word(NORMS[y.norm])),
    "convNextStem": lambda y, x: ("convNextStem", _c(x), y.features, y.patch),
    "bilinearUpsample": lambda y, x: ("bilinearUpsample", _one(y.scale)),
    "tokenPositionEmbed": _token_embed,
    "lmHead": lambda y, x: ("lmHead", _c(x), y.vocabulary, x.shape[0]),
    "spatialFlatten": lambda y, x: ("spatialFlatten",),
    "spatialUnflatten": lambda y, x: ("spatialUnflatten", _c(x), y.height, y.width),
    "mambaBlock": lambda y, x: ("mambaBlock", _c(x), y.state, y.expansion, y.layers),
    "swinStage": _swin,
    "patchMerging": lambda y, x: ("patchMerging", _c(x), 2 * _c(x) if y.features is None else y.features),
    "transformerDecoder": lambda y, x: ("transformerDecoder", _c(x), y.heads, y.mlp, y.blocks, y.queries),
    "shuffleBlock": lambda y, x: ("shuffleBlock", _c(x), y.features, y.groups, y.blocks),
    "shuffleV2Block": lambda y, x: ("shuffleV2Block", _c(x), y.features, y.blocks),
    "denseBlock": lambda y, x: ("denseBlock", _c(x), y.growth, y.layers),
    "transitionLayer": lambda y, x: (
        "transitionLayer", _c(x), max(_c(x) // 2, 1) if y.features is None else y.features,
    ),
    "inceptionModule": lambda y, x: (
        "inceptionModule", _c(x), y.b1, y.b2_reduce, y.b2, y.b3_reduce, y.b3, y.b4,
    ),
    "asppModule": lambda y, x: ("asppModule", _c(x), y.features),
    "mobileVitBlock": lambda y, x: ("mobileVitBlock", _c(x), y.dim, y.heads, y.mlp, y.blocks),
    "waveNetBlock": lambda y, x: ("waveNetBlock", y.residual, y.skip, y.layers),
    "positionalEncoding": lambda y, x: ("positionalEncoding", _c(x), y.levels),
    "darknetBlock": lambda y, x: ("darknetBlock", _c(x), y.blocks),
    "cspBlock": lambda y, x: ("cspBlock", _c(x), y.features, y.blocks),
    "evoformerBlock": lambda y, x: ("evoformerBlock", y.msa, y.pair, y.blocks),
    "structureModule": lambda y, x: ("structureModule", y.single, y.pair, y.blocks),
    "nerfMLP": lambda y, x: ("nerfMLP", y.position, y.direction, y.hidden),
    "fpnTaps": lambda y, x: ("fpnModule", *y.stages, y.features) if len(y.stages) == 4 else None,
    "fpnDetect": lambda y, x: ("fpnDetect", y.features, *y.stages, y.grid, y.anchors, y.tower),
    "timeBias": lambda y, x: ("timeCondAdd", _c(x), y.frequencies),
}  # fmt: skip
