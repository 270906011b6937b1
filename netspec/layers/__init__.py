"""One file per family of layers: what each layer is. `KINDS` is the vocabulary."""

from netc.netspec.layer import Layer
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain, Concat, Gate, Repeat, Residual
from netc.netspec.layers.conv import Conv2d, ConvBn
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.norm import BatchNorm
from netc.netspec.layers.pool import AvgPool, GlobalAvgPool, MaxPool
from netc.netspec.layers.resnet import BottleneckBlock, ResidualBlock
from netc.netspec.layers.shape import Flatten, Identity

KINDS: dict[str, type[Layer]] = {
    cls.kind: cls
    for cls in (
        Dense, Conv2d, ConvBn, BatchNorm, MaxPool, AvgPool, GlobalAvgPool, Flatten, Identity, Activation,
        ResidualBlock, BottleneckBlock, Chain, Residual, Gate, Concat, Repeat,
    )
}  # fmt: skip

__all__ = [
    "KINDS",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "BottleneckBlock",
    "Chain",
    "Concat",
    "Conv2d",
    "ConvBn",
    "Dense",
    "Flatten",
    "Gate",
    "GlobalAvgPool",
    "Identity",
    "MaxPool",
    "Repeat",
    "Residual",
    "ResidualBlock",
]
