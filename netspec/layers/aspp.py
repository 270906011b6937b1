"""Atrous spatial pyramid pooling, and the broadcast that its image branch needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord
from netc.netspec.layer import Composite, Layer, LayerError, want_positive, want_rank
from netc.netspec.layers.adaptive_pool import AdaptiveAvgPool
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import ConvBn
from netc.netspec.layers.window import Pair, pair, window_label
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class SpatialBroadcast(Layer):
    """y[p, q, c] = x[c], or x[0, 0, c]: one pixel at every place of an image of `size` (H, W).

    Pullback: dx[c] = sum_{p,q} dy[p, q, c]. Source: Watters et al. 2019 (spatial broadcast decoder); for one pixel
    it is also what bilinear interpolation gives.
    """

    kind: ClassVar[str] = "spatialBroadcast"
    size: int | Pair

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if min(pair(self.size)) < 1:
            yield f"size wants positive integers, got {self.size}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; [C] or [1, 1, C] -> [H, W, C]."""
        if x.rank not in {1, 3} or x.shape[:-1] not in {(), (1, 1)}:
            raise LayerError(
                f"wants [batch, C] or [batch, 1, 1, C], got {batched(x.shape)}; put GlobalAvgPool() before it"
            )
        return Signature((), (), TensorType((*pair(self.size), x.shape[-1]), x.dtype))

    def label(self) -> str:
        """`spatialBroadcast 7x7`."""
        return f"spatialBroadcast {window_label(self.size, 1)}"


@dataclass(frozen=True)
class AsppModule(Composite):
    """y = c(concat(c(x), c_r(x) for each r of `rates`, the image's mean through c, broadcast over the image)).

    c is convBn 1x1, c_r convBn 3x3 of dilation r. Every branch has `features` channels and keeps the image's size.
    torchvision puts a dropout of 0.5 after it, which is a layer of its own here. Source: Chen et al. 2017
    (DeepLabv3), fig. 5 and section 3.3.
    """

    kind: ClassVar[str] = "asppModule"
    features: int = 256
    rates: tuple[int, ...] = (12, 24, 36)
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        if any(rate < 1 for rate in self.rates):
            yield f"rates wants positive integers, got {list(self.rates)}"
        yield from self._conv("project").problems()

    def _conv(self, name: str, kernel: int = 1, rate: int = 1) -> Layer:
        return ConvBn(
            self.features, kernel, padding="same-symmetric", dilation=rate, activation=self.activation, name=name
        )

    def expand(self, x: TensorType) -> Layer:
        """A concat of all branches, then the projection."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        image = Chain((
            AdaptiveAvgPool(1, name="pool"),
            self._conv("conv"),
            SpatialBroadcast((x.shape[0], x.shape[1]), name="spread"),
        ), name="image")  # fmt: skip
        dilated = (self._conv(f"atrous{index}", 3, rate) for index, rate in enumerate(self.rates, 1))
        return Chain((Concat((self._conv("point"), *dilated, image), name="pyramid"), self._conv("project")))

    def label(self) -> str:
        """`asppModule 256 12-24-36`."""
        return f"asppModule {self.features} {'-'.join(map(str, self.rates))}".rstrip()
