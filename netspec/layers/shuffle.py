"""Channel shuffle, and the units of the two ShuffleNets as expressions in combinators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain, Concat, Residual
from netc.netspec.layers.conv import ConvBn
from netc.netspec.layers.pool import AvgPool
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class ChannelShuffle(Layer):
    """y[.., j G + g] = x[.., g (C / G) + j]: G groups of channels, dealt out like cards.

    Pullback: the inverse movement. Source: Zhang et al. 2018 (ShuffleNet), fig. 1c.
    """

    kind: ClassVar[str] = "channelShuffle"
    groups: int = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(groups=self.groups)

    def signature(self, x: TensorType) -> Signature:
        """No parameters; the last axis is shuffled."""
        if x.rank == 0 or x.shape[-1] % self.groups:
            raise LayerError(f"wants a multiple of groups={self.groups} channels, got {batched(x.shape)}", x)
        return Signature((), (), x)

    def label(self) -> str:
        """`channelShuffle g2`."""
        return f"channelShuffle g{self.groups}"


def _depthwise(channels: int, stride: int, name: str) -> Layer:
    return ConvBn(channels, 3, stride, "same-symmetric", channels, activation="identity", name=name)


@dataclass(frozen=True)
class ShuffleBlock(Composite):
    """A stage of `blocks` ShuffleNet units, the first of which halves the image and joins instead of adding.

    body(x) = bn(gconv1x1(bn(dwconv3x3(shuffle(act(bn(gconv1x1(x)))))))), features / 4 channels inside. First unit:
    act(concat(avgpool3x3/2(x), body(x))), whose body gives features - C channels; the others: act(x + body(x)); act is
    `activation`, the paper's relu. `first_groups`, where given, stands in for `groups` in the first 1x1 convolution:
    the paper leaves it whole in stage 2. Source: Zhang et al. 2018, fig. 2b and 2c, table 1.
    """

    kind: ClassVar[str] = "shuffleBlock"
    features: int
    groups: int = 3
    blocks: int = 1
    first_groups: int | None = None
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, groups=self.groups)
        if self.first_groups is not None:
            yield from want_positive(first_groups=self.first_groups)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        if self.groups >= 1 and (self.features < 4 or self.features % (4 * self.groups)):
            yield f"features wants a multiple of 4 groups = {4 * self.groups}, got {self.features}"

    def _body(self, features: int, stride: int, groups: int) -> Layer:
        inner = self.features // 4
        return Chain((
            ConvBn(inner, 1, 1, "valid", groups, activation=self.activation, name="reduce"),
            ChannelShuffle(self.groups, name="shuffle"),
            _depthwise(inner, stride, "depthwise"),
            ConvBn(features, 1, 1, "valid", self.groups, activation="identity", name="expand"),
        ), name="body")  # fmt: skip

    def expand(self, x: TensorType) -> Layer:
        """A concat, then residuals, each followed by the activation."""
        added = self.features - x.shape[-1]
        if added < 1 or added % self.groups:
            raise LayerError(
                f"wants features={self.features} to exceed the input's channels by a multiple of groups={self.groups}, "
                f"got {batched(x.shape)}; change features"
            )
        around = AvgPool(3, 2, "same-symmetric", count_padding=True, name="shortcut")
        first = Concat((around, self._body(added, 2, self.first_groups or self.groups)), name="joined")
        units: list[Layer] = [Chain((first, Activation(self.activation, name="act")), name="unit0")]
        for index in range(1, self.blocks):
            added_to = Residual(self._body(self.features, 1, self.groups), name="residual")
            units.append(Chain((added_to, Activation(self.activation, name="act")), name=f"unit{index}"))
        return Chain(tuple(units))

    def label(self) -> str:
        """`shuffleBlock 240 x4 g3`."""
        return f"shuffleBlock {self.features} x{self.blocks} g{self.groups}"


@dataclass(frozen=True)
class ShuffleV2Block(Composite):
    """A stage of `blocks` ShuffleNetV2 units, the first of which halves the image.

    right(x) = act(bn(conv1x1(bn(dwconv3x3(act(bn(conv1x1(x)))))))), features / 2 channels throughout; act is
    `activation`, the paper's relu. First unit: shuffle(concat(act(bn(conv1x1(bn(dwconv3x3/2(x))))), right/2(x))); the
    others split x's channels in halves a, b and give shuffle(concat(a, right(b))), in two groups. Source: Ma et al.
    2018, fig. 3c and 3d; order as in torchvision.
    """

    kind: ClassVar[str] = "shuffleV2Block"
    features: int
    blocks: int = 1
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        if self.features % 2:
            yield f"features wants an even number, got {self.features}"

    def _right(self, stride: int) -> Layer:
        half = self.features // 2
        return Chain((
            ConvBn(half, 1, 1, "valid", activation=self.activation, name="conv1"),
            _depthwise(half, stride, "depthwise"),
            ConvBn(half, 1, 1, "valid", activation=self.activation, name="conv2"),
        ), name="right")  # fmt: skip

    def expand(self, x: TensorType) -> Layer:
        """A concat, then splits, each followed by a shuffle."""
        shuffle = ChannelShuffle(2, name="shuffle")
        left = Chain((
            _depthwise(x.shape[-1], 2, "depthwise"),
            ConvBn(self.features // 2, 1, 1, "valid", activation=self.activation, name="conv"),
        ), name="left")  # fmt: skip
        units: list[Layer] = [Chain((Concat((left, self._right(2)), name="joined"), shuffle), name="unit0")]
        for index in range(1, self.blocks):
            halves = Split((Identity(name="left"), self._right(1)), name="halves")
            units.append(Chain((halves, shuffle), name=f"unit{index}"))
        return Chain(tuple(units))

    def label(self) -> str:
        """`shuffleV2Block 116 x4`."""
        return f"shuffleV2Block {self.features} x{self.blocks}"
