"""The parts of ConvNeXt, as expressions in combinators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_copies, want_positive, want_rank
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.norm import BatchNorm, LayerNorm, LayerScale
from netc.netspec.layers.stochastic import DropPath, Rates, path_rates, paths_problems
from netc.netspec.types import TensorType

Norm = Literal["layer", "batch"]
EPSILON = 1e-6  # of ConvNeXt's layer norms
# name -> the normalisation of an image's channels
NORMS: dict[str, Callable[[], Layer]] = {
    "layer": lambda: LayerNorm(EPSILON, name="norm"),
    "batch": lambda: BatchNorm(name="norm"),
}


def _norm_problems(norm: str) -> Iterator[str]:
    if norm not in NORMS:
        yield f"norm wants one of {', '.join(NORMS)}, got {norm!r}"


def _biased(norm: str) -> bool:
    """Whether a convolution that `norm` follows has a bias: batch norm would take it away again."""
    return norm != "batch"


@dataclass(frozen=True)
class ConvNextStem(Composite):
    """y = norm(conv(x)), the convolution `patch` x `patch` with that stride and no padding ("patchify").

    `norm` is layer (epsilon 1e-6) or batch; before a batch norm the convolution has no bias. Source: Liu et al. 2022,
    section 2.2; torchvision.models.convnext.
    """

    kind: ClassVar[str] = "convNextStem"
    features: int
    patch: int = 4
    norm: Norm = "layer"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, patch=self.patch)
        yield from _norm_problems(self.norm)

    def expand(self, x: TensorType) -> Layer:
        """conv2d, norm."""
        conv = Conv2d(self.features, self.patch, self.patch, "valid", bias=_biased(self.norm), name="conv")
        return Chain((conv, NORMS[self.norm]()))

    def label(self) -> str:
        """`convNextStem 96 4x4`."""
        return f"convNextStem {self.features} {self.patch}x{self.patch}"


@dataclass(frozen=True)
class ConvNextDownsample(Composite):
    """y = conv(norm(x)), the convolution 2x2 with stride 2 and no padding: an odd last row or column is not seen.

    `norm` is layer (epsilon 1e-6) or batch. Source: Liu et al. 2022, section 2.6; torchvision.models.convnext.
    """

    kind: ClassVar[str] = "convNextDownsample"
    features: int
    norm: Norm = "layer"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        yield from _norm_problems(self.norm)

    def expand(self, x: TensorType) -> Layer:
        """norm, conv2d."""
        return Chain((NORMS[self.norm](), Conv2d(self.features, 2, 2, "valid", name="conv")))

    def label(self) -> str:
        """`convNextDownsample 192`."""
        return f"convNextDownsample {self.features}"


@dataclass(frozen=True)
class ConvNextStage(Composite):
    """`blocks` times x + drop_path(gamma project(act(expand(norm(depthwise(x)))))).

    depthwise is a `kernel` x `kernel` convolution of each channel alone (bias unless a batch norm follows), expand a
    1x1 convolution to `expansion` C features, project one back to C; gamma starts at `scale`. The rate of drop path
    is `drop_path` in all blocks or, given two numbers, goes evenly from the first block's to the last's; a rate of 0
    has no layer. The number of channels C stays. Source: Liu et al. 2022, fig. 4; torchvision.models.convnext.
    """

    kind: ClassVar[str] = "convNextStage"
    blocks: int = 1
    norm: Norm = "layer"
    activation: ActivationWord = "gelu"
    kernel: int = 7
    expansion: int = 4
    scale: float = 1e-6
    drop_path: Rates = 0.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_copies(blocks=self.blocks)
        yield from want_positive(expansion=self.expansion)
        if self.kernel < 1 or self.kernel % 2 == 0:
            yield f"kernel wants an odd positive integer, got {self.kernel}"
        yield from _norm_problems(self.norm)
        yield from activation_problems(self.activation)
        yield from LayerScale(self.scale).problems()
        yield from paths_problems(self.drop_path)

    def rates(self) -> tuple[float, ...]:
        """The rate of drop path of each block."""
        return path_rates(self.drop_path, self.blocks)

    def expand(self, x: TensorType) -> Layer:
        """A chain of residuals."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        return Chain(
            tuple(
                Residual(self._body(x.shape[-1], rate), name=f"block{index}") for index, rate in enumerate(self.rates())
            )
        )

    def _body(self, channels: int, rate: float) -> Layer:
        wide = self.expansion * channels
        depthwise = Conv2d(
            channels, self.kernel, 1, "same-symmetric", channels, bias=_biased(self.norm), name="depthwise"
        )
        layers: tuple[Layer, ...] = (
            depthwise,
            NORMS[self.norm](),
            Conv2d(wide, 1, activation=self.activation, name="expand"),
            Conv2d(channels, 1, name="project"),
            LayerScale(self.scale, name="scale"),
        )
        return Chain((*layers, DropPath(rate, name="drop")) if rate else layers)

    def label(self) -> str:
        """`convNextStage x3`."""
        return f"convNextStage x{self.blocks}"
