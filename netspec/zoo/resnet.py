"""Residual networks (He et al. 2016) as torchvision defines them, and their CIFAR form."""

from netc.netspec.layer import Layer
from netc.netspec.layers import BottleneckBlock, ConvBn, Dense, GlobalAvgPool, MaxPool, ResidualBlock
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.resnet; He et al. 2016, table 1"
STRIDES = (1, 2, 2, 2)

# name -> basic blocks or bottlenecks, blocks in each stage
DEPTHS: dict[str, tuple[bool, tuple[int, int, int, int]]] = {
    "resnet18": (False, (2, 2, 2, 2)),
    "resnet34": (False, (3, 4, 6, 3)),
    "resnet50": (True, (3, 4, 6, 3)),
    "resnet101": (True, (3, 4, 23, 3)),
    "resnet152": (True, (3, 8, 36, 3)),
}


def _stages(name: str) -> tuple[Layer, ...]:
    bottleneck, depths = DEPTHS[name]
    stages: list[Layer] = []
    for index, (blocks, stride) in enumerate(zip(depths, STRIDES, strict=True)):
        width = 64 << index
        stages.append(
            BottleneckBlock(4 * width, blocks, stride, name=f"stage{index + 1}")
            if bottleneck
            else ResidualBlock(width, blocks, stride, name=f"stage{index + 1}")
        )
    return tuple(stages)


def resnet(name: str) -> NetSpec:
    """The ImageNet form: 7x7 stride-2 stem, 3x3 stride-2 max-pool, four stages."""
    stem = (ConvBn(64, 7, 2, "same-symmetric", name="stem"), MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"))
    return NetSpec(name, (224, 224, 3), (*stem, *_stages(name), GlobalAvgPool(), Dense(1000, name="head")), SOURCE)


def resnet_cifar(name: str) -> NetSpec:
    """The CIFAR form of the same stages: 3x3 stride-1 stem, no max-pool, 32x32 input, 10 classes."""
    stem = (ConvBn(64, 3, 1, "same-symmetric", name="stem"),)
    layers = (*stem, *_stages(name), GlobalAvgPool(), Dense(10, name="head"))
    return NetSpec(f"{name}-cifar", (32, 32, 3), layers, f"{SOURCE}, with a 3x3 stem")
