"""One file per family of layers: what each layer is. An import here is all that a kind needs to be known by its name.

`KINDS` is what netc trains, by the words of specs; `VOCABULARY` what a spec may name, with what others call it.
"""

from netc.netspec.layer import Layer
from netc.netspec.layers.activation import Activation as Activation
from netc.netspec.layers.activation import SoftCap as SoftCap
from netc.netspec.layers.adaptive_pool import AdaptiveAvgPool as AdaptiveAvgPool
from netc.netspec.layers.adaptive_pool import CeilMaxPool as CeilMaxPool
from netc.netspec.layers.aspp import AsppModule as AsppModule
from netc.netspec.layers.aspp import SpatialBroadcast as SpatialBroadcast
from netc.netspec.layers.attention import CrossAttend as CrossAttend
from netc.netspec.layers.attention import CrossAttention as CrossAttention
from netc.netspec.layers.attention import MultiHeadAttention as MultiHeadAttention
from netc.netspec.layers.attention import SelfAttention as SelfAttention
from netc.netspec.layers.channels import ChannelWindow as ChannelWindow
from netc.netspec.layers.channels import HalfProduct as HalfProduct
from netc.netspec.layers.combine import Chain as Chain
from netc.netspec.layers.combine import Concat as Concat
from netc.netspec.layers.combine import Gate as Gate
from netc.netspec.layers.combine import Repeat as Repeat
from netc.netspec.layers.combine import Residual as Residual
from netc.netspec.layers.conv import Conv2d as Conv2d
from netc.netspec.layers.conv import ConvBn as ConvBn
from netc.netspec.layers.conv1d import Conv1d as Conv1d
from netc.netspec.layers.conv_transpose import ConvTranspose2d as ConvTranspose2d
from netc.netspec.layers.convnext import ConvNextDownsample as ConvNextDownsample
from netc.netspec.layers.convnext import ConvNextStage as ConvNextStage
from netc.netspec.layers.convnext import ConvNextStem as ConvNextStem
from netc.netspec.layers.counted import COUNTED as COUNTED
from netc.netspec.layers.darknet import CspBlock as CspBlock
from netc.netspec.layers.darknet import DarknetBlock as DarknetBlock
from netc.netspec.layers.dense import Dense as Dense
from netc.netspec.layers.dense_block import DenseBlock as DenseBlock
from netc.netspec.layers.dense_block import TransitionLayer as TransitionLayer
from netc.netspec.layers.diffusion import TimeCondAdd as TimeCondAdd
from netc.netspec.layers.diffusion import TimeEmbed as TimeEmbed
from netc.netspec.layers.diffusion import TimeFeatures as TimeFeatures
from netc.netspec.layers.embedding import ClassEmbed as ClassEmbed
from netc.netspec.layers.embedding import LMHead as LMHead
from netc.netspec.layers.embedding import PositionalEncoding as PositionalEncoding
from netc.netspec.layers.embedding import SinusoidalPositions as SinusoidalPositions
from netc.netspec.layers.embedding import TiedHead as TiedHead
from netc.netspec.layers.embedding import TokenPositionEmbed as TokenPositionEmbed
from netc.netspec.layers.experts import MixtureOfExperts as MixtureOfExperts
from netc.netspec.layers.experts import TopKGates as TopKGates
from netc.netspec.layers.fire import FireModule as FireModule
from netc.netspec.layers.fpn import FpnModule as FpnModule
from netc.netspec.layers.gated import GatedMlp as GatedMlp
from netc.netspec.layers.inception import InceptionModule as InceptionModule
from netc.netspec.layers.latent import GaussianSample as GaussianSample
from netc.netspec.layers.mamba import MambaBlock as MambaBlock
from netc.netspec.layers.mamba import SelectiveScan as SelectiveScan
from netc.netspec.layers.mobile import FusedMbConv as FusedMbConv
from netc.netspec.layers.mobile import InvertedResidual as InvertedResidual
from netc.netspec.layers.mobile import MbConv as MbConv
from netc.netspec.layers.mobile import MbConvV3 as MbConvV3
from netc.netspec.layers.mobile import SeparableConv as SeparableConv
from netc.netspec.layers.mobile import Uib as Uib
from netc.netspec.layers.mobilevit import MobileVitBlock as MobileVitBlock
from netc.netspec.layers.modulation import ConditionedPatches as ConditionedPatches
from netc.netspec.layers.modulation import ConditionedTokens as ConditionedTokens
from netc.netspec.layers.modulation import DitBlocks as DitBlocks
from netc.netspec.layers.modulation import Modulated as Modulated
from netc.netspec.layers.modulation import ModulatedHead as ModulatedHead
from netc.netspec.layers.modulation import PatchHead as PatchHead
from netc.netspec.layers.norm import BatchNorm as BatchNorm
from netc.netspec.layers.norm import GroupNorm as GroupNorm
from netc.netspec.layers.norm import InstanceNorm as InstanceNorm
from netc.netspec.layers.norm import LayerNorm as LayerNorm
from netc.netspec.layers.norm import LayerScale as LayerScale
from netc.netspec.layers.norm import RMSNorm as RMSNorm
from netc.netspec.layers.pool import AvgPool as AvgPool
from netc.netspec.layers.pool import GlobalAvgPool as GlobalAvgPool
from netc.netspec.layers.pool import MaxPool as MaxPool
from netc.netspec.layers.resnet import BottleneckBlock as BottleneckBlock
from netc.netspec.layers.resnet import ResidualBlock as ResidualBlock
from netc.netspec.layers.shape import Flatten as Flatten
from netc.netspec.layers.shape import Identity as Identity
from netc.netspec.layers.shuffle import ChannelShuffle as ChannelShuffle
from netc.netspec.layers.shuffle import ShuffleBlock as ShuffleBlock
from netc.netspec.layers.shuffle import ShuffleV2Block as ShuffleV2Block
from netc.netspec.layers.split import Split as Split
from netc.netspec.layers.squeeze import SqueezeExcite as SqueezeExcite
from netc.netspec.layers.stochastic import Dropout as Dropout
from netc.netspec.layers.stochastic import DropPath as DropPath
from netc.netspec.layers.streams import DoubleStream as DoubleStream
from netc.netspec.layers.streams import SingleStream as SingleStream
from netc.netspec.layers.swin import PatchMerging as PatchMerging
from netc.netspec.layers.swin import SpaceToDepth as SpaceToDepth
from netc.netspec.layers.swin import SwinStage as SwinStage
from netc.netspec.layers.swin import WindowAttention as WindowAttention
from netc.netspec.layers.swin import WindowMerge as WindowMerge
from netc.netspec.layers.swin import WindowPartition as WindowPartition
from netc.netspec.layers.time_unet import ImageAttention as ImageAttention
from netc.netspec.layers.time_unet import TimeResBlock as TimeResBlock
from netc.netspec.layers.time_unet import TimeUnet as TimeUnet
from netc.netspec.layers.tokens import ChannelsToTokens as ChannelsToTokens
from netc.netspec.layers.tokens import LearnedPositions as LearnedPositions
from netc.netspec.layers.tokens import LearnedTokens as LearnedTokens
from netc.netspec.layers.tokens import OnTokens as OnTokens
from netc.netspec.layers.tokens import PreviousToken as PreviousToken
from netc.netspec.layers.tokens import SelectToken as SelectToken
from netc.netspec.layers.tokens import SpatialFlatten as SpatialFlatten
from netc.netspec.layers.tokens import SpatialUnflatten as SpatialUnflatten
from netc.netspec.layers.tokens import TakeTokens as TakeTokens
from netc.netspec.layers.transformer import PatchEmbed as PatchEmbed
from netc.netspec.layers.transformer import TransformerDecoder as TransformerDecoder
from netc.netspec.layers.transformer import TransformerEncoder as TransformerEncoder
from netc.netspec.layers.unet import Unet as Unet
from netc.netspec.layers.unet import UnetDown as UnetDown
from netc.netspec.layers.unet import UnetUp as UnetUp
from netc.netspec.layers.upsample import BilinearUpsample as BilinearUpsample
from netc.netspec.layers.upsample import DepthToSpace as DepthToSpace
from netc.netspec.layers.upsample import NearestUpsample as NearestUpsample
from netc.netspec.layers.wavenet import WaveNetBlock as WaveNetBlock
from netc.netspec.vocabulary import Vocabulary

KINDS: dict[str, type[Layer]] = {}
VOCABULARY: Vocabulary[type[Layer]] = Vocabulary("kind", "the kind of a layer")


def add_kind(cls: type[Layer]) -> type[Layer]:
    """Let specs name a class of layers by its `kind`, and by `aliases` if it has any; a decorator, too."""
    VOCABULARY.add(cls.kind, cls, *(cls.aliases if "aliases" in vars(cls) else ()))
    KINDS[cls.kind] = cls
    return cls


for _imported in list(vars().values()):
    if isinstance(_imported, type) and issubclass(_imported, Layer) and "kind" in vars(_imported):
        add_kind(_imported)
for _counted in COUNTED.values():
    VOCABULARY.add(_counted.kind, _counted)
