"""MobileNets 1 to 4 (Howard et al. 2017, Sandler et al. 2018, Howard et al. 2019, Qin et al. 2024)."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    ConvBn,
    Dense,
    Dropout,
    FusedMbConv,
    GlobalAvgPool,
    InvertedResidual,
    MbConvV3,
    SeparableConv,
    Uib,
)
from netc.netspec.spec import NetSpec

INPUT = (224, 224, 3)

# features, stride of the separable convolutions after a strided 3x3 stem with 32
V1 = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip

# expansion, features, blocks, stride: Sandler et al. 2018, table 2
V2 = (
    (1.0, 16, 1, 1), (6.0, 24, 2, 2), (6.0, 32, 3, 2), (6.0, 64, 4, 2), (6.0, 96, 3, 1), (6.0, 160, 3, 2),
    (6.0, 320, 1, 1),
)  # fmt: skip

V3_EPSILON, V3_MOMENTUM = 1e-3, 0.01
V3Row = tuple[int, int, int, bool, str, int]
# name -> kernel, hidden, features, squeeze, activation, stride of each block; the head's width: Howard et al. 2019
V3: dict[str, tuple[tuple[V3Row, ...], int]] = {
    "mobilenet_v3_large": ((
        (3, 16, 16, False, "relu", 1),
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "h-swish", 2),
        (3, 200, 80, False, "h-swish", 1),
        (3, 184, 80, False, "h-swish", 1),
        (3, 184, 80, False, "h-swish", 1),
        (3, 480, 112, True, "h-swish", 1),
        (3, 672, 112, True, "h-swish", 1),
        (5, 672, 160, True, "h-swish", 2),
        (5, 960, 160, True, "h-swish", 1),
        (5, 960, 160, True, "h-swish", 1),
    ), 1280),
    "mobilenet_v3_small": ((
        (3, 16, 16, True, "relu", 2),
        (3, 72, 24, False, "relu", 2),
        (3, 88, 24, False, "relu", 1),
        (5, 96, 40, True, "h-swish", 2),
        (5, 240, 40, True, "h-swish", 1),
        (5, 240, 40, True, "h-swish", 1),
        (5, 120, 48, True, "h-swish", 1),
        (5, 144, 48, True, "h-swish", 1),
        (5, 288, 96, True, "h-swish", 2),
        (5, 576, 96, True, "h-swish", 1),
        (5, 576, 96, True, "h-swish", 1),
    ), 1024),
}  # fmt: skip

V4Row = tuple[int, int, float, int, int, int]
# name -> the plain or fused stages; start kernel, middle kernel, expansion, features, stride, copies of each block of
# the two stages of universal inverted bottlenecks: Qin et al. 2024, appendix
V4: dict[str, tuple[tuple[Layer, ...], tuple[tuple[V4Row, ...], ...]]] = {
    "mobilenetv4_conv_small": (
        (
            ConvBn(32, 3, 2, "same-symmetric", name="stage0_0"),
            ConvBn(32, 1, 1, "valid", name="stage0_1"),
            ConvBn(96, 3, 2, "same-symmetric", name="stage1_0"),
            ConvBn(64, 1, 1, "valid", name="stage1_1"),
        ),
        (
            ((5, 5, 3.0, 96, 2, 1), (0, 3, 2.0, 96, 1, 4), (3, 0, 4.0, 96, 1, 1)),
            ((3, 3, 6.0, 128, 2, 1), (5, 5, 4.0, 128, 1, 1), (0, 5, 4.0, 128, 1, 1), (0, 5, 3.0, 128, 1, 1),
             (0, 3, 4.0, 128, 1, 2)),
        ),
    ),
    "mobilenetv4_conv_medium": (
        (FusedMbConv(48, 4.0, stride=2, activation="relu", name="stage0_0"),),
        (
            ((3, 5, 4.0, 80, 2, 1), (3, 3, 2.0, 80, 1, 1)),
            ((3, 5, 6.0, 160, 2, 1), (3, 3, 4.0, 160, 1, 2), (3, 5, 4.0, 160, 1, 1), (3, 3, 4.0, 160, 1, 1),
             (3, 0, 4.0, 160, 1, 1), (0, 0, 2.0, 160, 1, 1), (3, 0, 4.0, 160, 1, 1)),
            ((5, 5, 6.0, 256, 2, 1), (5, 5, 4.0, 256, 1, 1), (3, 5, 4.0, 256, 1, 2), (0, 0, 4.0, 256, 1, 1),
             (3, 0, 4.0, 256, 1, 1), (3, 5, 2.0, 256, 1, 1), (5, 5, 4.0, 256, 1, 1), (0, 0, 4.0, 256, 1, 2),
             (5, 0, 2.0, 256, 1, 1)),
        ),
    ),
}  # fmt: skip


def mobilenet_v1() -> NetSpec:
    """Thirteen separable convolutions, as timm has them: relu6, symmetric padding."""
    layers = (
        ConvBn(32, 3, 2, "same-symmetric", activation="relu6", name="stem"),
        *(SeparableConv(n, s, activation="relu6", name=f"block{i}") for i, (n, s) in enumerate(V1, 1)),
        GlobalAvgPool(name="mean"),
        Dense(1000, name="head"),
    )
    return NetSpec("mobilenet_v1", INPUT, layers, "timm mobilenetv1_100; Howard et al. 2017, table 1")


def mobilenet_v2() -> NetSpec:
    """Seven stages of inverted residuals, and a 1x1 convolution to 1280."""
    layers = (
        ConvBn(32, 3, 2, "same-symmetric", activation="relu6", name="stem"),
        *(
            InvertedResidual(features, expansion, stride=stride, blocks=blocks, name=f"stage{index}")
            for index, (expansion, features, blocks, stride) in enumerate(V2, 1)
        ),
        ConvBn(1280, 1, 1, "valid", activation="relu6", name="last"),
        GlobalAvgPool(name="mean"),
        Dropout(0.2, name="dropout"),
        Dense(1000, name="head"),
    )
    return NetSpec("mobilenet_v2", INPUT, layers, "torchvision.models.mobilenetv2; Sandler et al. 2018, table 2")


def _v3_conv(features: int, kernel: int, stride: int, name: str) -> Layer:
    return ConvBn(
        features, kernel, stride, "same-symmetric",
        activation="h-swish", epsilon=V3_EPSILON, momentum=V3_MOMENTUM, name=name,
    )  # fmt: skip


def mobilenet_v3(name: str) -> NetSpec:
    """Blocks found by search, a last convolution six times as wide as its input, a head with a hidden layer."""
    rows, width = V3[name]
    layers: list[Layer] = [_v3_conv(16, 3, 2, "stem")]
    for index, (kernel, hidden, features, squeeze, activation, stride) in enumerate(rows, 1):
        layers.append(MbConvV3(
            features, hidden, kernel, squeeze,
            stride=stride, activation=activation, epsilon=V3_EPSILON, momentum=V3_MOMENTUM, name=f"block{index}",
        ))  # fmt: skip
    layers += [
        _v3_conv(6 * rows[-1][2], 1, 1, "last"),
        GlobalAvgPool(name="mean"),
        Dense(width, activation="h-swish", name="hidden"),
        Dropout(0.2, name="dropout"),
        Dense(1000, name="head"),
    ]
    return NetSpec(name, INPUT, tuple(layers), "torchvision.models.mobilenetv3; Howard et al. 2019, tables 1 and 2")


def mobilenetv4(name: str) -> NetSpec:
    """Universal inverted bottlenecks; the head's 1x1 convolution comes after the mean, so it is a dense layer here."""
    first, stages = V4[name]
    side = 256 if name == "mobilenetv4_conv_medium" else 224
    layers: list[Layer] = [ConvBn(32, 3, 2, "same-symmetric", name="stem"), *first]
    begin = int((first[-1].name or "")[len("stage")]) + 1
    for stage, rows in enumerate(stages, begin):
        blocks = [row for row in rows for _ in range(row[-1])]
        for index, (start, middle, expansion, features, stride, _) in enumerate(blocks):
            layers.append(Uib(features, expansion, start, middle, stride=stride, name=f"stage{stage}_{index}"))
    layers += [
        ConvBn(960, 1, 1, "valid", name="last"),
        GlobalAvgPool(name="mean"),
        Dense(1280, bias=False, name="hidden"),
        BatchNorm(name="norm"),
        Activation("relu", name="act"),
        Dense(1000, name="head"),
    ]
    return NetSpec(name, (side, side, 3), tuple(layers), f"timm {name}; Qin et al. 2024, appendix")
