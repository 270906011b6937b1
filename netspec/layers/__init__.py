"""One file per family of layers: what each layer is. `KINDS` is what netc trains, `VOCABULARY` what a spec may name."""

from netc.netspec.layer import Layer
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.adaptive_pool import AdaptiveAvgPool, CeilMaxPool
from netc.netspec.layers.aspp import AsppModule, SpatialBroadcast
from netc.netspec.layers.attention import CrossAttend, CrossAttention, MultiHeadAttention, SelfAttention
from netc.netspec.layers.channels import ChannelWindow, HalfProduct
from netc.netspec.layers.combine import Chain, Concat, Gate, Repeat, Residual
from netc.netspec.layers.conv import Conv2d, ConvBn
from netc.netspec.layers.conv1d import Conv1d
from netc.netspec.layers.conv_transpose import ConvTranspose2d
from netc.netspec.layers.convnext import ConvNextDownsample, ConvNextStage, ConvNextStem
from netc.netspec.layers.counted import COUNTED
from netc.netspec.layers.darknet import CspBlock, DarknetBlock
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.dense_block import DenseBlock, TransitionLayer
from netc.netspec.layers.diffusion import TimeCondAdd, TimeFeatures
from netc.netspec.layers.embedding import LMHead, PositionalEncoding, SinusoidalPositions, TiedHead, TokenPositionEmbed
from netc.netspec.layers.fire import FireModule
from netc.netspec.layers.fpn import FpnModule
from netc.netspec.layers.inception import InceptionModule
from netc.netspec.layers.mamba import MambaBlock, SelectiveScan
from netc.netspec.layers.mobile import FusedMbConv, InvertedResidual, MbConv, MbConvV3, SeparableConv, Uib
from netc.netspec.layers.mobilevit import MobileVitBlock
from netc.netspec.layers.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale, RMSNorm
from netc.netspec.layers.pool import AvgPool, GlobalAvgPool, MaxPool
from netc.netspec.layers.resnet import BottleneckBlock, ResidualBlock
from netc.netspec.layers.shape import Flatten, Identity
from netc.netspec.layers.shuffle import ChannelShuffle, ShuffleBlock, ShuffleV2Block
from netc.netspec.layers.split import Split
from netc.netspec.layers.squeeze import SqueezeExcite
from netc.netspec.layers.stochastic import Dropout, DropPath
from netc.netspec.layers.swin import (
    PatchMerging,
    SpaceToDepth,
    SwinStage,
    WindowAttention,
    WindowMerge,
    WindowPartition,
)
from netc.netspec.layers.tokens import (
    ChannelsToTokens,
    LearnedPositions,
    LearnedTokens,
    OnTokens,
    SelectToken,
    SpatialFlatten,
    SpatialUnflatten,
    TakeTokens,
)
from netc.netspec.layers.transformer import PatchEmbed, TransformerDecoder, TransformerEncoder
from netc.netspec.layers.unet import Unet, UnetDown, UnetUp
from netc.netspec.layers.upsample import BilinearUpsample, NearestUpsample
from netc.netspec.layers.wavenet import WaveNetBlock

KINDS: dict[str, type[Layer]] = {
    cls.kind: cls
    for cls in (
        Dense, Conv2d, ConvBn,
        BatchNorm, LayerNorm, RMSNorm, GroupNorm, InstanceNorm, LayerScale,
        MaxPool, AvgPool, GlobalAvgPool,
        Flatten, Identity, Activation, Dropout, DropPath,
        ResidualBlock, BottleneckBlock,
        Chain, Residual, Gate, Concat, Repeat,
        ConvTranspose2d, AdaptiveAvgPool, CeilMaxPool, ChannelShuffle, SpatialBroadcast, Split,
        FireModule, InceptionModule, DenseBlock, TransitionLayer, ShuffleBlock, ShuffleV2Block, DarknetBlock, CspBlock,
        AsppModule,
        ConvNextStem, ConvNextStage, ConvNextDownsample,
        SqueezeExcite, SeparableConv, InvertedResidual, MbConv, MbConvV3, FusedMbConv, Uib,
        TokenPositionEmbed, LMHead, TiedHead, SinusoidalPositions, PositionalEncoding,
        SpatialFlatten, SpatialUnflatten, LearnedTokens, LearnedPositions, TakeTokens, SelectToken,
        ChannelsToTokens, OnTokens,
        SelfAttention, CrossAttend, MultiHeadAttention, CrossAttention,
        TransformerEncoder, TransformerDecoder, PatchEmbed,
        ChannelWindow, HalfProduct,
        Conv1d,
        SelectiveScan, MambaBlock,
        WaveNetBlock,
        WindowPartition, WindowMerge, WindowAttention, SpaceToDepth, SwinStage, PatchMerging,
        MobileVitBlock,
        NearestUpsample, BilinearUpsample, UnetDown, UnetUp, Unet, FpnModule, TimeFeatures, TimeCondAdd,
    )
}  # fmt: skip

VOCABULARY: dict[str, type[Layer]] = {**KINDS, **COUNTED}

__all__ = [
    "COUNTED",
    "KINDS",
    "VOCABULARY",
    "Activation",
    "AdaptiveAvgPool",
    "AsppModule",
    "AvgPool",
    "BatchNorm",
    "BilinearUpsample",
    "BottleneckBlock",
    "CeilMaxPool",
    "Chain",
    "ChannelShuffle",
    "ChannelWindow",
    "ChannelsToTokens",
    "Concat",
    "Conv1d",
    "Conv2d",
    "ConvBn",
    "ConvNextDownsample",
    "ConvNextStage",
    "ConvNextStem",
    "ConvTranspose2d",
    "CrossAttend",
    "CrossAttention",
    "CspBlock",
    "DarknetBlock",
    "Dense",
    "DenseBlock",
    "DropPath",
    "Dropout",
    "FireModule",
    "Flatten",
    "FpnModule",
    "FusedMbConv",
    "Gate",
    "GlobalAvgPool",
    "GroupNorm",
    "HalfProduct",
    "Identity",
    "InceptionModule",
    "InstanceNorm",
    "InvertedResidual",
    "LMHead",
    "LayerNorm",
    "LayerScale",
    "LearnedPositions",
    "LearnedTokens",
    "MambaBlock",
    "MaxPool",
    "MbConv",
    "MbConvV3",
    "MobileVitBlock",
    "MultiHeadAttention",
    "NearestUpsample",
    "OnTokens",
    "PatchEmbed",
    "PatchMerging",
    "PositionalEncoding",
    "RMSNorm",
    "Repeat",
    "Residual",
    "ResidualBlock",
    "SelectToken",
    "SelectiveScan",
    "SelfAttention",
    "SeparableConv",
    "ShuffleBlock",
    "ShuffleV2Block",
    "SinusoidalPositions",
    "SpaceToDepth",
    "SpatialBroadcast",
    "SpatialFlatten",
    "SpatialUnflatten",
    "Split",
    "SqueezeExcite",
    "SwinStage",
    "TakeTokens",
    "TiedHead",
    "TimeCondAdd",
    "TimeFeatures",
    "TokenPositionEmbed",
    "TransformerDecoder",
    "TransformerEncoder",
    "TransitionLayer",
    "Uib",
    "Unet",
    "UnetDown",
    "UnetUp",
    "WaveNetBlock",
    "WindowAttention",
    "WindowMerge",
    "WindowPartition",
]
