"""The residual blocks of Darknet-53, whole and cross-stage partial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_finite, want_positive, want_rank
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.norm import BatchNorm
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.types import TensorType, batched

SLOPE = 0.1  # of Darknet's leaky ReLU


@dataclass(frozen=True)
class _Act:
    """The activation of a block: its function and, for leaky-relu, its slope."""

    function: str
    slope: float

    def conv(self, features: int, kernel: int, name: str) -> Layer:
        """act(bn(conv(x))), which keeps the image's size."""
        leaky = self.function == "leaky-relu"
        return Chain((
            Conv2d(features, kernel, padding="same-symmetric", bias=False, name="conv"),
            BatchNorm(name="norm"),
            Activation(self.function, self.slope, name="act") if leaky else Activation(self.function, name="act"),
        ), name=name)  # fmt: skip

    def residual(self, width: int, features: int, name: str) -> Layer:
        """x + conv3x3(conv1x1(x)), `width` channels inside."""
        return Residual(Chain((self.conv(width, 1, "conv1"), self.conv(features, 3, "conv2"))), name=name)


def _act_problems(function: str, slope: float) -> Iterator[str]:
    """Yield a sentence if there is no such activation, or if it has no slope to give."""
    yield from activation_problems(function)
    if slope != SLOPE and function != "leaky-relu":
        yield f"slope belongs to leaky-relu, got slope={slope} with {function}; leave it out"
    yield from want_finite(slope=slope)


@dataclass(frozen=True)
class DarknetBlock(Composite):
    """`blocks` times x <- x + act(bn(conv3x3(act(bn(conv1x1(x)))))), C / 2 channels inside.

    Source: Redmon and Farhadi 2018 (YOLOv3), table 1; Darknet's leaky slope is 0.1.
    """

    kind: ClassVar[str] = "darknetBlock"
    blocks: int = 1
    activation: ActivationWord = "leaky-relu"
    slope: float = SLOPE

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_copies(blocks=self.blocks)
        yield from _act_problems(self.activation, self.slope)

    def expand(self, x: TensorType) -> Layer:
        """A chain of residuals."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        channels = x.shape[2]
        if channels % 2:
            raise LayerError(f"wants an even number of channels, got {batched(x.shape)}; change the layer before it", x)
        act = _Act(self.activation, self.slope)
        return Chain(tuple(act.residual(channels // 2, channels, f"block{i}") for i in range(self.blocks)))

    def label(self) -> str:
        """`darknetBlock x8`."""
        return f"darknetBlock x{self.blocks}"


@dataclass(frozen=True)
class CspBlock(Composite):
    """u = c(x) of `features` channels, halved into a, b; y = c(concat(a, c(residuals(b)))).

    c is act(bn(conv1x1(.))), and the `blocks` residuals are Darknet's, with features / 2 channels inside and outside.
    Source: Wang et al. 2020 (CSPNet), fig. 3b and 4; Bochkovskiy et al. 2020 (YOLOv4).
    """

    kind: ClassVar[str] = "cspBlock"
    features: int
    blocks: int = 1
    activation: ActivationWord = "leaky-relu"
    slope: float = SLOPE

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        yield from want_copies(blocks=self.blocks)
        if self.features % 2:
            yield f"features wants an even number, got {self.features}"
        yield from _act_problems(self.activation, self.slope)

    def expand(self, x: TensorType) -> Layer:
        """A convolution, a split with an identity for one half, a convolution."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        act, half = _Act(self.activation, self.slope), self.features // 2
        part = Chain((
            *(act.residual(half, half, f"block{i}") for i in range(self.blocks)),
            act.conv(half, 1, "transition"),
        ), name="part")  # fmt: skip
        return Chain((
            act.conv(self.features, 1, "spread"),
            Split((Identity(name="kept"), part), name="halves"),
            act.conv(self.features, 1, "fuse"),
        ))  # fmt: skip

    def label(self) -> str:
        """`cspBlock 128 x2`."""
        return f"cspBlock {self.features} x{self.blocks}"
