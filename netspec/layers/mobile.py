"""The blocks of mobile networks: depthwise between pointwise convolutions, as expressions in combinators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_copies, want_positive, want_rank, want_ratio
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv import ConvBn
from netc.netspec.layers.norm import BatchNorm
from netc.netspec.layers.squeeze import SqueezeExcite
from netc.netspec.layers.stochastic import DropPath, path_rates, paths_problems
from netc.netspec.layers.window import window_label
from netc.netspec.types import TensorType

SAMES = ("same", "same-symmetric")


def make_divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, but at least `divisor` and 9/10 of `channels`.

    Source: the rule by which every mobile network since MobileNet rounds its widths (torchvision, timm).
    """
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * channels else near + divisor


def want_odd(**kernels: int) -> Iterator[str]:
    """Yield a sentence for each kernel without a middle pixel, whose `same` is not the same on both sides."""
    for name, kernel in kernels.items():
        if kernel < 1 or kernel % 2 == 0:
            yield f"{name} wants an odd positive integer, got {kernel}"


@dataclass(frozen=True)
class MobileBlock(Composite):
    """What the blocks share: convolutions with batch norm. `padding` says how a strided `same` is spelled.

    "same-symmetric" is torchvision's and timm's, "same" that of the nets born in TensorFlow.
    """

    padding: Literal["same", "same-symmetric"] = field(default="same-symmetric", kw_only=True)
    epsilon: float = field(default=1e-5, kw_only=True)
    momentum: float = field(default=0.1, kw_only=True)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if self.padding not in SAMES:
            yield f"padding wants one of {', '.join(SAMES)}, got {self.padding!r}"
        yield from BatchNorm(self.epsilon, self.momentum).problems()

    def conv(
        self, name: str, features: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: str = "identity"
    ) -> Layer:
        """act(bn(conv(x))) with the block's padding and norm."""
        return ConvBn(
            features, kernel, stride, self.padding, groups,
            activation=act, epsilon=self.epsilon, momentum=self.momentum, name=name,
        )  # fmt: skip

    def depthwise(self, name: str, channels: int, kernel: int, stride: int = 1, act: str = "identity") -> Layer:
        """The same, each channel by itself."""
        return self.conv(name, channels, kernel, stride, channels, act)


@dataclass(frozen=True)
class SeparableConv(MobileBlock):
    """y = act(bn(conv1x1(act(bn(depthwise(x)))))); the stride is the depthwise convolution's.

    Source: Howard et al. 2017, fig. 3 right.
    """

    kind: ClassVar[str] = "separableConv"
    features: int
    stride: int = 1
    kernel: int = 3
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, stride=self.stride)
        yield from want_odd(kernel=self.kernel)
        yield from activation_problems(self.activation)
        yield from super().problems()

    def expand(self, x: TensorType) -> Layer:
        """A chain of two."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        return Chain((
            self.depthwise("depthwise", x.shape[-1], self.kernel, self.stride, self.activation),
            self.conv("project", self.features, act=self.activation),
        ))  # fmt: skip

    def label(self) -> str:
        """`separableConv 64 3x3/2`."""
        return f"{self.kind} {self.features} {window_label(self.kernel, self.stride)}"


@dataclass(frozen=True)
class MobileStage(MobileBlock):
    """A stage of `blocks` blocks; the first changes the width to `features` and has the stride.

    A block that keeps the shape of its input is y = x + drop(f(x)), another y = f(x). `drop_path` is drop's rate,
    or (the first block's, the last's), linear in between: Huang et al. 2016, section 3.
    """

    features: int
    stride: int = field(default=1, kw_only=True)
    blocks: int = field(default=1, kw_only=True)
    activation: ActivationWord = field(default="relu", kw_only=True)
    drop_path: float | tuple[float, float] = field(default=0.0, kw_only=True)

    @abstractmethod
    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """f of one block, for an input of that many channels."""

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, stride=self.stride)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        yield from paths_problems(self.drop_path)
        yield from super().problems()

    def drop_rate(self, index: int) -> float:
        """The drop-path rate of a block of the stage."""
        return path_rates(self.drop_path, self.blocks)[index]

    def expand(self, x: TensorType) -> Layer:
        """A chain of residuals, and of plain blocks where the shape changes."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        made: list[Layer] = []
        channels = x.shape[-1]
        for index in range(self.blocks):
            name, stride, rate = f"block{index}", self.stride if index == 0 else 1, self.drop_rate(index)
            parts = self.parts(channels, stride)
            if stride == 1 and channels == self.features:
                drop = (DropPath(rate, name="drop"),) if rate else ()
                made.append(Residual(Chain((*parts, *drop)), name=name))
            else:
                made.append(Chain(parts, name=name))
            channels = self.features
        return Chain(tuple(made))


def squeezed(channels: int, share: float, activation: str) -> tuple[Layer, ...]:
    """Squeeze-excitation at `share` of the block's input channels, rounded down, at least 1; nothing for 0."""
    return (SqueezeExcite(max(1, int(channels * share)), activation, name="squeeze"),) if share else ()


def squeeze_problems(share: float) -> Iterator[str]:
    """Yield a sentence if `share` is no share."""
    if not 0 <= share <= 1:
        yield f"squeeze wants a number in [0, 1], the share of the input's channels, got {share}"


@dataclass(frozen=True)
class ExpandingStage(MobileStage):
    """A stage whose blocks work at `expansion` times the width of their input."""

    expansion: float = 6.0
    kernel: int = 3

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_ratio(expansion=self.expansion)
        yield from want_odd(kernel=self.kernel)
        yield from super().problems()

    def label(self) -> str:
        """`mbConv 40 x2 5x5/2`."""
        return f"{self.kind} {self.features} x{self.blocks} {window_label(self.kernel, self.stride)}"


@dataclass(frozen=True)
class InvertedResidual(ExpandingStage):
    """f(x) = bn(conv1x1(act(bn(depthwise(act(bn(conv1x1(x)))))))), at round(expansion C) channels inside.

    With expansion 1 the first convolution is left out. Source: Sandler et al. 2018, table 1; torchvision's
    mobilenet_v2, and mnasnet with activation "relu" and 5x5 kernels.
    """

    kind: ClassVar[str] = "invertedResidual"
    activation: ActivationWord = field(default="relu6", kw_only=True)

    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """expand, depthwise, project."""
        hidden = max(1, round(channels * self.expansion))
        first = () if self.expansion == 1 else (self.conv("expand", hidden, act=self.activation),)
        return (
            *first,
            self.depthwise("depthwise", hidden, self.kernel, stride, self.activation),
            self.conv("project", self.features),
        )


@dataclass(frozen=True)
class MbConv(ExpandingStage):
    """f(x) = bn(conv1x1(se(act(bn(depthwise(act(bn(conv1x1(x))))))))), at make_divisible(expansion C) channels inside.

    `squeeze` is the width of squeeze-excitation as a share of the channels C of the block's input, 0 for none. With
    expansion 1 the first convolution is left out. Source: Tan and Le 2019, table 1; torchvision's efficientnet.
    """

    kind: ClassVar[str] = "mbConv"
    squeeze: float = 0.25
    activation: ActivationWord = field(default="swish", kw_only=True)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from squeeze_problems(self.squeeze)
        yield from super().problems()

    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """expand, depthwise, squeeze, project."""
        wide = self.expansion != 1
        hidden = make_divisible(channels * self.expansion) if wide else channels
        return (
            *((self.conv("expand", hidden, act=self.activation),) if wide else ()),
            self.depthwise("depthwise", hidden, self.kernel, stride, self.activation),
            *squeezed(channels, self.squeeze, self.activation),
            self.conv("project", self.features),
        )


@dataclass(frozen=True)
class FusedMbConv(ExpandingStage):
    """f(x) = bn(conv1x1(se(act(bn(conv(x)))))): mbConv with one k x k convolution for its first two.

    With expansion 1: f(x) = act(bn(conv(se(x)))). `squeeze` is mbConv's, 0 (none) by default as in torchvision.
    Source: Tan and Le 2021, fig. 2; torchvision's efficientnet_v2.
    """

    kind: ClassVar[str] = "fusedMbConv"
    squeeze: float = 0.0
    activation: ActivationWord = field(default="swish", kw_only=True)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from squeeze_problems(self.squeeze)
        yield from super().problems()

    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """expand, squeeze, project."""
        squeeze = squeezed(channels, self.squeeze, self.activation)
        if self.expansion == 1:
            return (*squeeze, self.conv("project", self.features, self.kernel, stride, act=self.activation))
        hidden = make_divisible(channels * self.expansion)
        return (
            self.conv("expand", hidden, self.kernel, stride, act=self.activation),
            *squeeze,
            self.conv("project", self.features),
        )


@dataclass(frozen=True)
class MbConvV3(MobileStage):
    """mbConv at `hidden` channels inside, whose squeeze-excitation is s = h-sigmoid(relu(mean W1 + b1) W2 + b2).

    Its width is make_divisible(hidden / 4). Where the input has `hidden` channels the first convolution is left out.
    Source: Howard et al. 2019, section 5.3 and tables 1 and 2; torchvision's mobilenet_v3.
    """

    kind: ClassVar[str] = "mbConvV3"
    hidden: int
    kernel: int = 3
    squeeze: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(hidden=self.hidden)
        yield from want_odd(kernel=self.kernel)
        yield from super().problems()

    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """expand, depthwise, squeeze, project."""
        squeeze = SqueezeExcite(make_divisible(self.hidden // 4), gate="h-sigmoid", name="squeeze")
        return (
            *((self.conv("expand", self.hidden, act=self.activation),) if self.hidden != channels else ()),
            self.depthwise("depthwise", self.hidden, self.kernel, stride, self.activation),
            *((squeeze,) if self.squeeze else ()),
            self.conv("project", self.features),
        )

    def label(self) -> str:
        """`mbConvV3 40 x3 5x5/2`."""
        return f"{self.kind} {self.features} x{self.blocks} {window_label(self.kernel, self.stride)}"


@dataclass(frozen=True)
class Uib(MobileStage):
    """The universal inverted bottleneck: bn(depthwise), act(bn(conv1x1)), act(bn(depthwise)), bn(conv1x1).

    The pointwise convolutions go to make_divisible(expansion C) channels and back. A kernel of 0 leaves out its
    depthwise convolution: (k, k) is the paper's ExtraDW, (0, k) its IB, (k, 0) its ConvNext-like, (0, 0) its FFN.
    The stride is the middle one's, or the first one's where there is no middle one. Source: Qin et al. 2024, section 4;
    timm's UniversalInvertedResidual.
    """

    kind: ClassVar[str] = "uib"
    expansion: float = 4.0
    start_kernel: int = 0
    middle_kernel: int = 3

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_ratio(expansion=self.expansion)
        kernels = {"start_kernel": self.start_kernel, "middle_kernel": self.middle_kernel}
        yield from want_odd(**{name: kernel for name, kernel in kernels.items() if kernel})
        if self.stride > 1 and not any(kernels.values()):
            yield f"stride wants 1 without a depthwise convolution, got {self.stride}; set middle_kernel=3"
        yield from super().problems()

    def parts(self, channels: int, stride: int) -> tuple[Layer, ...]:
        """start, expand, middle, project."""
        hidden = make_divisible(channels * self.expansion)
        start, middle = self.start_kernel, self.middle_kernel
        return (
            *((self.depthwise("start", channels, start, 1 if middle else stride),) if start else ()),
            self.conv("expand", hidden, act=self.activation),
            *((self.depthwise("middle", hidden, middle, stride, self.activation),) if middle else ()),
            self.conv("project", self.features),
        )

    def label(self) -> str:
        """`uib 96 x4 0-3/2`."""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.kind} {self.features} x{self.blocks} {self.start_kernel}-{self.middle_kernel}{stride}"
