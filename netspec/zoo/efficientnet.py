"""EfficientNets (Tan and Le 2019) and EfficientNetV2 (Tan and Le 2021), as torchvision defines them."""

from __future__ import annotations

import math
from itertools import accumulate

from netc.netspec.layer import Layer
from netc.netspec.layers import ConvBn, Dense, Dropout, FusedMbConv, GlobalAvgPool, MbConv
from netc.netspec.layers.mobile import make_divisible
from netc.netspec.spec import NetSpec

DROP_PATH = 0.2  # the rate of drop-path after the last block; block i of n has i / n of it

# expansion, kernel, stride, features, blocks: Tan and Le 2019, table 1
STAGES = (
    (1.0, 3, 1, 16, 1),
    (6.0, 3, 2, 24, 2),
    (6.0, 5, 2, 40, 2),
    (6.0, 3, 2, 80, 3),
    (6.0, 5, 1, 112, 3),
    (6.0, 5, 2, 192, 4),
    (6.0, 3, 1, 320, 1),
)
# name -> factor of widths, factor of depths, side of the input (of torchvision's weights), dropout
SCALES = {
    "efficientnet_b0": (1.0, 1.0, 224, 0.2),
    "efficientnet_b1": (1.0, 1.1, 240, 0.2),
    "efficientnet_b2": (1.1, 1.2, 288, 0.3),
    "efficientnet_b3": (1.2, 1.4, 300, 0.3),
}
# whether fused, expansion, stride, features, blocks; all 3x3: Tan and Le 2021, table 4
V2_S = (
    (True, 1.0, 1, 24, 2),
    (True, 4.0, 2, 48, 4),
    (True, 4.0, 2, 64, 4),
    (False, 4.0, 2, 128, 6),
    (False, 6.0, 1, 160, 9),
    (False, 6.0, 2, 256, 15),
)


def _rates(blocks: list[int]) -> list[tuple[float, float]]:
    """Each stage's drop-path rates, of its first and of its last block."""
    total = sum(blocks)
    return [
        (DROP_PATH * (end - count) / total, DROP_PATH * (end - 1) / total)
        for end, count in zip(accumulate(blocks), blocks, strict=True)
    ]


def _head(features: int, dropout: float, epsilon: float = 1e-5) -> tuple[Layer, ...]:
    return (
        ConvBn(features, 1, 1, "valid", activation="swish", epsilon=epsilon, name="last"),
        GlobalAvgPool(name="mean"),
        Dropout(dropout, name="dropout"),
        Dense(1000, name="head"),
    )


def efficientnet(name: str) -> NetSpec:
    """Seven stages of mbConv, all widths and depths scaled together."""
    width, depth, side, dropout = SCALES[name]
    widths = [make_divisible(features * width) for _, _, _, features, _ in STAGES]
    depths = [math.ceil(blocks * depth) for _, _, _, _, blocks in STAGES]
    layers: list[Layer] = [ConvBn(make_divisible(32 * width), 3, 2, "same-symmetric", activation="swish", name="stem")]
    rows = zip(STAGES, widths, depths, _rates(depths), strict=True)
    for index, ((expansion, kernel, stride, _, _), features, blocks, rates) in enumerate(rows, 1):
        layers.append(
            MbConv(features, expansion, kernel, stride=stride, blocks=blocks, drop_path=rates, name=f"stage{index}")
        )
    source = "torchvision.models.efficientnet; Tan and Le 2019, table 1 and section 4"
    return NetSpec(name, (side, side, 3), (*layers, *_head(4 * widths[-1], dropout)), source)


def efficientnet_v2_s() -> NetSpec:
    """Three stages of fusedMbConv, three of mbConv; 384x384 is the size of torchvision's weights."""
    layers: list[Layer] = [ConvBn(24, 3, 2, "same-symmetric", activation="swish", epsilon=1e-3, name="stem")]
    rates = _rates([row[-1] for row in V2_S])
    for index, ((fused, expansion, stride, features, blocks), drop) in enumerate(zip(V2_S, rates, strict=True), 1):
        layers.append(
            (FusedMbConv if fused else MbConv)(
                features, expansion, stride=stride, blocks=blocks, drop_path=drop, epsilon=1e-3, name=f"stage{index}"
            )
        )
    source = "torchvision.models.efficientnet; Tan and Le 2021, table 4"
    return NetSpec("efficientnet_v2_s", (384, 384, 3), (*layers, *_head(1280, 0.2, 1e-3)), source)
