"""One small net for each family of layers, with its loss, for the tests of compilers."""

from __future__ import annotations

from netc.netspec import layers as nn
from netc.netspec.layer import Layer
from netc.netspec.loss import CrossEntropy, DiceCrossEntropy, Loss, MeanSquaredError
from netc.netspec.spec import NetSpec

CLASSES = 5
HEAD = (nn.GlobalAvgPool(), nn.Dense(CLASSES, name="head"))
TOKENS = (nn.LayerNorm(name="last"), *HEAD)


def language(*blocks: Layer, norm: Layer, **embed: bool) -> tuple[Layer, ...]:
    """Ids in, a logit for each token and place out, one matrix at both ends."""
    return (nn.TiedHead(nn.TokenPositionEmbed(CLASSES, 8, **embed), nn.Chain((*blocks, norm)), name="model"),)


# name: input, layers, loss
FAMILIES: dict[str, tuple[tuple[int, ...], tuple[Layer, ...], Loss]] = {
    "pooled-linear": (
        (16, 12, 3),
        (nn.Conv2d(4, activation="relu"), nn.Conv2d(4, 3), *HEAD),
        CrossEntropy(),
    ),
    "mobile": (
        (13, 12, 3),
        (
            nn.ConvBn(8, 3, 2, "same-symmetric", activation="h-swish", name="stem"),
            nn.SeparableConv(8, name="separable"),
            nn.InvertedResidual(8, 2.0, name="inverted"),
            nn.MbConv(8, 2.0, kernel=5, stride=2, blocks=2, drop_path=0.2, name="mbconv"),
            nn.MbConvV3(8, 16, squeeze=True, activation="h-swish", name="v3"),
            nn.FusedMbConv(8, 2.0, squeeze=0.25, name="fused"),
            nn.Uib(8, 2.0, start_kernel=3, middle_kernel=5, name="uib"),
            *HEAD,
        ),
        CrossEntropy(),
    ),
    "branches": (
        (13, 12, 4),
        (
            nn.CeilMaxPool(3, 2, name="ceil"),
            nn.InceptionModule(4, 2, 4, 2, 4, 4, name="inception"),
            nn.FireModule(4, 4, 4, name="fire"),
            nn.DenseBlock(4, 2, bottleneck=2, name="dense"),
            nn.ConvTranspose2d(6, 3, 2, 1, name="transposed"),
            nn.TransitionLayer(8, name="transition"),
            nn.AsppModule(4, (1, 3), name="aspp"),
            nn.AdaptiveAvgPool(2, name="adaptive"),
            nn.Flatten(),
            nn.Dropout(0.4, name="dropout"),
            nn.Dense(CLASSES, name="head"),
        ),
        CrossEntropy(),
    ),
    "residuals": (
        (10, 8, 4),
        (
            nn.ShuffleBlock(16, 2, 2, name="shuffle"),
            nn.ShuffleV2Block(24, 2, name="shuffle2"),
            nn.CspBlock(8, name="csp"),
            nn.DarknetBlock(1, name="darknet"),
            nn.ResidualBlock(8, name="basic"),
            nn.BottleneckBlock(16, name="bottleneck"),
            *HEAD,
        ),
        CrossEntropy(),
    ),
    "convnext": (
        (16, 16, 3),
        (
            nn.ConvNextStem(8, 4, name="stem"),
            nn.ConvNextStage(2, drop_path=(0.2, 0.4), name="stage"),
            nn.ConvNextDownsample(12, name="down"),
            nn.GroupNorm(3, name="group"),
            nn.InstanceNorm(affine=True, name="instance"),
            nn.SqueezeExcite(3, name="squeeze"),
            *TOKENS,
        ),
        CrossEntropy(),
    ),
    "transformer": (
        (8, 12, 3),
        (
            nn.PatchEmbed(8, 4, dropout=0.1, name="patch"),
            nn.TransformerEncoder(2, 12, dropout=0.1, attention_dropout=0.1, drop_path=0.2, name="encoder"),
            nn.TransformerDecoder(2, 12, 1, 3, norm_first=False, name="decoder"),
            nn.SelectToken(1, name="pick"),
            nn.LayerNorm(name="norm"),
            nn.Dense(CLASSES, name="head"),
        ),
        CrossEntropy(),
    ),
    "swin": (
        (16, 16, 3),
        (
            nn.Conv2d(8, 4, 4, "valid", name="patch"),
            nn.SwinStage(2, 2, 3, 2.0, attention_dropout=0.1, drop_path=(0.0, 0.2), name="stage1"),
            nn.PatchMerging(name="merge"),
            nn.SwinStage(2, 1, 2, 2.0, name="stage2"),
            *TOKENS,
        ),
        CrossEntropy(),
    ),
    "mobilevit": (
        (8, 8, 4),
        (nn.MobileVitBlock(8, 2, 12, 1, name="block"), nn.ConvBn(8, 1, 1, "valid", activation="swish"), *HEAD),
        CrossEntropy(),
    ),
    "gpt": (
        (9,),
        language(
            nn.TransformerEncoder(2, 12, causal=True, activation="gelu-tanh", name="dense"),
            nn.TransformerEncoder(2, 12, causal=True, rope=True, tile=4, norm="rms", name="tiled"),
            norm=nn.LayerNorm(name="norm"),
        ),
        CrossEntropy(),
    ),
    "moe": (
        (9,),
        language(
            nn.Residual(nn.MixtureOfExperts(6, 3, name="mlp"), name="mlp"),
            nn.Residual(nn.MixtureOfExperts(6, 3, 1, name="mlp"), name="one"),
            norm=nn.RMSNorm(name="norm"),
        ),
        CrossEntropy(),
    ),
    "mamba": (
        (9,),
        language(nn.MambaBlock(4, 2, 2, name="blocks"), norm=nn.RMSNorm(name="norm"), positions=False),
        CrossEntropy(),
    ),
    "wavenet": (
        (9,),
        (
            nn.TokenPositionEmbed(CLASSES, 8, positions=False, name="embed"),
            nn.SinusoidalPositions(),
            nn.WaveNetBlock(8, 6, 3, name="block"),
            nn.LMHead(CLASSES, bias=True, name="head"),
        ),
        CrossEntropy(),
    ),
    "unet": (
        (12, 10, 3),
        (
            nn.Unet(4, 1, name="body"),
            nn.UnetUp(nn.UnetDown(6), 4, "bilinear", name="up"),
            nn.Conv2d(CLASSES, 1, 1, "valid", name="head"),
        ),
        DiceCrossEntropy(),
    ),
    "diffusion": (
        (8, 8, 3),
        (
            nn.TimeCondAdd(4, name="time"),
            nn.FpnModule((nn.ConvBn(4, name="s0"), nn.ConvBn(6, stride=2, name="s1")), 4, "all", name="pyramid"),
            nn.Conv2d(2, 3, name="head"),
        ),
        MeanSquaredError(),
    ),
    "dit": (
        (4, 6, 3),
        (
            nn.ConditionedPatches(8, 2, CLASSES, name="patches"),
            nn.DitBlocks(2, 12, 1, name="blocks"),
            nn.PatchHead(1, 2, columns=3, name="head"),
        ),
        MeanSquaredError(),
    ),
}  # fmt: skip


def family(name: str) -> tuple[NetSpec, Loss]:
    """The net of that family and what it is trained by; raises KeyError for a name that is not in FAMILIES."""
    shape, layers, loss = FAMILIES[name]
    return NetSpec(name, shape, layers, dtype="i32" if len(shape) == 1 else "f32"), loss
