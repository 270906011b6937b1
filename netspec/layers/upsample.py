"""Up-sampling of images by a whole factor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_positive, want_rank
from netc.netspec.layers.window import Pair, pair, window_label
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class Upsample(Layer):
    """What the kinds of up-sampling share: [H, W, C] -> [s H, s W, C] with the factor s = `scale` of each side."""

    scale: int | Pair = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if min(pair(self.scale)) < 1:
            yield f"scale wants positive integers, got {self.scale}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        high, wide = pair(self.scale)
        return Signature((), (), TensorType((high * x.shape[0], wide * x.shape[1], x.shape[2]), x.dtype))

    def label(self) -> str:
        """`nearestUpsample 2x2`."""
        return f"{self.kind} {window_label(self.scale, 1)}"


@dataclass(frozen=True)
class NearestUpsample(Upsample):
    """y[p, q, c] = x[p // s, q // s, c]: every pixel becomes a block of s by s."""

    kind: ClassVar[str] = "nearestUpsample"


@dataclass(frozen=True)
class BilinearUpsample(Upsample):
    """y[p, q, c] = sum_{i,j} a[p, i] a[q, j] x[i, j, c], a[p, i] = max(0, 1 - |u(p) - i|).

    u(p) = (p + 1/2) / s - 1/2 is where the centre of the new pixel lies among the old ones, kept within 0 and n - 1:
    torch's align_corners=False, and what most image libraries do.
    """

    kind: ClassVar[str] = "bilinearUpsample"


@dataclass(frozen=True)
class DepthToSpace(Layer):
    """y[p n + i, q n + j, c] = x[p, q, (i n + j) C + c]: [H, W, n n C] -> [n H, n W, C], n = `block`.

    Each pixel becomes a square of n x n, row by row. Source: Shi et al. 2016, eq. 4 (in the order of the channels that
    DiT's unpatchify has).
    """

    kind: ClassVar[str] = "depthToSpace"
    block: int = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(block=self.block)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        height, width, channels = x.shape
        if channels % self.block**2:
            raise LayerError(
                f"wants a multiple of {self.block**2} channels, got {batched(x.shape)}; change block or features"
            )
        out = (height * self.block, width * self.block, channels // self.block**2)
        return Signature((), (), TensorType(out, x.dtype))

    def label(self) -> str:
        """`depthToSpace 2`."""
        return f"depthToSpace {self.block}"
