"""One file per family of layers: what each layer is. `KINDS` is the vocabulary."""

from netc.netspec.layer import Layer
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.adaptive_pool import AdaptiveAvgPool, CeilMaxPool
from netc.netspec.layers.aspp import AsppModule, SpatialBroadcast
from netc.netspec.layers.combine import Chain, Concat, Gate, Repeat, Residual
from netc.netspec.layers.conv import Conv2d, ConvBn
from netc.netspec.layers.conv_transpose import ConvTranspose2d
from netc.netspec.layers.darknet import CspBlock, DarknetBlock
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.dense_block import DenseBlock, TransitionLayer
from netc.netspec.layers.fire import FireModule
from netc.netspec.layers.inception import InceptionModule
from netc.netspec.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale, RmsNorm
from netc.netspec.layers.pool import AvgPool, GlobalAvgPool, MaxPool
from netc.netspec.layers.resnet import BottleneckBlock, ResidualBlock
from netc.netspec.layers.shape import Flatten, Identity
from netc.netspec.layers.shuffle import ChannelShuffle, ShuffleBlock, ShuffleV2Block
from netc.netspec.layers.split import Split
from netc.netspec.layers.stochastic import Dropout, DropPath

KINDS: dict[str, type[Layer]] = {
    cls.kind: cls
    for cls in (
        Dense, Conv2d, ConvBn,
        BatchNorm, LayerNorm, RmsNorm, GroupNorm, InstanceNorm, LayerScale,
        MaxPool, AvgPool, GlobalAvgPool,
        Flatten, Identity, Activation, Dropout, DropPath,
        ResidualBlock, BottleneckBlock,
        Chain, Residual, Gate, Concat, Repeat,
        ConvTranspose2d, AdaptiveAvgPool, CeilMaxPool, ChannelShuffle, SpatialBroadcast, Split,
        FireModule, InceptionModule, DenseBlock, TransitionLayer, ShuffleBlock, ShuffleV2Block, DarknetBlock, CspBlock,
        AsppModule,
    )
}  # fmt: skip

__all__ = [
    "KINDS",
    "Activation",
    "AdaptiveAvgPool",
    "AsppModule",
    "AvgPool",
    "BatchNorm",
    "BottleneckBlock",
    "CeilMaxPool",
    "Chain",
    "ChannelShuffle",
    "Concat",
    "Conv2d",
    "ConvBn",
    "ConvTranspose2d",
    "CspBlock",
    "DarknetBlock",
    "Dense",
    "DenseBlock",
    "DropPath",
    "Dropout",
    "FireModule",
    "Flatten",
    "Gate",
    "GlobalAvgPool",
    "GroupNorm",
    "Identity",
    "InceptionModule",
    "InstanceNorm",
    "LayerNorm",
    "LayerScale",
    "MaxPool",
    "Repeat",
    "Residual",
    "ResidualBlock",
    "RmsNorm",
    "ShuffleBlock",
    "ShuffleV2Block",
    "SpatialBroadcast",
    "Split",
    "TransitionLayer",
]
