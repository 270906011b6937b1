"""Residual networks (He et al. 2016) as torchvision defines them, wide and with groups too, and their CIFAR form."""

from dataclasses import dataclass

from netc.netspec.layer import Layer
from netc.netspec.layers import BottleneckBlock, ConvBn, Dense, GlobalAvgPool, MaxPool, ResidualBlock
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.resnet; He et al. 2016, table 1"
STRIDES = (1, 2, 2, 2)


@dataclass(frozen=True)
class Sizes:
    """Basic blocks or bottlenecks, how many in each stage; the width of stage 1 (of a bottleneck, inside), groups."""

    bottleneck: bool
    depths: tuple[int, int, int, int]
    width: int = 64
    groups: int = 1
    source: str = SOURCE


SIZES: dict[str, Sizes] = {
    "resnet18": Sizes(False, (2, 2, 2, 2)),
    "resnet34": Sizes(False, (3, 4, 6, 3)),
    "resnet50": Sizes(True, (3, 4, 6, 3)),
    "resnet101": Sizes(True, (3, 4, 23, 3)),
    "resnet152": Sizes(True, (3, 8, 36, 3)),
    "wide_resnet50_2": Sizes(True, (3, 4, 6, 3), 128, source="torchvision.models.resnet; Zagoruyko and Komodakis 2016"),
    "resnext50_32x4d": Sizes(True, (3, 4, 6, 3), 128, 32, "torchvision.models.resnet; Xie et al. 2017, table 1"),
}


def _stages(s: Sizes) -> tuple[Layer, ...]:
    stages: list[Layer] = []
    for index, (blocks, stride) in enumerate(zip(s.depths, STRIDES, strict=True)):
        name, width = f"stage{index + 1}", s.width << index
        stages.append(
            BottleneckBlock(256 << index, blocks, stride, None if s.width == 64 else width, s.groups, name=name)
            if s.bottleneck
            else ResidualBlock(width, blocks, stride, name=name)
        )
    return tuple(stages)


def resnet(name: str) -> NetSpec:
    """The ImageNet form: 7x7 stride-2 stem, 3x3 stride-2 max-pool, four stages."""
    stem = (ConvBn(64, 7, 2, "same-symmetric", name="stem"), MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"))
    s = SIZES[name]
    return NetSpec(name, (224, 224, 3), (*stem, *_stages(s), GlobalAvgPool(), Dense(1000, name="head")), s.source)


def resnet_cifar(name: str) -> NetSpec:
    """The CIFAR form of the same stages: 3x3 stride-1 stem, no max-pool, 32x32 input, 10 classes."""
    stem = (ConvBn(64, 3, 1, "same-symmetric", name="stem"),)
    layers = (*stem, *_stages(SIZES[name]), GlobalAvgPool(), Dense(10, name="head"))
    return NetSpec(f"{name}-cifar", (32, 32, 3), layers, f"{SOURCE}, with a 3x3 stem")
