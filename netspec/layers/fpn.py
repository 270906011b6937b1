"""The feature pyramid: what the coarse stages know, brought to the finest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, signature_of, want_positive, want_rank
from netc.netspec.layers.channels import ChannelWindow
from netc.netspec.layers.combine import Chain, Concat, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.upsample import NearestUpsample
from netc.netspec.types import TensorType, batched

LEVELS = ("finest", "all")
MOST_STAGES = 32  # the levels nest


@dataclass(frozen=True)
class FpnModule(Composite):
    """p_i = lateral_i(c_i) + up(p_{i+1}), y = smooth_0(p_0); c_0 = stage_0(x), c_{i+1} = stage_{i+1}(c_i).

    lateral_i is a 1x1 convolution of c_i to `features` channels, smooth_i a 3x3 one, both with a bias; up repeats
    pixels (nearestUpsample) to the size of c_i; the coarsest p is its lateral alone. With `levels` "all", y holds
    smooth_i(p_i) of every level side by side, each brought to the size of c_0 in the same way. Source: Lin et al.
    2017, fig. 3; torchvision.ops.FeaturePyramidNetwork.
    """

    kind: ClassVar[str] = "fpnModule"
    stages: tuple[Layer, ...]
    features: int = 256
    levels: str = "finest"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        if not self.stages:
            yield "stages wants at least one layer, got none"
        if len(self.stages) > MOST_STAGES:
            yield f"stages wants at most {MOST_STAGES} layers, got {len(self.stages)}; chain some of them"
        if self.levels not in LEVELS:
            yield f"levels wants {' or '.join(map(repr, LEVELS))}, got {self.levels!r}"

    def expand(self, x: TensorType) -> Layer:
        """The first stage, then the nested levels: what is above a level is the shortcut around its lateral."""
        sizes: list[TensorType] = []
        for index, stage in enumerate(self.stages):
            x = signature_of(stage, x).out
            want_rank(stage, x, 3, "H, W, C", f"make stage {index} give an image")
            sizes.append(x)
        every = self.levels == "all"
        level = self._every(0, sizes) if every else self._finest(0, sizes)
        last: Layer = ChannelWindow(self.features, len(sizes) * self.features, name="levels")
        return Chain((self._stage(0), level, last if every else self._smooth()))

    def _stage(self, index: int) -> Layer:
        return replace(self.stages[index], name=f"stage{index}")

    def _smooth(self) -> Layer:
        return Conv2d(self.features, 3, 1, "same-symmetric", name="smooth")

    def _finest(self, index: int, sizes: Sequence[TensorType]) -> Layer:
        """c_i -> p_i."""
        lateral = Conv2d(self.features, 1, name="lateral")
        if index + 1 == len(sizes):
            return Chain((lateral,), name=f"level{index}")
        above = Chain((self._stage(index + 1), self._finest(index + 1, sizes), self._up(index, sizes)))
        return Residual(Chain((lateral,)), above, name=f"level{index}")

    def _every(self, index: int, sizes: Sequence[TensorType]) -> Layer:
        """c_i -> p_i, then smooth_j(p_j) for j from i, side by side at the size of c_i."""
        lateral = Conv2d(self.features, 1, name="lateral")
        own = Concat((Identity(name="plain"), self._smooth()), name="own")
        above = len(sizes) - index - 1
        if not above:
            return Chain((lateral, own), name=f"level{index}")
        room = ChannelWindow(0, (1 + above) * self.features, name="room")  # for the levels above, which the sum brings
        up = Chain((self._stage(index + 1), self._every(index + 1, sizes), self._up(index, sizes)))
        merge = Residual(Chain((lateral, room)), up, name="merge")
        rest = Split((own, Identity(name="above")), (self.features, above * self.features), name="parts")
        return Chain((merge, rest), name=f"level{index}")

    def _up(self, index: int, sizes: Sequence[TensorType]) -> Layer:
        fine, coarse = sizes[index].shape[:2], sizes[index + 1].shape[:2]
        if any(n % m for n, m in zip(fine, coarse, strict=True)):
            raise LayerError(
                f"wants stages whose sizes divide each other, got {batched(sizes[index].shape)} and then "
                f"{batched(sizes[index + 1].shape)}; give an image whose sides halve evenly"
            )
        return NearestUpsample((fine[0] // coarse[0], fine[1] // coarse[1]), name="up")

    def label(self) -> str:
        """`fpnModule 256 x4`."""
        return f"fpnModule {self.features} x{len(self.stages)}"
