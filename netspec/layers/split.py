"""The combinator that gives each branch its own part of the channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Combinator, Layer, LayerError, Visit, part_names
from netc.netspec.layers.combine import Chain
from netc.netspec.types import TensorType, batched


@dataclass(frozen=True)
class Split(Combinator):
    """y = concat_i branch_i(x_i), where x_0, x_1, .. are parts of x, side by side on its last axis.

    Part i has `widths[i]` channels, or all have the same number where widths are left out. Pullback: dx is the
    branch_i*(dy_i) side by side. With identities among the branches it is the channel split of ShuffleNetV2 (Ma et
    al. 2018, fig. 3c) and of CSPNet (Wang et al. 2020, eq. 2).
    """

    kind: ClassVar[str] = "split"
    branches: tuple[Layer, ...]
    widths: tuple[int, ...] | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if not self.branches:
            yield "branches wants at least one layer, got none"
        if self.widths is not None:
            if len(self.widths) != len(self.branches):
                yield f"widths wants one number for each of {len(self.branches)} branches, got {list(self.widths)}"
            if any(width < 1 for width in self.widths):
                yield f"widths wants positive integers, got {list(self.widths)}"
        yield from Chain(self.branches).problems()

    def parts(self, channels: int) -> tuple[int, ...]:
        """How many of `channels` each branch sees; raises LayerError where they cannot be shared out so."""
        if self.widths is None:
            count = len(self.branches)
            if channels % count:
                raise LayerError(f"wants a multiple of {count} channels, got {channels}; give widths")
            return (channels // count,) * count
        if sum(self.widths) != channels:
            raise LayerError(f"wants {sum(self.widths)} channels in total, got {channels}; change widths")
        return self.widths

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Each branch sees its part; all axes but the last must agree in what they give."""
        if x.rank == 0:
            raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
        outs = [
            visit(name, branch, TensorType((*x.shape[:-1], width), x.dtype))
            for name, branch, width in zip(
                part_names(self.branches), self.branches, self.parts(x.shape[-1]), strict=True
            )
        ]
        if len({(o.shape[:-1], o.dtype) for o in outs}) > 1:
            got = " and ".join(batched(o.shape) for o in outs)
            raise LayerError(
                f"wants branches that agree on all axes but the last, got {got}; change strides or padding"
            )
        return TensorType((*outs[0].shape[:-1], sum(o.shape[-1] for o in outs)), outs[0].dtype)
