"""The nets that netc knows by name, against the published counts, written here a second time."""

import pytest

from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.find import find
from netc.netspec.layers import Dense, Flatten, GlobalAvgPool, LMHead, TokenPositionEmbed
from netc.netspec.spec import NetSpec
from netc.netspec.toml import from_toml, to_toml
from netc.netspec.zoo import ZOO
from netc.netspec.zoo.nanochat import nanochat

# the auxiliary head of inception_v3: 768 -> 128 (1x1) and 128 -> 768 (5x5) with batch norm, dense 768 -> 1000
INCEPTION_HEAD = 768 * 128 + 2 * 128 + 25 * 128 * 768 + 2 * 768 + 768 * 1000 + 1000
# torchvision's models, 1000 classes; and lean4-mlir's two MNIST nets
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "resnext50_32x4d": 25_028_904,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "googlenet": 6_624_904,  # without the two auxiliary heads, as its published weights
    "inception_v3": 27_161_264 - INCEPTION_HEAD,  # published with its auxiliary head
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "mobilenetv4_conv_small": 3_774_024,
    "mobilenetv4_conv_medium": 9_715_512,
    "mnasnet1_0": 4_383_312,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_v2_s": 21_458_488,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
    "vit_tiny_patch16_224": 5_717_416,
    "vit_small_patch16_224": 22_050_664,
    "vit_base_patch16_224": 86_567_656,
    "deit_tiny_patch16_224": 5_717_416,
    "swin_t": 28_288_354,
    "swin_s": 49_606_258,
    "swin_b": 87_768_224,
    "mobilevit_s": 5_578_632,
    "unet": 31_037_698,
    "mnist-mlp": 669_706,
    "mnist-cnn": 1_676_458,
    "tiny-gpt": 808_320,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "smollm2-135m": 134_515_008,
    "llama-3.2-1b": 1_235_814_400,
    # what facebookresearch/DiT prints, less its 256 fixed positions: XL/2 prints 675,129,632, S/2 32,963,360
    "dit_s_2": 32_963_360 - 256 * 384,
    "dit_xl_2": 675_129_632 - 256 * 1152,
}
# The others, by arithmetic
CONV = 3 * 3 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
HEAD = 8 * 8 * 64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
# norm, in 128 -> 2 x 256, depthwise conv of 4 taps, select 256 -> 8 + 2 x 16, step 8 -> 256, scan of 16 states, out
MAMBA = 128 + 128 * 512 + (4 + 1) * 256 + 256 * 40 + 8 * 256 + 256 * (16 + 2) + 256 * 128


def dit_count(blocks, width, patch_in=16, patch_out=32, classes=1001):
    """18 D² + 15 D a block (qkv, out, an MLP of 4 D, six modulations), the embeddings, and the last layer."""
    embed = (patch_in + 1) * width + (256 + 1) * width + (width + 1) * width + classes * width
    return blocks * (18 * width**2 + 15 * width) + embed + 2 * (width + 1) * width + (width + 1) * patch_out


def flux_count(d, mlp, double, single, pixels, classes):
    """FLUX.2's two kinds of blocks, 15 shared rows, and the embeddings that stand for a text's."""
    blocks = double * (8 * d * d + 6 * mlp * d) + single * (4 * d * d + 3 * mlp * d) + 15 * d * d
    embed = (256 + 1) * d + (d + 1) * d + (pixels + 1) * d + classes * d
    return blocks + embed + 2 * (d + 1) * d + (d + 1) * pixels


def conv_count(inputs, outputs, side=3):
    return side * side * inputs * outputs + outputs


def block_count(inputs, outputs, hidden=128, rows=11):
    """Two norms and convolutions, the embedding of 64 waves and of the class, its projection, the shortcut."""
    embed = (64 + 1) * hidden + (hidden + 1) * hidden + rows * hidden + (hidden + 1) * outputs
    around = conv_count(inputs, outputs, 1) if inputs != outputs else 0
    convolutions = conv_count(inputs, outputs) + conv_count(outputs, outputs)
    return convolutions + 2 * inputs + 2 * outputs + embed + around


# down and up: (32 -> 32, 64 -> 32), (32 -> 64, 128 -> 64), in the middle twice 64 -> 64 around an attention
UNET_BLOCKS = sum(block_count(*pair) for pair in ((32, 32), (64, 32), (32, 64), (128, 64), (64, 64), (64, 64)))
UNET_CONVS = sum(conv_count(*pair) for pair in ((1, 32), (32, 32), (64, 64), (64, 64), (64, 32), (32, 1)))

# tokens, and the shape of the logits
LANGUAGE = {
    **dict.fromkeys(("tiny-gpt", "tiny-mamba", "tiny-llama", "tiny-moe", "tiny-nanochat"), (64, 65)),
    "tiny-nanochat-gated": (64, 65),
    **dict.fromkeys(("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"), (1024, 50_257)),
    "tiny-mdm": (64, 128), "smollm2-135m": (2048, 49_152), "llama-3.2-1b": (8192, 128_256),
}  # fmt: skip
IMAGES = {
    **dict.fromkeys(("tiny-dit", "tiny-flux", "tiny-unet-diffusion", "tiny-vae"), (8, 8, 1)),
    **{f"dit_{size}_2": (32, 32, 8) for size in ("s", "b", "l", "xl")},
    "tiny-dit-28": (28, 28, 1),
    "flux-4b": (64, 64, 32),
}
OTHERWISE = {**LANGUAGE, **IMAGES, "unet": (224, 224, 2), "tiny-branching": (10, 4)}
DERIVED = {
    # 4x4 patches in place of 16x16, 64 of them in place of 196, and 10 classes in place of 1000
    "vit_tiny_patch4_32": 5_717_416 - (256 - 16) * 3 * 192 - (196 - 64) * 192 - 990 * 193,
    "dit_b_2": dit_count(12, 768),
    "dit_l_2": dit_count(24, 1024),
    "tiny-dit": dit_count(4, 128, 4, 4, 11),
    "tiny-dit-28": dit_count(4, 128, 16, 16, 11),
    # the same blocks, the time and 128 tokens in, 128 logits out
    "tiny-mdm": dit_count(4, 128, -1, 128, 128),
    # 4 numbers and 32 waves in, places, three blocks of width 64, a norm, 4 numbers out
    "tiny-branching": 37 * 64 + 10 * 64 + 3 * (65 * 256 + 65 * 256 + 257 * 64 + 256) + 128 + 65 * 4,
    "tiny-flux": flux_count(128, 256, 2, 4, 4, 11 * 4),
    "flux-4b": flux_count(3072, 9216, 5, 20, 128, 1001 * 8),
    "tiny-unet-diffusion": UNET_BLOCKS + UNET_CONVS + 2 * 64 + 65 * 3 * 64 + 65 * 64 + 2 * 32,
    "tiny-vae": sum(conv_count(*pair) for pair in ((1, 32), (32, 64), (64, 4), (2, 64), (64, 32), (32, 1))),
    "tiny-mamba": 65 * 128 + 4 * MAMBA + 128,
    # a table; of a block qkv with 2 of 4 heads of keys and values, out, a perceptron of 352, two norms; a norm
    "tiny-llama": 65 * 128 + 4 * (128 * 256 + 128 * 128 + 3 * 128 * 352 + 2 * 128) + 128,
    # the same, but 8 experts of 128 and a router
    "tiny-moe": 65 * 128 + 4 * (128 * 256 + 128 * 128 + 8 * 3 * 128 * 128 + 128 * 8 + 2 * 128) + 128,
    # a table with two embeddings of values, their factors, and a head; 12 D^2 a block
    "tiny-nanochat": 65 * (128 + 2 * 128) + 2 * 128 + 65 * 128 + 4 * 12 * 128**2,
    # no factors of values, but a gate of 12 channels a head in two blocks, of 24 and a strength for the token before,
    # two factors in each block and one behind them
    "tiny-nanochat-gated": 65 * (128 + 2 * 128) + 65 * 128 + 4 * 12 * 128**2 + 2 * 12 * 4 + 24 + 1 + 2 * 4 + 1,
    "mnist-linear": 784 * 10 + 10,
    "cifar-cnn": CONV + (32 + 32 + 64 + 64) + HEAD,
    "cifar-bn": CONV + 2 * (32 + 32 + 64 + 64) + HEAD,
    # a 3x3 stem of 3 -> 64 in place of 7x7, and 10 classes in place of 1000
    "resnet18-cifar": 11_689_512 - (49 - 9) * 3 * 64 - 990 * 513,
    "resnet34-cifar": 21_797_672 - (49 - 9) * 3 * 64 - 990 * 513,
}
COUNTS = {**PUBLISHED, **DERIVED}


def test_every_net_has_a_count_here():
    assert set(COUNTS) == set(ZOO)


def test_depth_20_of_nanochats_first_release():
    """Karpathy 2025 says 561 M; 65,536 tokens, no embeddings of values."""
    net = check(nanochat("d20", 65_536, 20, 10, 10, 1280, 2048, values=False, source=""))
    assert net.count == 2 * 65_536 * 1280 + 20 * 12 * 1280**2 == 560_988_160


@pytest.mark.parametrize("name", COUNTS)
def test_a_net_is_what_its_name_says_with_parameters_as_published(name):
    net = check(find(name))
    assert net.count == COUNTS[name] == ZOO[name].parameters
    assert net.count == sum(p.size for p in net.params)
    assert net.spec.name == name
    assert net.spec.source
    classes = 10 if name.startswith(("mnist", "cifar")) or name.endswith(("-cifar", "_patch4_32")) else 1000
    assert net.out.shape == OTHERWISE.get(name, (classes,))
    assert len({p.name for p in net.params} | {s.name for s in net.state}) == len(net.params) + len(net.state)
    # a running mean and variance for each batch norm
    assert len(net.state) == 2 * sum(layer.layer.kind == "batchNorm" for layer in net.walk())


@pytest.mark.parametrize("name", COUNTS)
def test_toml_gives_the_net_back(name):
    spec = find(name)
    assert from_toml(to_toml(spec)) == spec
    assert to_toml(from_toml(to_toml(spec))) == to_toml(spec)


@pytest.mark.parametrize(
    ("name", "path", "shape"),
    [
        ("resnet34", "stem", (112, 112, 64)),
        ("resnet34", "pool", (56, 56, 64)),
        ("resnet34", "stage1", (56, 56, 64)),
        ("resnet34", "stage2", (28, 28, 128)),
        ("resnet34", "stage3", (14, 14, 256)),
        ("resnet34", "stage4", (7, 7, 512)),
        ("resnet50", "stage4", (7, 7, 2048)),
        ("alexnet", "pool5", (6, 6, 256)),
        ("vgg16", "pool5", (7, 7, 512)),
        ("squeezenet1_0", "pool1", (54, 54, 96)),
        ("squeezenet1_0", "fire9", (13, 13, 512)),
        ("squeezenet1_1", "fire9", (13, 13, 512)),
        ("densenet121", "block4", (7, 7, 1024)),
        ("densenet201", "block4", (7, 7, 1920)),
        ("googlenet", "pool1", (56, 56, 64)),
        ("googlenet", "inception3b", (28, 28, 480)),
        ("googlenet", "inception4e", (14, 14, 832)),
        ("googlenet", "inception5b", (7, 7, 1024)),
        ("inception_v3", "mixed5d", (35, 35, 288)),
        ("inception_v3", "mixed6e", (17, 17, 768)),
        ("inception_v3", "mixed7c", (8, 8, 2048)),
        ("shufflenet_v2_x1_0", "stage2", (28, 28, 116)),
        ("shufflenet_v2_x1_0", "stage4", (7, 7, 464)),
        ("wide_resnet50_2", "stage4.block2.residual.body.conv2", (7, 7, 1024)),
        ("resnext50_32x4d", "stage4.block2.residual.body.conv2", (7, 7, 1024)),
        ("convnext_tiny", "stem", (56, 56, 96)),
        ("convnext_tiny", "stage4", (7, 7, 768)),
        ("vit_tiny_patch16_224", "encoder", (197, 192)),
        ("swin_t", "stage1", (56, 56, 96)),
        ("swin_t", "stage4", (7, 7, 768)),
        ("mobilevit_s", "vit5", (8, 8, 160)),
        ("resnet18-cifar", "stage1", (32, 32, 64)),
        ("resnet18-cifar", "stage4", (4, 4, 512)),
    ],
)
def test_sizes_of_the_stages(name, path, shape):  # the first table of each paper, torchvision's comments
    sizes = {layer.path: layer.signature.out.shape for layer in check(find(name)).walk()}
    assert sizes[path] == shape


def test_depths_are_the_names():  # weighted layers on the longest path
    for name, depth in (("resnet18", 18), ("resnet34", 34), ("resnet50", 50), ("resnet101", 101), ("resnet152", 152)):
        weighted = [p.name for p in check(find(name)).params if p.name.endswith("kernel") and "shortcut" not in p.name]
        assert len(weighted) == depth


def test_other_classes_and_other_sizes():
    spec = find("resnet18-cifar").with_classes(7)
    assert check(spec).out.shape == (7,)
    assert check(spec.with_input((40, 24, 1))).out.shape == (7,)
    with pytest.raises(SpecError, match="wants a net that ends in a dense or conv2d layer, got globalAvgPool"):
        NetSpec("n", (4, 4, 1), (GlobalAvgPool(),)).with_classes(3)
    assert check(find("squeezenet1_0").with_classes(7)).out.shape == (7,)  # a convolution, whose mean is the output
    assert check(find("unet").with_classes(7)).out.shape == (224, 224, 7)
    gpt = check(find("tiny-gpt").with_classes(30))  # the vocabulary: of the embedding, and so of the head
    assert gpt.out.shape == (64, 30)
    assert gpt.count == 808_320 - 35 * 128
    untied = NetSpec("n", (4,), (TokenPositionEmbed(9, 3), LMHead(9)), dtype="i32").with_classes(5)
    assert check(untied).count == 5 * 3 + 4 * 3 + 3 * 5
    with pytest.raises(SpecError, match="got no layers"):
        NetSpec("n", (4, 4, 1), ()).with_classes(3)


@pytest.mark.parametrize(("wrong", "near"), [("resnet43", "resnet34"), ("mnist_mpl", "mnist-mlp"), ("xyz", "netc ls")])
def test_an_unknown_name_says_what_is_near(wrong, near):
    with pytest.raises(UserError, match=near):
        find(wrong)


def test_a_file_is_found_by_its_ending(tmp_path):
    spec = NetSpec("mine", (4, 4, 1), (Flatten(), Dense(3)))
    (tmp_path / "mine.toml").write_text(to_toml(spec))
    assert find(str(tmp_path / "mine.toml")) == spec


def test_the_count_of_dit_is_that_of_its_arithmetic():
    assert dit_count(12, 384) == COUNTS["dit_s_2"]
    assert dit_count(28, 1152) == COUNTS["dit_xl_2"]
    for name, millions in (("s", 33), ("b", 130), ("l", 458), ("xl", 675)):  # Peebles and Xie 2023, table 4
        assert round(COUNTS[f"dit_{name}_2"] / 1e6) == millions


def test_a_diffusion_net_takes_larger_images():
    assert check(find("tiny-dit").with_input((28, 28, 3))).out.shape == (28, 28, 1)
    assert check(find("tiny-mdm").with_input((17,))).out.shape == (16, 128)
