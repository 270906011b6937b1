"""The blocks and transitions of densely connected networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_copies, want_positive, want_rank
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.norm import BatchNorm
from netc.netspec.layers.pool import AvgPool
from netc.netspec.layers.shape import Identity
from netc.netspec.types import TensorType


def pre_activated(features: int, kernel: int, activation: str, number: str = "") -> tuple[Layer, ...]:
    """conv(act(bn(x))), the convolution without a bias; `number` ends the names of the three."""
    return (
        BatchNorm(name=f"norm{number}"),
        Activation(activation, name=f"act{number}"),
        Conv2d(features, kernel, padding="same-symmetric", bias=False, name=f"conv{number}"),
    )


@dataclass(frozen=True)
class DenseBlock(Composite):
    """`layers` times x <- concat(x, f(x)), each f = conv3x3(act(bn(conv1x1(act(bn(x)))))) of `growth` channels.

    The 1x1 convolution gives `bottleneck` times `growth` channels. y has C + layers growth channels. Source: Huang et
    al. 2017, eq. 2 and section 3 (DenseNet-B).
    """

    kind: ClassVar[str] = "denseBlock"
    growth: int
    layers: int = 1
    bottleneck: int = 4
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(growth=self.growth, bottleneck=self.bottleneck)
        yield from want_copies(layers=self.layers)
        yield from activation_problems(self.activation)

    def expand(self, x: TensorType) -> Layer:
        """A chain of concats, each of the identity and a new layer."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        added = Chain((
            *pre_activated(self.bottleneck * self.growth, 1, self.activation, "1"),
            *pre_activated(self.growth, 3, self.activation, "2"),
        ), name="new")  # fmt: skip
        return Chain(tuple(Concat((Identity(name="old"), added), name=f"layer{i}") for i in range(self.layers)))

    def label(self) -> str:
        """`denseBlock +32 x6`."""
        return f"denseBlock +{self.growth} x{self.layers}"


@dataclass(frozen=True)
class TransitionLayer(Composite):
    """avgpool2x2(conv1x1(act(bn(x)))): between two dense blocks. `features` is half of C unless given.

    Source: Huang et al. 2017, section 3 (compression 0.5: DenseNet-C).
    """

    kind: ClassVar[str] = "transitionLayer"
    features: int | None = None
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if self.features is not None:
            yield from want_positive(features=self.features)
        yield from activation_problems(self.activation)

    def expand(self, x: TensorType) -> Layer:
        """batchNorm, activation, conv2d, avgPool."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        features = max(x.shape[-1] // 2, 1) if self.features is None else self.features
        return Chain((*pre_activated(features, 1, self.activation), AvgPool(2, name="pool")))

    def label(self) -> str:
        """`transitionLayer 128`."""
        return f"transitionLayer {self.features}" if self.features else "transitionLayer"
