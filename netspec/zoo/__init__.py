"""The networks that netc knows by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from netc.netspec.spec import NetSpec
from netc.netspec.zoo import (
    alexnet,
    cifar,
    convnext,
    densenet,
    efficientnet,
    googlenet,
    gpt,
    inception,
    mamba,
    mnasnet,
    mnist,
    mobilenet,
    mobilevit,
    resnet,
    shufflenet,
    squeezenet,
    swin,
    unet,
    vgg,
    vit,
)


@dataclass(frozen=True)
class Entry:
    """A net of the zoo: how to make it, and its published count of trained parameters."""

    make: Callable[[], NetSpec]
    parameters: int


ZOO: dict[str, Entry] = {
    "mnist-linear": Entry(mnist.mnist_linear, 7_850),
    "mnist-mlp": Entry(mnist.mnist_mlp, 669_706),
    "mnist-cnn": Entry(mnist.mnist_cnn, 1_676_458),
    "cifar-cnn": Entry(cifar.cifar_cnn, 2_431_018),
    "cifar-bn": Entry(cifar.cifar_bn, 2_431_210),
    "resnet18": Entry(partial(resnet.resnet, "resnet18"), 11_689_512),
    "resnet34": Entry(partial(resnet.resnet, "resnet34"), 21_797_672),
    "resnet50": Entry(partial(resnet.resnet, "resnet50"), 25_557_032),
    "resnet101": Entry(partial(resnet.resnet, "resnet101"), 44_549_160),
    "resnet152": Entry(partial(resnet.resnet, "resnet152"), 60_192_808),
    "wide_resnet50_2": Entry(partial(resnet.resnet, "wide_resnet50_2"), 68_883_240),
    "resnext50_32x4d": Entry(partial(resnet.resnet, "resnext50_32x4d"), 25_028_904),
    "alexnet": Entry(alexnet.alexnet, 61_100_840),
    "vgg11": Entry(partial(vgg.vgg, "vgg11"), 132_863_336),
    "vgg13": Entry(partial(vgg.vgg, "vgg13"), 133_047_848),
    "vgg16": Entry(partial(vgg.vgg, "vgg16"), 138_357_544),
    "vgg19": Entry(partial(vgg.vgg, "vgg19"), 143_667_240),
    "vgg11_bn": Entry(partial(vgg.vgg, "vgg11_bn"), 132_868_840),
    "vgg13_bn": Entry(partial(vgg.vgg, "vgg13_bn"), 133_053_736),
    "vgg16_bn": Entry(partial(vgg.vgg, "vgg16_bn"), 138_365_992),
    "vgg19_bn": Entry(partial(vgg.vgg, "vgg19_bn"), 143_678_248),
    "squeezenet1_0": Entry(partial(squeezenet.squeezenet, "squeezenet1_0"), 1_248_424),
    "squeezenet1_1": Entry(partial(squeezenet.squeezenet, "squeezenet1_1"), 1_235_496),
    "densenet121": Entry(partial(densenet.densenet, "densenet121"), 7_978_856),
    "densenet169": Entry(partial(densenet.densenet, "densenet169"), 14_149_480),
    "densenet201": Entry(partial(densenet.densenet, "densenet201"), 20_013_928),
    "googlenet": Entry(googlenet.googlenet, 6_624_904),  # without its auxiliary heads
    "inception_v3": Entry(inception.inception_v3, 23_834_568),  # without its auxiliary head
    "shufflenet_v2_x0_5": Entry(partial(shufflenet.shufflenet_v2, "shufflenet_v2_x0_5"), 1_366_792),
    "shufflenet_v2_x1_0": Entry(partial(shufflenet.shufflenet_v2, "shufflenet_v2_x1_0"), 2_278_604),
    "resnet18-cifar": Entry(partial(resnet.resnet_cifar, "resnet18"), 11_173_962),
    "resnet34-cifar": Entry(partial(resnet.resnet_cifar, "resnet34"), 21_282_122),
    "convnext_tiny": Entry(partial(convnext.convnext, "convnext_tiny"), 28_589_128),
    "convnext_small": Entry(partial(convnext.convnext, "convnext_small"), 50_223_688),
    "convnext_base": Entry(partial(convnext.convnext, "convnext_base"), 88_591_464),
    "tiny-gpt": Entry(gpt.tiny_gpt, 808_320),
    "gpt2": Entry(gpt.gpt2, 124_439_808),
    "tiny-mamba": Entry(mamba.tiny_mamba, 474_880),
    "mobilenet_v1": Entry(mobilenet.mobilenet_v1, 4_231_976),
    "mobilenet_v2": Entry(mobilenet.mobilenet_v2, 3_504_872),
    "mobilenet_v3_large": Entry(partial(mobilenet.mobilenet_v3, "mobilenet_v3_large"), 5_483_032),
    "mobilenet_v3_small": Entry(partial(mobilenet.mobilenet_v3, "mobilenet_v3_small"), 2_542_856),
    "mobilenetv4_conv_small": Entry(partial(mobilenet.mobilenetv4, "mobilenetv4_conv_small"), 3_774_024),
    "mobilenetv4_conv_medium": Entry(partial(mobilenet.mobilenetv4, "mobilenetv4_conv_medium"), 9_715_512),
    "mnasnet1_0": Entry(mnasnet.mnasnet1_0, 4_383_312),
    "efficientnet_b0": Entry(partial(efficientnet.efficientnet, "efficientnet_b0"), 5_288_548),
    "efficientnet_b1": Entry(partial(efficientnet.efficientnet, "efficientnet_b1"), 7_794_184),
    "efficientnet_b2": Entry(partial(efficientnet.efficientnet, "efficientnet_b2"), 9_109_994),
    "efficientnet_b3": Entry(partial(efficientnet.efficientnet, "efficientnet_b3"), 12_233_232),
    "efficientnet_v2_s": Entry(efficientnet.efficientnet_v2_s, 21_458_488),
    "vit_tiny_patch16_224": Entry(partial(vit.vit, "vit_tiny_patch16_224"), 5_717_416),
    "vit_small_patch16_224": Entry(partial(vit.vit, "vit_small_patch16_224"), 22_050_664),
    "vit_base_patch16_224": Entry(partial(vit.vit, "vit_base_patch16_224"), 86_567_656),
    "deit_tiny_patch16_224": Entry(partial(vit.vit, "deit_tiny_patch16_224"), 5_717_416),
    "vit_tiny_patch4_32": Entry(partial(vit.vit, "vit_tiny_patch4_32"), 5_362_762),
    "swin_t": Entry(partial(swin.swin, "swin_t"), 28_288_354),
    "swin_s": Entry(partial(swin.swin, "swin_s"), 49_606_258),
    "swin_b": Entry(partial(swin.swin, "swin_b"), 87_768_224),
    "mobilevit_s": Entry(mobilevit.mobilevit_s, 5_578_632),
    "unet": Entry(unet.unet, 31_037_698),
}
