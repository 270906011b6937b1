"""What the constructors of a Lean specification mean: one row each, from its arguments to netc's layers.

`TABLE` holds the original's constructors. Where the original counts and computes two different things, a row follows
the published network, and its `note` says so: `netc show FILE.lean` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    AsppModule,
    BilinearUpsample,
    BottleneckBlock,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    ConvNextDownsample,
    ConvNextStage,
    ConvNextStem,
    CspBlock,
    DarknetBlock,
    Dense,
    DenseBlock,
    FireModule,
    Flatten,
    FusedMbConv,
    GlobalAvgPool,
    InceptionModule,
    InvertedResidual,
    LayerNorm,
    LMHead,
    MambaBlock,
    MaxPool,
    MbConv,
    MbConvV3,
    MobileVitBlock,
    PatchEmbed,
    PatchMerging,
    PositionalEncoding,
    ResidualBlock,
    SelectToken,
    SeparableConv,
    ShuffleBlock,
    ShuffleV2Block,
    SpatialFlatten,
    SpatialUnflatten,
    SwinStage,
    TokenPositionEmbed,
    TransformerDecoder,
    TransformerEncoder,
    TransitionLayer,
    Uib,
    WaveNetBlock,
)
from netc.netspec.layers.counted import EvoformerBlock, FpnDetect, FpnTaps, NerfMlp, StructureModule, TimeBias
from netc.netspec.layers.embedding import MOST_LEVELS
from netc.netspec.layers.window import pair
from netc.netspec.lean.arguments import Arguments, Parameter, signature
from netc.netspec.lean.stated import DecoderBlocks, Stated
from netc.netspec.types import TensorType

FLASH_TILE = 64  # keys of a tile where flashAttn asks for tiles; the result is the same for any
SQUEEZE = 0.25  # of the block's input: Tan and Le 2019
ENCODER_EPSILON = 1e-6  # of ViT's norms
SWIN_EPSILON = 1e-5

# what takes a whole sequence: before one of these an encoder's tokens all go on
TAKES_TOKENS = frozenset({
    "transformerEncoder", "transformerDecoder", "detrHeads", "mambaBlock", "waveNetBlock", "lmHead", "spatialUnflatten",
    "selectToken", "takeTokens", "onTokens", "multiHeadAttention", "selfAttention", "crossAttention", "crossAttend",
    "learnedTokens", "learnedPositions", "windowMerge",
})  # fmt: skip

InputKind = Literal["image", "tokens", "vector", "ids"]


@dataclass(frozen=True)
class Here:
    """Where a constructor stands: what arrives (None: not known), what follows, and the net's own conventions.

    `goes_on` says that what follows takes a whole sequence, or the image that the tokens are of.
    """

    x: TensorType | None
    following: str = ""
    goes_on: bool = False
    activation: str = "relu"
    strided: str = "same-symmetric"

    def padding(self, word: str, stride: int) -> Any:
        """A strided `same` is spelled as the net says; at stride 1 both spellings are one for odd kernels."""
        return self.strided if word == "same" and stride > 1 else word


Make = Callable[[Arguments, Here], tuple[Layer, ...]]


@dataclass(frozen=True)
class Constructor:
    """A constructor: its arguments, what it makes, the argument that states the channels that arrive.

    The first layer made takes a name and netc's further options. `form` is what a net that begins with it takes.
    `note` is printed where the row is used; with `noted`, only where that argument is true.
    """

    head: str
    parameters: tuple[Parameter, ...]
    make: Make
    kind: str
    reads: str = ""
    form: InputKind = "image"
    note: str = ""
    noted: str = ""


def _row(text: str, kind: str, make: Make, **options: Any) -> Constructor:
    head, _, arguments = text.partition(" ")
    parameters = signature(arguments)
    first = parameters[0].name if parameters else ""
    options.setdefault("reads", first if first in ("ic", "dim", "inDim", "fanIn", "channels", "dModel") else "")
    return Constructor(head, parameters, make, kind, **options)


def _max_pool(a: Arguments, here: Here) -> tuple[Layer, ...]:
    size, stride = pair(a["size"]), pair(a["stride"])
    if size == stride:
        return (MaxPool(a["size"]),)
    sides = tuple(((k - 1) // 2,) * 2 if k > s else (0, 0) for k, s in zip(size, stride, strict=True))
    return (MaxPool(a["size"], a["stride"], sides if any(map(any, sides)) else "valid"),)  # type: ignore[arg-type]


def _patch_embed(a: Arguments, here: Here) -> tuple[Layer, ...]:
    dim, patch = a["dim"], a["patchSize"]
    if here.following == "swinStage":
        return (Conv2d(dim, patch, patch, "valid"), LayerNorm(SWIN_EPSILON))
    return (PatchEmbed(dim, patch),)


def _transformer_encoder(a: Arguments, here: Here) -> tuple[Layer, ...]:
    blocks = TransformerEncoder(
        a["heads"], a["mlpDim"], a["nBlocks"],
        causal=a["causalMask"], rope=a["rope"], tile=FLASH_TILE if a["flashAttn"] else 0, activation="gelu-tanh",
    )  # fmt: skip
    kept = a["keepSequence"] or here.goes_on
    return (blocks, *(() if kept else (SelectToken(0),)), LayerNorm(ENCODER_EPSILON))


def _dense(a: Arguments, here: Here) -> tuple[Layer, ...]:
    if here.x is None or here.x.dtype != "i32":
        return (Dense(a["fanOut"], activation=a["act"]),)
    # the original writes ids one-hot, so that this matrix has a row for each
    embed = TokenPositionEmbed(a["fanIn"], a["fanOut"], positions=False, bias=True)
    return (embed, *(() if a["act"] == "identity" else (Activation(a["act"]),)))


def _transformer_decoder(a: Arguments, here: Here) -> tuple[Layer, ...]:
    sizes = (a["heads"], a["mlpDim"], a["nBlocks"])
    if a["nQueries"] == 0:
        return (DecoderBlocks(*sizes),)
    return (TransformerDecoder(*sizes, a["nQueries"], norm_first=False),)


def _positional_encoding(a: Arguments, here: Here) -> tuple[Layer, ...]:
    levels = a["numFrequencies"]
    if levels > MOST_LEVELS and here.x is not None:
        return (Stated((*here.x.shape[:-1], 2 * levels * here.x.shape[-1])),)
    return (PositionalEncoding(levels),)


def _detr_heads(a: Arguments, here: Here) -> tuple[Layer, ...]:
    dim = a["dim"]
    boxes = Chain((
        Dense(dim, activation="relu", name="hidden1"),
        Dense(dim, activation="relu", name="hidden2"),
        Dense(4, activation="sigmoid", name="box"),
    ), name="boxes")  # fmt: skip
    return (Concat((Dense(a["nClasses"] + 1, name="classes"), boxes)),)


def _unet_down(a: Arguments, here: Here) -> tuple[Layer, ...]:
    return (*unet_convolutions(a["oc"]), MaxPool(2))


def unet_convolutions(features: int) -> tuple[Layer, ...]:
    """The two 3x3 convolutions of a U-Net's stage."""
    return ConvBn(features), ConvBn(features)


def mlp_ratio(dim: int, mlp: int) -> float:
    """The ratio that gives `mlp` features again when `dim` is multiplied by it and rounded down."""
    near = mlp / dim
    return near if int(dim * near) == mlp else (mlp + 0.5) / dim


ROWS = (
    _row("conv2d ic oc kSize|k pad:padding act:activation", "conv2d",
         lambda a, h: (Conv2d(a["oc"], a["kSize"], padding=a["pad"], activation=a["act"]),)),
    _row("convBn ic oc kSize|k stride pad:padding", "convBn",
         lambda a, h: (ConvBn(a["oc"], a["kSize"], a["stride"], h.padding(a["pad"], a["stride"]),
                              activation=h.activation),)),
    _row("maxPool size:sizes stride:sizes", "maxPool", _max_pool),
    _row("globalAvgPool", "globalAvgPool", lambda a, h: (GlobalAvgPool(),)),
    _row("flatten", "flatten", lambda a, h: (Flatten(),)),
    _row("dense fanIn|in fanOut|out act:activation", "dense", _dense, form="vector"),
    _row("layerNorm dim", "layerNorm", lambda a, h: (LayerNorm(ENCODER_EPSILON),)),
    _row("residualBlock ic oc nBlocks|n firstStride", "residualBlock",
         lambda a, h: (ResidualBlock(a["oc"], a["nBlocks"], a["firstStride"]),)),
    _row("bottleneckBlock ic oc nBlocks|n firstStride", "bottleneckBlock",
         lambda a, h: (BottleneckBlock(a["oc"], a["nBlocks"], a["firstStride"]),)),
    _row("separableConv ic oc stride", "separableConv", lambda a, h: (SeparableConv(a["oc"], a["stride"]),)),
    _row("invertedResidual ic oc expand stride nBlocks|n", "invertedResidual",
         lambda a, h: (InvertedResidual(a["oc"], float(a["expand"]), stride=a["stride"], blocks=a["nBlocks"]),)),
    _row("mbConv ic oc expand kSize|k stride nBlocks|n useSE:bool act:activation=swish", "mbConv",
         lambda a, h: (MbConv(a["oc"], float(a["expand"]), a["kSize"], SQUEEZE if a["useSE"] else 0.0,
                              stride=a["stride"], blocks=a["nBlocks"], activation=a["act"]),),
         noted="useSE", note="mbConv: squeeze-excitation is a quarter of the block's input wide (Tan and Le 2019)"),
    _row("mbConvV3 ic oc expandCh kSize|k stride useSE:bool act|useHSwish:activation=relu", "mbConvV3",
         lambda a, h: (MbConvV3(a["oc"], a["expandCh"], a["kSize"], a["useSE"], stride=a["stride"],
                                activation=a["act"]),),
         noted="useSE", note="mbConvV3: squeeze-excitation is expandCh / 4 wide, rounded to a multiple of 8 (Howard et "
                             "al. 2019)"),
    _row("fusedMbConv ic oc expand kSize|k stride nBlocks|n useSE:bool act:activation=swish", "fusedMbConv",
         lambda a, h: (FusedMbConv(a["oc"], float(a["expand"]), a["kSize"], SQUEEZE if a["useSE"] else 0.0,
                                   stride=a["stride"], blocks=a["nBlocks"], activation=a["act"]),),
         noted="useSE", note="fusedMbConv: squeeze-excitation is a quarter of its input wide (Tan and Le 2021)"),
    _row("uib ic oc expand stride preDWk:nat postDWk:nat", "uib",
         lambda a, h: (Uib(a["oc"], float(a["expand"]), a["preDWk"], a["postDWk"], stride=a["stride"]),)),
    _row("fireModule ic squeeze expand1x1|e1x1 expand3x3|e3x3", "fireModule",
         lambda a, h: (FireModule(a["squeeze"], a["expand1x1"], a["expand3x3"]),),
         note="fireModule: convolutions with a bias and no batch norm (Iandola et al. 2016)"),
    _row("patchEmbed ic dim patchSize|p nPatches", "patchEmbed", _patch_embed),
    _row("transformerEncoder dim heads mlpDim|mlp nBlocks|n causalMask:bool=false keepSequence:bool=false "
         "flashAttn:bool=false rope:bool=false", "transformerEncoder, selectToken, layerNorm",
         _transformer_encoder, form="tokens"),
    _row("convNextStage channels|c nBlocks|n norm:norm=layer act:activation=gelu-tanh", "convNextStage",
         lambda a, h: (ConvNextStage(a["nBlocks"], a["norm"], a["act"]),)),
    _row("convNextDownsample ic oc norm:norm=layer", "convNextDownsample",
         lambda a, h: (ConvNextDownsample(a["oc"], a["norm"]),)),
    _row("convNextStem ic oc patch", "convNextStem", lambda a, h: (ConvNextStem(a["oc"], a["patch"]),)),
    _row("unetDown ic oc", "convBn, convBn, maxPool", _unet_down),
    _row("unetUp ic oc", "concat, bilinearUpsample, convBn, convBn", lambda a, h: unet_convolutions(a["oc"]), reads="",
         note='unetUp: bilinear up-sampling, as the original computes it; (rise := "transpose") is the up-convolution '
              "of Ronneberger et al. 2015"),
    _row("bilinearUpsample scale:sizes", "bilinearUpsample", lambda a, h: (BilinearUpsample(a["scale"]),)),
    _row("tokenPositionEmbed vocabSize|V seqLen|T dModel|D idsInput:bool=false gather:bool=false posEmb:bool=true",
         "tokenPositionEmbed",
         lambda a, h: (TokenPositionEmbed(a["vocabSize"], a["dModel"], a["posEmb"]),), form="ids",
         note="tokenPositionEmbed: the input is token ids and the table is gathered, whatever idsInput and gather say"),
    _row("lmHead dModel|D vocabSize|V seqLen|T", "lmHead", lambda a, h: (LMHead(a["vocabSize"], bias=True),),
         form="tokens"),
    _row("timeCondAdd channels|c nFreq", "timeBias", lambda a, h: (TimeBias(a["nFreq"]),)),
    _row("spatialFlatten", "spatialFlatten", lambda a, h: (SpatialFlatten(),)),
    _row("spatialUnflatten channels|C height|H width|W", "spatialUnflatten",
         lambda a, h: (SpatialUnflatten(a["height"], a["width"]),), form="tokens"),
    _row("fpnDetect oc c3 c4 c5 g5 A tower:nat", "fpnDetect",
         lambda a, h: (FpnDetect((a["c3"], a["c4"], a["c5"]), a["oc"], a["g5"], a["A"], a["tower"]),), reads="c5"),
    _row("mambaBlock dim stateSize|state expand nBlocks|n", "mambaBlock",
         lambda a, h: (MambaBlock(a["stateSize"], a["expand"], a["nBlocks"]),), form="tokens",
         note="mambaBlock: parameters as Gu and Dao 2023 have them, not the original's estimate"),
    _row("swinStage dim heads mlpDim|mlp windowSize|win nBlocks|n", "swinStage",
         lambda a, h: (SwinStage(a["heads"], a["nBlocks"], a["windowSize"], mlp_ratio(a["dim"], a["mlpDim"])),)),
    _row("patchMerging inDim|in outDim|out", "patchMerging", lambda a, h: (PatchMerging(a["outDim"]),),
         note="patchMerging: its dense layer has no bias (Liu et al. 2021)"),
    _row("transformerDecoder dim heads mlpDim|mlp nBlocks|n nQueries:nat", "transformerDecoder", _transformer_decoder,
         form="tokens", note="transformerDecoder: each norm comes after its sum (Carion et al. 2020)"),
    _row("detrHeads dim nClasses|nC", "concat, dense", _detr_heads, form="tokens"),
    _row("shuffleBlock ic oc groups nUnits|n", "shuffleBlock",
         lambda a, h: (ShuffleBlock(a["oc"], a["groups"], a["nUnits"]),),
         note="shuffleBlock: the first unit joins its shortcut, so that its body gives oc - ic channels (Zhang et al. "
              "2018)"),
    _row("shuffleV2Block ic oc nUnits|n", "shuffleV2Block", lambda a, h: (ShuffleV2Block(a["oc"], a["nUnits"]),)),
    _row("denseBlock ic growthRate|growth nLayers|n", "denseBlock",
         lambda a, h: (DenseBlock(a["growthRate"], a["nLayers"]),)),
    _row("transitionLayer ic oc", "transitionLayer", lambda a, h: (TransitionLayer(a["oc"]),)),
    _row("inceptionModule ic b1out|b1 b2reduce|b2r b2out|b2 b3reduce|b3r b3out|b3 b4out|b4", "inceptionModule",
         lambda a, h: (InceptionModule(a["b1out"], a["b2reduce"], a["b2out"], a["b3reduce"], a["b3out"], a["b4out"]),)),
    _row("asppModule ic oc", "asppModule", lambda a, h: (AsppModule(a["oc"], (6, 12, 18)),)),
    _row("fpnModule c2 c3 c4 c5 target", "fpnTaps",
         lambda a, h: (FpnTaps((a["c2"], a["c3"], a["c4"], a["c5"]), a["target"]),), reads="c5"),
    _row("mobileVitBlock ic dim heads mlpDim|mlp nTxBlocks|n", "mobileVitBlock",
         lambda a, h: (MobileVitBlock(a["dim"], a["heads"], a["mlpDim"], a["nTxBlocks"]),),
         note="mobileVitBlock: the first 1x1 convolution has no norm (Mehta and Rastegari 2022; timm)"),
    _row("evoformerBlock msaChannels|cm pairChannels|cz nBlocks|n", "evoformerBlock",
         lambda a, h: (EvoformerBlock(a["msaChannels"], a["pairChannels"], a["nBlocks"]),), reads="msaChannels",
         note="evoformerBlock: parameters as Jumper et al. 2021 have them, not the original's estimate"),
    _row("structureModule singleChannels|cs pairChannels|cz nBlocks|n", "structureModule",
         lambda a, h: (StructureModule(a["singleChannels"], a["pairChannels"], a["nBlocks"]),),
         note="structureModule: parameters as Jumper et al. 2021 have them, not the original's estimate"),
    _row("waveNetBlock residualCh|res skipCh|skip nLayers|n", "waveNetBlock",
         lambda a, h: (WaveNetBlock(a["residualCh"], a["skipCh"], a["nLayers"]),), reads="residualCh", form="tokens",
         note="waveNetBlock: the last layer has no residual projection, which nothing would read"),
    _row("positionalEncoding inputDim|in numFrequencies|L", "positionalEncoding", _positional_encoding,
         reads="inputDim"),
    _row("nerfMLP encodedPosDim|eP encodedDirDim|eD hiddenDim|h", "nerfMLP",
         lambda a, h: (NerfMlp(a["encodedPosDim"], a["encodedDirDim"], a["hiddenDim"]),), reads="encodedPosDim"),
    _row("darknetBlock channels|c nBlocks|n", "darknetBlock", lambda a, h: (DarknetBlock(a["nBlocks"]),)),
    _row("cspBlock ic oc nBlocks|n", "cspBlock", lambda a, h: (CspBlock(a["oc"], a["nBlocks"]),),
         note="cspBlock: a 1x1 convolution before the halves, one behind the residuals, one at the end (YOLOv4)"),
)  # fmt: skip

TABLE: dict[str, Constructor] = {row.head: row for row in ROWS}

ANY_RANK = frozenset({
    "globalAvgPool", "flatten", "layerNorm", "timeCondAdd", "spatialFlatten", "positionalEncoding", "nerfMLP",
    "evoformerBlock", "structureModule",
})  # fmt: skip
# what takes an image and nothing else
TAKES_IMAGE = frozenset(row.head for row in ROWS if row.form == "image") - ANY_RANK
