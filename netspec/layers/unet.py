"""The U-Net: what an image loses on its way down comes back beside what it gained, by true skips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, signature_of, want_positive, want_rank
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import Conv2d, ConvBn
from netc.netspec.layers.conv_transpose import ConvTranspose2d
from netc.netspec.layers.pool import MaxPool
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.upsample import BilinearUpsample, NearestUpsample
from netc.netspec.types import TensorType, batched

RISES = ("transpose", "bilinear", "nearest")
DEEPEST = 8  # halvings; an image of 256 pixels is one pixel then


def double_conv(features: int, activation: str) -> tuple[Layer, Layer]:
    """Two 3x3 convolutions with batch norm, at the image's own size."""
    return (
        ConvBn(features, 3, 1, "same-symmetric", activation=activation, name="conv1"),
        ConvBn(features, 3, 1, "same-symmetric", activation=activation, name="conv2"),
    )


def _options(features: int, activation: str) -> Iterator[str]:
    yield from want_positive(features=features)
    yield from activation_problems(activation)


@dataclass(frozen=True)
class UnetDown(Composite):
    """y = f(f(maxPool(x))), f = convBn 3x3; [H, W, C] -> [H // 2, W // 2, features].

    Source: Ronneberger et al. 2015, fig. 1, with padding and batch norm.
    """

    kind: ClassVar[str] = "unetDown"
    features: int
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from _options(self.features, self.activation)

    def expand(self, x: TensorType) -> Layer:
        """pool, conv1, conv2."""
        return Chain((MaxPool(2, name="pool"), *double_conv(self.features, self.activation)))

    def label(self) -> str:
        """`unetDown 128`."""
        return f"unetDown {self.features}"


@dataclass(frozen=True)
class UnetUp(Composite):
    """y = f(f(concat(x, up(inner(x))))), f = convBn 3x3; [H, W, C] -> [H, W, features]. The skip is x itself.

    `inner` is everything below: it begins with a step down and gives [H // 2, W // 2, D]. `rise` is how up doubles
    the image: a transposed convolution 2x2 of stride 2 to `features` channels ("transpose", which also reaches odd
    sizes), or "bilinear" or "nearest" up-sampling and a convolution 3x3 to `features` channels (Odena et al. 2016).
    Source: Ronneberger et al. 2015, fig. 1, with padding and batch norm.
    """

    kind: ClassVar[str] = "unetUp"
    inner: Layer
    features: int
    rise: str = "transpose"
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from _options(self.features, self.activation)
        if self.rise not in RISES:
            yield f"rise wants one of {', '.join(RISES)}, got {self.rise!r}"

    def expand(self, x: TensorType) -> Layer:
        """A concat of x and what comes up from below, then conv1 and conv2."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        below = signature_of(self.inner, x).out
        height, width = x.shape[:2]
        if below.rank != 3 or below.shape[:2] != (height // 2, width // 2):
            raise LayerError(
                f"wants an inner layer that halves {batched(x.shape)}, got one that gives {batched(below.shape)}; "
                "start it with unetDown"
            )
        up = Chain((self.inner, *self._rise(x)), name="below")
        skip = Concat((Identity(name="skip"), up), name="join")
        return Chain((skip, *double_conv(self.features, self.activation)))

    def _rise(self, x: TensorType) -> tuple[Layer, ...]:
        height, width = x.shape[:2]
        if self.rise == "transpose":
            odd = bool(height % 2 or width % 2)
            return (ConvTranspose2d(self.features, 2, 2, size=(height, width) if odd else None, name="up"),)
        if height % 2 or width % 2:
            raise LayerError(
                f"wants an even height and width to return to, got {batched(x.shape)}; use rise='transpose', or an "
                "image whose sides halve"
            )
        larger = BilinearUpsample(2, name="larger") if self.rise == "bilinear" else NearestUpsample(2, name="larger")
        return larger, Conv2d(self.features, 3, 1, "same-symmetric", name="up")

    def label(self) -> str:
        """`unetUp 64`."""
        return f"unetUp {self.features}"


@dataclass(frozen=True)
class Unet(Composite):
    """y = u_0(f(f(x))) with u_i = unetUp(w_i, inner = u_{i+1} after unetDown(w_{i+1})), w_i = 2^i `features`.

    `depth` steps down and as many up; the innermost level is a step down alone. [H, W, C] -> [H, W, features].
    Source: Ronneberger et al. 2015, fig. 1 (features 64, depth 4), with padding and batch norm.
    """

    kind: ClassVar[str] = "unet"
    features: int = 64
    depth: int = 4
    rise: str = "transpose"
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from UnetUp(Identity(), self.features, self.rise, self.activation).problems()
        if not 1 <= self.depth <= DEEPEST:
            yield f"depth wants an integer from 1 to {DEEPEST}, got {self.depth}"

    def expand(self, x: TensorType) -> Layer:
        """Two convolutions, then the nested levels."""
        return Chain((*double_conv(self.features, self.activation), self._level(0)))

    def _level(self, index: int) -> Layer:
        down: Layer = UnetDown(self.features << (index + 1), self.activation, name="down")
        inner = down if index + 1 == self.depth else Chain((down, self._level(index + 1)), name="inner")
        return UnetUp(inner, self.features << index, self.rise, self.activation, name=f"level{index}")

    def label(self) -> str:
        """`unet 64 x4`."""
        return f"unet {self.features} x{self.depth}"
