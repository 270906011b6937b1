"""How many parameters each spec of the corpus has, and where the number comes from: never from netc.

Published nets have the number of torchvision, timm or the paper's own code. The others are written out here from the
layers: `norm(k, i, o)` is a k x k convolution without a bias and its batch norm, `affine(i, o)` a dense layer or a
1 x 1 convolution with one, `encoder(d, m)` a transformer block.
"""

from __future__ import annotations


def norm(k: int, i: int, o: int, groups: int = 1) -> int:
    """A k x k convolution without a bias, and a batch norm's scale and bias."""
    return k * k * (i // groups) * o + 2 * o


def conv(k: int, i: int, o: int) -> int:
    """A k x k convolution with a bias."""
    return k * k * i * o + o


def affine(i: int, o: int) -> int:
    """A dense layer with a bias."""
    return i * o + o


def encoder(d: int, mlp: int) -> int:
    """Two layer norms, four projections of d to d, two dense layers, all with biases."""
    return 4 * d + 4 * affine(d, d) + affine(d, mlp) + affine(mlp, d)


def decoder(d: int, mlp: int) -> int:
    """Three layer norms, eight projections, two dense layers."""
    return 6 * d + 8 * affine(d, d) + affine(d, mlp) + affine(mlp, d)


def cifar_resnet(n: int) -> int:
    """He et al. 2016, section 4.2, with projections (option B) where a stage begins."""
    stages = ((16, 16), (16, 32), (32, 64))
    blocks = sum(norm(3, i, o) + (2 * n - 1) * norm(3, o, o) + (norm(1, i, o) if i != o else 0) for i, o in stages)
    return norm(3, 3, 16) + blocks + affine(64, 10)


def shuffle_unit(i: int, o: int, mid: int, first: int = 3) -> int:
    """Grouped 1x1 to `mid`, depthwise 3x3, grouped 1x1 to `o`."""
    return norm(1, i, mid, first) + 9 * mid + 2 * mid + norm(1, mid, o, 3)


def convnext_stage(c: int, n: int) -> int:
    """7x7 depthwise with a bias, a norm, two 1x1 convolutions, a layer scale."""
    return n * (49 * c + c + 2 * c + affine(c, 4 * c) + affine(4 * c, c) + c)


def csp(c: int, n: int) -> int:
    """1x1, on one half n residuals and a 1x1, and a 1x1 over both."""
    return 2 * norm(1, c, c) + n * (norm(1, c // 2, c // 2) + norm(3, c // 2, c // 2)) + norm(1, c // 2, c // 2)


def gated(c: int, heads: int) -> int:
    """AlphaFold's attention with 32 channels a head: norm, q k v, gate, output."""
    return 2 * c + 3 * c * 32 * heads + affine(c, 32 * heads) + affine(32 * heads, c)


def up(i: int, o: int) -> int:
    """What a U-Net's step up sees is what is below, i channels, and a skip of as many as it gives."""
    return norm(3, i + o, o) + norm(3, o, o)


def wave(r: int, s: int, n: int) -> int:
    """WaveNet's layers: filter and gate of two taps, a residual in all but the last, a skip."""
    return n * (2 * r * 2 * r + 2 * r) + (n - 1) * affine(r, r) + n * affine(r, s)


TORCHVISION, TIMM = "torchvision", "timm"
HAND = "written out"
UPSTREAM = "lean4-mlir's README"

RESNET50_BODY = 25_557_032 - affine(2048, 1000)
DARKNET_BODY = norm(3, 3, 32) + sum(
    norm(3, c, 2 * c) + n * (norm(1, 2 * c, c) + norm(3, c, 2 * c))
    for c, n in ((32, 1), (64, 2), (128, 8), (256, 8), (512, 4))
)
DETR_TAIL = (
    6 * encoder(256, 2048) + 6 * decoder(256, 2048) + 100 * 256
    + affine(256, 92) + 2 * affine(256, 256) + affine(256, 4)
    + 2 * 256  # one layer norm: the original's after the encoder, for DETR's after the decoder
)  # fmt: skip
# Jumper et al. 2021, supplementary, algorithms 6 to 15, 256 MSA and 128 pair channels
EVOFORMER = (
    gated(256, 8) + 2 * 128 + 128 * 8  # rows, with the pair's bias
    + gated(256, 8)  # columns
    + 2 * 256 + affine(256, 1024) + affine(1024, 256)
    + 2 * 256 + 2 * affine(256, 32) + affine(32 * 32, 128)  # outer product mean
    + 2 * (2 * 128 + 4 * affine(128, 128) + affine(128, 128) + 2 * 128 + affine(128, 128))  # triangle products
    + 2 * (gated(128, 4) + 128 * 4)  # triangle attention
    + 2 * 128 + affine(128, 512) + affine(512, 128)
)  # fmt: skip
# algorithms 20, 22 and 23, 384 single and 128 pair channels, 12 heads of 16 with 4 and 8 points
STRUCTURE = (
    2 * 384 + 2 * 128 + affine(384, 384)
    + 3 * 384 * 12 * 16 + 384 * 12 * 3 * (4 + 4 + 8) + 128 * 12 + 12 + affine(12 * (128 + 16 + 3 * 8 + 8), 384)
    + 2 * 384 + 3 * affine(384, 384) + 2 * 384 + affine(384, 6)
    + 2 * affine(384, 128) + 4 * affine(128, 128) + affine(128, 14)
)  # fmt: skip
# Gu and Dao 2023 at 128 channels, 256 inside, state 16, steps through 8: norm, in, taps, select, step, rates, skip, out
MAMBA = 128 + 128 * 512 + (4 + 1) * 256 + 256 * (8 + 2 * 16) + affine(8, 256) + 256 * 16 + 256 + 256 * 128

COUNTS: dict[str, dict[str, tuple[int, str]]] = {
    "Mnist.lean": {
        "mnistLinear": (784 * 10 + 10, HAND),
        "mnistMlp": (669_706, "784-512-512-10; lean4-mlir says 670K"),
        "mnistCnn": (1_676_458, "lean4-mlir says 1.7M"),
        "lenet5": (conv(5, 1, 6) + conv(5, 6, 16) + affine(400, 120) + affine(120, 84) + affine(84, 10), HAND),
    },
    "Cifar.lean": {
        "cifarCnn": (
            conv(3, 3, 32) + conv(3, 32, 32) + conv(3, 32, 64) + conv(3, 64, 64)
            + affine(4096, 512) + affine(512, 512) + affine(512, 10), HAND),
        "cifarBn": (
            norm(3, 3, 32) + norm(3, 32, 32) + norm(3, 32, 64) + norm(3, 64, 64)
            + affine(4096, 512) + affine(512, 512) + affine(512, 10), HAND),
        "resnet20": (cifar_resnet(3), "written out; He et al. 2016, table 6: 0.27M"),
        "resnet56": (cifar_resnet(9), "written out; He et al. 2016, table 6: 0.85M"),
        "resnet110": (cifar_resnet(18), "written out; He et al. 2016, table 6: 1.7M"),
        # torchvision's with a 3x3 stem and ten classes
        "resnet18Cifar": (11_689_512 - 49 * 3 * 64 + 9 * 3 * 64 - affine(512, 1000) + affine(512, 10), TORCHVISION),
    },
    "ResNet.lean": {
        "Zoo.ResNet.resnet18": (11_689_512, TORCHVISION),
        "Zoo.ResNet.resnet34": (21_797_672, TORCHVISION),
        "Zoo.ResNet.resnet50": (25_557_032, TORCHVISION),
        "Zoo.ResNet.resnet101": (44_549_160, TORCHVISION),
        "Zoo.ResNet.resnet152": (60_192_808, TORCHVISION),
        "Zoo.ResNet.imagenette34": (21_797_672 - affine(512, 1000) + affine(512, 10), f"{UPSTREAM} says 21.3M"),
        "Zoo.ResNet.wideResnet50": (68_883_240, TORCHVISION),
        "Zoo.ResNet.resnext50": (25_028_904, TORCHVISION),
    },
    "Exact.lean": {"resnet34": (21_797_672, TORCHVISION)},
    "Classic.lean": {
        "alexNet": (61_100_840, TORCHVISION),
        "vgg11": (132_863_336, TORCHVISION),
        "vgg13": (133_047_848, TORCHVISION),
        "vgg16": (138_357_544, TORCHVISION),
        "vgg19": (143_667_240, TORCHVISION),
        # torchvision's has a bias before each norm, which the original's convBn has not
        "vgg16Bn": (138_365_992 - 2 * 64 - 2 * 128 - 3 * 256 - 6 * 512, TORCHVISION),
        "squeezeNet": (1_248_424, TORCHVISION),
        "squeezeNet11": (1_235_496, TORCHVISION),
        "googLeNet": (6_624_904, "torchvision, without the auxiliary heads"),
    },
    "Mobile.lean": {
        "Mobile.mobileNetV1": (4_231_976, "timm mobilenetv1_100; Howard et al. 2017 say 4.2M"),
        "Mobile.mobileNetV2": (3_504_872, TORCHVISION),
        "Mobile.mobileNetV3Large": (5_483_032, TORCHVISION),
        "Mobile.mobileNetV3Small": (2_542_856, TORCHVISION),
        "Mobile.mobileNetV4Medium": (9_715_512, TIMM),
        "Mobile.mnasNet": (4_383_312, TORCHVISION),
    },
    "EfficientNet.lean": {
        "EfficientNet.b0": (5_288_548, TORCHVISION),
        "EfficientNet.b1": (7_794_184, TORCHVISION),
        "EfficientNet.b2": (9_109_994, TORCHVISION),
        "EfficientNet.b3": (12_233_232, TORCHVISION),
        "EfficientNet.v2s": (21_458_488, TORCHVISION),
    },
    "Dense.lean": {
        "Dense.densenet121": (7_978_856, TORCHVISION),
        "Dense.densenet169": (14_149_480, TORCHVISION),
        "Dense.densenet201": (20_013_928, TORCHVISION),
        "Shuffle.v2x05": (1_366_792, TORCHVISION),
        "Shuffle.v2x10": (2_278_604, TORCHVISION),
        "Shuffle.v1": (
            norm(3, 3, 24)
            + shuffle_unit(24, 216, 60, 1) + 3 * shuffle_unit(240, 240, 60)
            + shuffle_unit(240, 240, 120) + 7 * shuffle_unit(480, 480, 120)
            + shuffle_unit(480, 480, 240) + 3 * shuffle_unit(960, 960, 240)
            + affine(960, 1000), "written out from Zhang et al. 2018, table 1, g = 3"),
    },
    "ConvNext.lean": {
        "convNextTiny": (28_589_128, TORCHVISION),
        "convNextSmall": (50_223_688, TORCHVISION),
        "convNextBase": (88_591_464, TORCHVISION),
        "convNextCifar": (
            conv(2, 3, 40) + 80 + convnext_stage(40, 2) + 80 + conv(2, 40, 80) + convnext_stage(80, 2)
            + affine(80, 10) - 2 * (40 + 80), "written out; no bias where a batch norm follows"),
    },
    "Vision.lean": {
        "ViT.tiny": (5_717_416, TIMM),
        "ViT.small": (22_050_664, TIMM),
        "ViT.base": (86_567_656, TIMM),
        "ViT.deitTiny": (5_717_416, TIMM),
        "ViT.cifar": (affine(48, 192) + 192 + 65 * 192 + 12 * encoder(192, 768) + 2 * 192 + affine(192, 10), HAND),
        "ViT.vitTiny": (5_717_416 - affine(192, 1000) + affine(192, 10), f"timm; {UPSTREAM} says 5.5M"),
        # each of the two encoders ends in a norm
        "ViT.twoParts": (
            affine(192, 64) + 64 + 17 * 64 + 2 * (encoder(64, 128) + 2 * 64) + affine(64, 10), HAND),
        "Swin.tiny": (28_288_354, TORCHVISION),
        "Swin.small": (49_606_258, TORCHVISION),
        "Swin.base": (87_768_224, TORCHVISION),
        "mobileViT": (5_578_632, TIMM),
    },
    "Language.lean": {
        "tinyGpt": (65 * 128 + 64 * 128 + 4 * encoder(128, 512) + 2 * 128 + affine(128, 65), HAND),
        "ropeGpt": (65 * 128 + 4 * encoder(128, 512) + 2 * 128 + affine(128, 65), HAND),
        # the original's lmHead has its own table, and a bias
        "gpt2Untied": (124_439_808 + affine(768, 50257), "the published checkpoint, and a head"),
        "gpt2": (124_439_808, "the published checkpoint"),
        "tinyMamba": (65 * 128 + 4 * MAMBA + affine(128, 65), "written out from Gu and Dao's code"),
        # filter and gate of two taps, residual and skip in each layer but the last, which has no residual
        "waveNet": (
            256 * 32 + 10 * (2 * 32 * 64 + 64) + 9 * affine(32, 32 + 128) + affine(32, 128)
            + affine(128, 128) + affine(128, 256), "written out from van den Oord et al. 2016, eq. 2"),
        "detrTail": (DETR_TAIL, "written out from Carion et al. 2020"),
    },
    "Detection.lean": {
        "Darknet.darknet53": (DARKNET_BODY + affine(1024, 1000), "written out from Redmon and Farhadi 2018, table 1"),
        "Darknet.cspNet": (
            norm(3, 3, 32) + sum(norm(3, i, o) + csp(o, n) for i, o, n in ((32, 64, 1), (64, 128, 2), (128, 256, 4)))
            + affine(256, 10), HAND),
        "Darknet.yoloTiny": (
            sum(norm(3, i, o) for i, o in ((3, 16), (16, 32), (32, 64), (64, 128), (128, 256)))
            + affine(1024, 496) + affine(496, 1470), HAND),
        # laterals, smoothings, two 3x3 a level, heads of 3 anchors with 15 numbers
        "Darknet.fpnDetector": (
            DARKNET_BODY + sum(affine(c, 256) for c in (256, 512, 1024)) + 9 * conv(3, 256, 256)
            + 3 * affine(256, 45), HAND),
        "Pyramid.resnet50Fpn": (
            RESNET50_BODY + sum(affine(c, 256) for c in (256, 512, 1024, 2048)) + 4 * conv(3, 256, 256),
            "torchvision's resnet_fpn_backbone with trained norms"),
        # of which DETR's log counts 41,302,368: without the norms, and without the stem and stage that it freezes
        "Pyramid.detr": (41_302_368 + 53_120 + 49 * 3 * 64 + 212_992, "DETR's training log, and what it leaves out"),
    },
    "Pixels.lean": {
        # two 3x3 a stage; on the way up the first sees the skip and what was below
        "unet": (
            sum(norm(3, i, o) + norm(3, o, o) for i, o in ((3, 64), (64, 128), (128, 256), (256, 512), (512, 1024)))
            + sum(norm(3, 3 * c, c) + norm(3, c, c) for c in (512, 256, 128, 64)) + affine(64, 2), HAND),
        "unetPublished": (31_037_698, "milesial's Pytorch-UNet(3, 2)"),
        "upsampler": (norm(3, 3, 16) + norm(3, 16, 8) + conv(3, 8, 1), HAND),
        # torchvision's deeplabv3_resnet50 without its auxiliary head
        "deepLab": (42_004_074 - (norm(3, 1024, 256) + affine(256, 21)), TORCHVISION),
        "ddpm": (
            norm(3, 1, 32) + affine(128, 32)
            + norm(3, 32, 64) + norm(3, 64, 64) + norm(3, 64, 128) + norm(3, 128, 128)
            + affine(128, 128) + norm(3, 128, 256) + encoder(256, 512) + 2 * 256
            + norm(3, 256 + 128, 128) + norm(3, 128, 128) + norm(3, 128 + 64, 64) + norm(3, 64, 64)
            + affine(64, 1), HAND),
        "ddpmTrainable": (affine(32, 1) + conv(3, 1, 8) + affine(8, 1), HAND),
    },
    "Fold.lean": {
        "AlphaFold.evoformer": (48 * EVOFORMER, "written out from Jumper et al. 2021, supplementary"),
        "AlphaFold.structureModule": (STRUCTURE, "written out from Jumper et al. 2021, supplementary"),
        "AlphaFold.alphaFold": (48 * EVOFORMER + affine(256, 384) + STRUCTURE, "both, and algorithm 6, line 12"),
        # nerf-pytorch's model has 595,844; it appends place and direction themselves, three numbers each
        "Field.nerf": (595_844 - 2 * 3 * 256 - 3 * 128, "nerf-pytorch"),
        "Field.plainField": (affine(60, 256) + 7 * affine(256, 256) + affine(256, 4), HAND),
    },
    "Ablation.lean": {
        "mlp64": (affine(784, 64) + 2 * affine(64, 64) + affine(64, 10), HAND),
        "mlp256deep": (affine(784, 256) + 8 * affine(256, 256) + affine(256, 10), HAND),
        "mlpGelu": (affine(784, 128) + 2 * affine(128, 128) + affine(128, 10), HAND),
        "pyramidShallow": (affine(784, 256) + affine(256, 64) + affine(64, 10), HAND),
        "pyramidDeep": (
            affine(784, 512) + affine(512, 256) + affine(256, 128) + affine(128, 64) + affine(64, 10), HAND),
        "chain4": (
            norm(3, 3, 8) + norm(3, 8, 16) + norm(3, 16, 32) + norm(3, 32, 64) + norm(3, 64, 128)
            + affine(128, 10), HAND),
        "chain3": (
            norm(3, 3, 8) + norm(3, 8, 16) + norm(3, 16, 32) + norm(3, 32, 64) + affine(64, 10), HAND),
        "piped": (affine(3, 4) + conv(3, 4, 8) + conv(3, 8, 12) + conv(3, 12, 16) + affine(64, 10), HAND),
        "joined": (affine(784, 32) + 3 * affine(32, 32) + affine(32, 10), HAND),
        "Größe.réseau": (affine(784, 48) + affine(48, 100) + affine(100, 10), HAND),
    },
    "Workshop.lean": {
        "small": (affine(784, 32) + 2 * affine(32, 32) + affine(32, 10), HAND),
        "large": (affine(784, 128) + 3 * affine(128, 128) + affine(128, 10), HAND),
        "hidden": (affine(784, 96) + 2 * affine(96, 96) + affine(96, 10), HAND),
    },
    "Tokens.lean": {
        "Tokens.reader": (affine(300, 48) + 3 * encoder(48, 192) + 2 * 48 + affine(48, 48), HAND),
        "Tokens.writer": (
            affine(300, 24) + affine(24, 32) + 2 * encoder(32, 128) + 2 * 32 + affine(32, 300), HAND),
        "Tokens.projector": (affine(96, 128) + affine(128, 128), HAND),
        "Tokens.sound": (
            affine(16, 8) + wave(8, 12, 3) + affine(12, 10) + wave(10, 14, 2) + affine(14, 16), HAND),
        "Tokens.turns": (3 * (9 * 24 + 2 * 24 + norm(1, 24, 24)) + 2 * (encoder(24, 96) + 2 * 24), HAND),
        # the class token and 97 positions; the patch merging's norm of four pixels and its matrix, without a bias
        "Tokens.pyramid": (
            affine(4 * 3, 16) + 16 + 97 * 16 + encoder(16, 64) + 2 * 16
            + 2 * 64 + 64 * 32 + 2 * encoder(32, 128) + 2 * 32
            + 2 * 128 + 128 * 40 + encoder(40, 160) + 2 * 40 + affine(40, 10), HAND),
        "Tokens.sighted": (
            affine(16 * 3, 16) + 16 + 10 * 16 + encoder(16, 64) + 2 * 16 + affine(16, 24) + encoder(24, 96) + 2 * 24,
            HAND),
        "Tokens.residualUnet": (
            norm(3, 4, 8) + 2 * norm(3, 8, 8)
            + norm(3, 8, 16) + norm(3, 16, 16) + norm(1, 8, 16) + 2 * norm(3, 16, 16)
            + norm(3, 16, 32) + norm(3, 32, 32) + norm(1, 16, 32)
            + up(32, 16) + up(16, 8) + up(8, 8) + affine(8, 3), HAND),
        "Tokens.moment": (affine(16, 32) + affine(32, 32), HAND),
    },
    "Modern.lean": {
        "Modern.small": (
            norm(3, 3, 8) + 2 * norm(3, 8, 8)
            + norm(3, 8, 16) + norm(1, 8, 16) + 3 * norm(3, 16, 16) + affine(16, 10), HAND,
        ),
    },
    "Recipes.lean": {
        "Recipes.digits": (affine(64, 32) + affine(32, 10), HAND),
        "Recipes.digitsCnn": (norm(3, 1, 8) + norm(3, 8, 16) + affine(64, 10), HAND),
        "Recipes.digitsDepthwise": (norm(3, 1, 8) + 9 * 8 + 2 * 8 + norm(1, 8, 16) + affine(16, 10), HAND),
    },
}  # fmt: skip

# what a file holds besides that cannot be read, and how its message begins
BROKEN = {
    "Workshop.lean": {"fromDisk": "unknown name unsafeIO", "misfit": "dense: fanIn wants 32"},
}

# what is shown and counted as it is written, and not trained: the count, and how what disagrees begins
ODD: dict[str, dict[str, tuple[int, str]]] = {
    "Odd.lean": {
        "Odd.classifier": (
            norm(5, 3, 8) + affine(6 * 6 * 8, 40) + affine(40, 10), "dense: fanIn wants 392, the channels that arrive"),
        "Odd.patches": (
            norm(3, 3, 8) + affine(4 * 8, 16) + 16 + 17 * 16 + encoder(16, 32) + 2 * 16 + affine(16, 10),
            "patchEmbed: nPatches wants 64, the 2x2 patches of [batch, 16, 16, 8], got 16"),
        "Odd.widths": (
            norm(3, 3, 8) + norm(3, 8, 8) + norm(3, 8, 16) + norm(3, 16, 16) + up(16, 8) + up(8, 3) + affine(3, 3),
            "unetUp: oc wants 8, the channels of the skip that it takes, got 3"),
        "Odd.decoder": (
            affine(4, 16) + up(16, 8) + norm(3, 8, 8) + up(8, 4) + conv(3, 4, 3),
            "unetUp wants a unetDown before it whose skip it takes, or a layer that gives [batch, 8, 8, 8], got none"),
        "Odd.listener": (
            affine(70, 16) + 2 * decoder(16, 32), "transformerDecoder: nQueries wants a positive integer, got 0"),
        "Odd.painter": (
            conv(3, 4, 8) + norm(3, 8, 16) + norm(3, 16, 16) + decoder(16, 32) + up(16, 16) + conv(3, 16, 4),
            "transformerDecoder: nQueries wants a positive integer, got 0"),
        "Odd.pixels": (affine(32, 48) + affine(48, 6), "dense: fanIn wants a multiple of 5 x 5 = 25 pixels, got 32"),
        "Odd.octaves": (affine(160, 8), "positionalEncoding: numFrequencies wants at most 32"),
        "Odd.channels": (
            conv(3, 3, 8) + conv(3, 16, 4) + affine(4, 2), "conv2d: ic wants 8, the channels that arrive"),
    },
}  # fmt: skip
