"""The names of torchvision's and timm's nets of inverted residuals: mobilenets, efficientnets, mnasnet.

Those of timm that number their stages in another way are in names/timm_mobile.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netc.netspec.check import CheckedNet
from netc.runtime.weights.names.table import HALF, Family, Naming, Rules, with_norm

PART = re.compile(r"((?:stage|block)(\d+)(?:_(\d+))?\.block(\d+)(?:\.body)?)\.(\w+)\.(?:conv|body\.reduce)\.kernel")


@dataclass(frozen=True)
class Block:
    """A block of the net: where it is (`stage` and `number` from 1, `index` in its stage from 0), and its parts."""

    path: str
    stage: int
    index: int
    number: int
    parts: tuple[str, ...]


# A block and the position of a part -> the names of its convolution and its norm, or of the two maps of a squeeze
Style = Callable[[Block, int], tuple[str, str]]


def blocks(net: CheckedNet) -> tuple[Block, ...]:
    """The blocks in order, read off the paths of the net's kernels."""
    parts: dict[tuple[str, int, int], list[str]] = {}
    for match in filter(None, (PART.fullmatch(p.name) for p in net.params)):
        path, stage, place, index, part = match.groups()
        parts.setdefault((path, int(stage), int(place or index)), []).append(part)
    return tuple(
        Block(path, stage, index, number, tuple(names))
        for number, ((path, stage, index), names) in enumerate(parts.items(), 1)
    )


def _block_rules(net: CheckedNet, style: Style) -> Rules:
    rules: Rules = ()
    for block in blocks(net):
        for position, part in enumerate(block.parts):
            path, (first, second) = re.escape(f"{block.path}.{part}"), style(block, position)
            rules += (
                ((rf"{path}\.body\.reduce", first), (rf"{path}\.body\.expand", second))
                if part == "squeeze"
                else with_norm(path, first, second)
            )
    return rules


def features(style: Style, head: str = "classifier.1") -> Callable[[CheckedNet], Rules]:
    """torchvision's rules: everything but the head is one Sequential whose last module is the 1x1 convolution."""

    def rules(net: CheckedNet) -> Rules:
        last = max(int(name.split(".")[1]) for block in blocks(net) for name in style(block, 0)) + 1
        return (
            *with_norm("stem", "features.0.0", "features.0.1"),
            *_block_rules(net, style),
            *with_norm("last", f"features.{last}.0", f"features.{last}.1"),
            ("hidden", "classifier.0"),
            ("head", head),
        )

    return rules


def _pair(base: str, part: str) -> tuple[str, str]:
    return (f"{base}.fc1", f"{base}.fc2") if part == "squeeze" else (f"{base}.0", f"{base}.1")


def _v2(block: Block, position: int) -> tuple[str, str]:
    base = f"features.{block.number}.conv"
    if position == len(block.parts) - 1:  # the projection is not a module of its own there
        return f"{base}.{position}", f"{base}.{position + 1}"
    return _pair(f"{base}.{position}", block.parts[position])


def v3_style(block: Block, position: int) -> tuple[str, str]:
    """torchvision's names of a part of a block of mobilenet_v3."""
    return _pair(f"features.{block.number}.block.{position}", block.parts[position])


def _efficient(block: Block, position: int) -> tuple[str, str]:
    return _pair(f"features.{block.stage}.{block.index}.block.{position}", block.parts[position])


def _mnasnet(block: Block, position: int) -> tuple[str, str]:
    # each convolution, norm and activation has a number; the first block stands in the net's own Sequential
    base, first = ("layers", 3) if block.stage == 1 else (f"layers.{block.stage + 6}.{block.index}.layers", 0)
    return f"{base}.{first + 3 * position}", f"{base}.{first + 3 * position + 1}"


# timm's names of the parts of a block with an expansion, and of one without
EXPANDED = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
PLAIN = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
SQUEEZE = {"squeeze": ("se.conv_reduce", "se.conv_expand")}


def timm_names(parts: Sequence[str], part: str) -> tuple[str, str]:
    """timm's names of a part of a block with these parts: of its convolution and norm, or of a squeeze's two maps."""
    return ((EXPANDED if "expand" in parts else PLAIN) | SQUEEZE)[part]


def _timm(block: Block, position: int) -> tuple[str, str]:
    first, second = timm_names(block.parts, block.parts[position])
    return f"blocks.{block.stage - 1}.{block.index}.{first}", f"blocks.{block.stage - 1}.{block.index}.{second}"


def _timm_rules(net: CheckedNet) -> Rules:
    return (
        *with_norm("stem", "conv_stem", "bn1"),
        *_block_rules(net, _timm),
        *with_norm("last", "conv_head", "bn2"),
        ("head", "classifier"),
    )


# Hugging Face's names of the parts of a block of mobilenet_v2
HUGGING_FACE = {"expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"}
TF = "the published weights of this project are of another net, which pads as TensorFlow does"


def _hugging_face(net: CheckedNet) -> Rules:
    def pair(path: str) -> tuple[str, str]:
        return f"mobilenet_v2.{path}.convolution", f"mobilenet_v2.{path}.normalization"

    def style(block: Block, position: int) -> tuple[str, str]:
        base = "conv_stem" if block.number == 1 else f"layer.{block.number - 2}"
        return pair(f"{base}.{HUGGING_FACE[block.parts[position]]}")

    return (
        *with_norm("stem", *pair("conv_stem.first_conv")),
        *_block_rules(net, style),
        *with_norm("last", *pair("conv_1x1")),
        ("head", "classifier"),
    )


def _mnasnet_rules(net: CheckedNet) -> Rules:
    return (
        *with_norm("stem", "layers.0", "layers.1"),
        *_block_rules(net, _mnasnet),
        *with_norm("last", "layers.14", "layers.15"),
        ("head", "classifier.1"),
    )


SQUEEZED = (r".*(se\.conv_(reduce|expand)|\.fc[12])\.weight", 0, 2)  # a squeeze's maps are 1x1 convolutions there
TIMM = Naming("timm", _timm_rules, ones=(SQUEEZED,))
FAMILIES = (
    Family(
        "mobilenet_v2",
        (
            Naming("torchvision", features(_v2)),
            TIMM,
            Naming("Hugging Face", _hugging_face, normalise=HALF, remark=TF),
        ),
    ),
    Family(r"efficientnet_b\d", (Naming("torchvision", features(_efficient), ones=(SQUEEZED,)), TIMM)),
    Family("efficientnet_v2_s", (Naming("torchvision", features(_efficient), ones=(SQUEEZED,)),)),
    Family("mnasnet1_0", (Naming("torchvision", _mnasnet_rules), TIMM)),
)
