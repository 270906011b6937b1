"""The stages of residual networks, as expressions in combinators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_copies, want_positive
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv import ConvBn
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.stochastic import Rates, paths_dropped, paths_problems
from netc.netspec.types import TensorType


def shortcut(x: TensorType, features: int, stride: int) -> Layer:
    """The identity where shapes allow it, else a 1x1 convolution with batch norm (option B of He et al. 2016)."""
    if x.shape[-1] == features and stride == 1:
        return Identity()
    return ConvBn(features, 1, stride, "valid", activation="identity")


def activated_sum(body: Layer, around: Layer, activation: str, name: str) -> Layer:
    """act(body(x) + around(x))."""
    return Chain((Residual(body, around, name="residual"), Activation(activation, name="act")), name=name)


@dataclass(frozen=True)
class ResidualBlock(Composite):
    """A stage of `blocks` basic blocks: each act(bn(conv3x3(act(bn(conv3x3(x))))) + shortcut(x)).

    The first block has stride `stride`; act is `activation`, the paper's relu. `drop_path`: the rate of drop-path at
    the end of each body, or the first's and the last's with equal steps between. Source: He et al. 2016, fig. 5 left;
    padding as in torchvision; Huang et al. 2016, as timm.
    """

    kind: ClassVar[str] = "residualBlock"
    features: int
    blocks: int = 1
    stride: int = 1
    activation: ActivationWord = "relu"
    drop_path: Rates = field(default=0.0, kw_only=True)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, stride=self.stride)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        yield from paths_problems(self.drop_path)

    def expand(self, x: TensorType) -> Layer:
        """A chain of residuals."""
        blocks = []
        for index in range(self.blocks):
            stride = self.stride if index == 0 else 1
            body = Chain((
                ConvBn(self.features, 3, stride, "same-symmetric", activation=self.activation, name="conv1"),
                ConvBn(self.features, 3, 1, "same-symmetric", activation="identity", name="conv2"),
                *paths_dropped(self.drop_path, index, self.blocks),
            ))  # fmt: skip
            around = shortcut(x, self.features, stride) if index == 0 else Identity()
            blocks.append(activated_sum(body, around, self.activation, f"block{index}"))
        return Chain(tuple(blocks))

    def label(self) -> str:
        """`residualBlock 128 x4/2`."""
        return f"residualBlock {self.features} x{self.blocks}" + (f"/{self.stride}" if self.stride > 1 else "")


@dataclass(frozen=True)
class BottleneckBlock(Composite):
    """A stage of `blocks` bottlenecks: 1x1 to `width`, 3x3, 1x1 to `features`, each with bn, and the shortcut.

    `activation` stands after the first two and after the sum, as relu does in the paper. The stride is on the 3x3
    convolution of the first block (torchvision's "v1.5"). `width` is features / 4 unless given (wide ResNets, ResNeXt
    with `groups`). `drop_path` is that of residualBlock. Source: He et al. 2016, fig. 5 right; Xie et al. 2017.
    """

    kind: ClassVar[str] = "bottleneckBlock"
    features: int
    blocks: int = 1
    stride: int = 1
    width: int | None = None
    groups: int = 1
    activation: ActivationWord = "relu"
    drop_path: Rates = field(default=0.0, kw_only=True)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        width = self.features // 4 if self.width is None else self.width
        yield from want_positive(features=self.features, stride=self.stride, groups=self.groups, width=width)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        yield from paths_problems(self.drop_path)

    def expand(self, x: TensorType) -> Layer:
        """A chain of residuals."""
        width = self.features // 4 if self.width is None else self.width
        blocks = []
        for index in range(self.blocks):
            stride = self.stride if index == 0 else 1
            body = Chain((
                ConvBn(width, 1, 1, "valid", activation=self.activation, name="conv1"),
                ConvBn(width, 3, stride, "same-symmetric", self.groups, activation=self.activation, name="conv2"),
                ConvBn(self.features, 1, 1, "valid", activation="identity", name="conv3"),
                *paths_dropped(self.drop_path, index, self.blocks),
            ))  # fmt: skip
            around = shortcut(x, self.features, stride) if index == 0 else Identity()
            blocks.append(activated_sum(body, around, self.activation, f"block{index}"))
        return Chain(tuple(blocks))

    def label(self) -> str:
        """`bottleneckBlock 256 x3/2`."""
        return f"bottleneckBlock {self.features} x{self.blocks}" + (f"/{self.stride}" if self.stride > 1 else "")
