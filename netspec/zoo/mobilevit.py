"""MobileViT (Mehta and Rastegari 2022) as timm defines it."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool, InvertedResidual, MobileVitBlock
from netc.netspec.spec import NetSpec

SOURCE = "timm's mobilevit.py (mobilevit_s, 256x256); Mehta and Rastegari 2022, table 4"
ACT = "swish"
EXPANSION = 4.0

# features, stride, inverted residuals, (width, blocks) of the transformer after them
STAGES: tuple[tuple[int, int, int, tuple[int, int] | None], ...] = (
    (32, 1, 1, None),
    (64, 2, 3, None),
    (96, 2, 1, (144, 2)),
    (128, 2, 1, (192, 4)),
    (160, 2, 1, (240, 3)),
)


def mobilevit_s() -> NetSpec:
    """3x3 stem, five stages of inverted residuals, the last three with a transformer, 1x1 to 640, one dense layer."""
    layers: list[Layer] = [ConvBn(16, 3, 2, "same-symmetric", activation=ACT, name="stem")]
    for index, (features, stride, blocks, transformer) in enumerate(STAGES, 1):
        layers.append(
            InvertedResidual(features, EXPANSION, stride=stride, blocks=blocks, activation=ACT, name=f"stage{index}")
        )
        if transformer:
            dim, depth = transformer
            layers.append(MobileVitBlock(dim, 4, 2 * dim, depth, std=0.01, name=f"vit{index}"))
    layers += [
        ConvBn(640, 1, 1, "valid", activation=ACT, name="last"),
        GlobalAvgPool(name="pool"),
        Dense(1000, std=0.01, name="head"),
    ]
    return NetSpec("mobilevit_s", (256, 256, 3), tuple(layers), SOURCE)
