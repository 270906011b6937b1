"""The small nets that the oracle trains whole steps of (step.py)."""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.layers import (
    BottleneckBlock,
    Chain,
    Conv2d,
    ConvBn,
    ConvTranspose2d,
    Dense,
    Dropout,
    DropPath,
    Flatten,
    GaussianSample,
    GlobalAvgPool,
    LearnedPositions,
    MaxPool,
    MixtureOfExperts,
    MultiHeadAttention,
    PreviousToken,
    Residual,
    ResidualBlock,
    SinusoidalPositions,
    TakeTokens,
    TiedHead,
    TimeCondAdd,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec

MLP = NetSpec(
    "small-mlp",
    (4, 4, 1),
    (
        Flatten(),
        Dense(6, activation="relu", name="hidden1"),
        Dense(5, activation="relu", name="hidden2"),
        Dense(4, name="head"),
    ),
)
CNN = NetSpec(
    "small-cnn",
    (8, 8, 1),
    (
        ConvBn(3, name="conv1"),
        ConvBn(3, name="conv2"),
        MaxPool(2, name="pool1"),
        ConvBn(4, name="conv3"),
        ConvBn(4, name="conv4"),
        MaxPool(2, name="pool2"),
        Flatten(),
        Dense(6, activation="relu", name="hidden"),
        Dense(4, name="head"),
    ),
)
STEM = (ConvBn(3, 3, 1, "same-symmetric", name="stem"), MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"))
RESNET = NetSpec(
    "small-resnet",
    (8, 8, 3),
    (
        *STEM,
        ResidualBlock(3, 1, name="stage1"),
        ResidualBlock(5, 2, 2, name="stage2"),
        GlobalAvgPool(),
        Dense(4, name="head"),
    ),
)
BOTTLENECKS = NetSpec(
    "small-bottlenecks",
    (8, 8, 3),
    (*STEM, BottleneckBlock(4, 1, name="stage1"), BottleneckBlock(8, 1, 2, name="stage2"), GlobalAvgPool(), Dense(4)),
)

UP = NetSpec(
    "small-up",
    (3, 3, 2),
    (
        ConvTranspose2d(4, 2, 2, name="up"),
        ConvTranspose2d(4, 2, 2, groups=2, name="grouped"),
        GlobalAvgPool(),
        Dense(3, name="head"),
    ),
)
CODED = NetSpec("small-coded", (4,), (Chain((Dense(6), GaussianSample(0.3)), name="encoder"), Dense(4, name="decoder")))
TIED = NetSpec("small-tied", (4,), (TiedHead(TokenPositionEmbed(5, 3), Dense(3), name="model"),), dtype="i32")
SPEAKING = NetSpec(
    "small-speaking",
    (6,),
    (TiedHead(TokenPositionEmbed(5, 4, std=0.5), TransformerEncoder(1, 6, 2, causal=True, tile=4), name="model"),),
    dtype="i32",
)
TURNING = NetSpec(
    "small-turning",
    (6,),
    (
        TokenPositionEmbed(5, 4, positions=False, std=0.5, name="embed"),
        SinusoidalPositions(name="waves"),
        LearnedPositions(0.5, name="places"),
        Residual(PreviousToken(), name="before"),
        Residual(MultiHeadAttention(2, causal=True, rope=True, window=3, kv_heads=1), name="block0"),
        Dense(5, name="head"),
    ),
    dtype="i32",
)
TOKENS = NetSpec(
    "small-tokens",
    (5, 3),
    (
        Dense(4, activation="tanh", name="up"),
        Residual(Dense(4, activation="swish"), name="mix"),
        Dense(3, name="head"),
    ),
)
EXPERTS = NetSpec(
    "small-experts",
    (5, 4),
    (
        Dense(4, activation="tanh", name="up"),
        Residual(MixtureOfExperts(3, 3, 2, balance=0.5, std=0.5), name="block0"),
        Residual(MixtureOfExperts(2, 4, 1, balance=0.3, std=0.5), name="block1"),
        Dense(3, name="head"),
    ),
)
PIXELS = NetSpec(
    "small-pixels",
    (4, 3, 2),
    (ConvBn(3, activation="tanh", name="conv"), Conv2d(3, 1, name="head")),
)
DRAWING = NetSpec(
    "small-drawing",
    (6,),
    (
        Dense(6, activation="tanh", name="hidden"),
        Dropout(0.3, name="drop"),
        Residual(Chain((Dense(6, activation="swish", name="inner"), DropPath(0.5, name="path"))), name="block"),
        Dropout(0.3, name="drop2"),
        Dense(4, name="head"),
    ),
)
DENOISING = NetSpec(
    "small-denoising",
    (4, 4, 4),  # two channels of the image, time and class
    (ConvBn(3, activation="tanh", name="conv"), TimeCondAdd(2, name="time"), Conv2d(2, 3, name="head")),
)
TIMED = NetSpec("small-timed", (3, 4, 2), (TimeCondAdd(3, name="time"), Conv2d(1, 3, name="head")))
GROWING = NetSpec(
    "small-growing",
    (6, 4),
    (
        Dense(5, activation="tanh", name="up"),
        LearnedPositions(0.5, name="places"),
        Residual(MultiHeadAttention(1), name="block"),
        Dense(4, name="head"),
    ),
)
UNMASKING = NetSpec(
    "small-unmasking",
    (6,),
    (TokenPositionEmbed(1001, 3, name="embed"), Dense(4, activation="tanh"), TakeTokens(5), Dense(7, name="head")),
    dtype="i32",
)
UNMASKING_EXPERTS = replace(
    UNMASKING,
    name="small-unmasking-experts",
    layers=(UNMASKING.layers[0], EXPERTS.layers[2], *UNMASKING.layers[1:]),
)
