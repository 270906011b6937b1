"""Pooling over windows and over the whole image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_rank
from netc.netspec.layers.window import (
    Padding,
    Pair,
    pair,
    resolve_padding,
    window_label,
    window_output,
    window_problems,
)
from netc.netspec.types import Signature, TensorType


@dataclass(frozen=True)
class Pool(Layer):
    """What maximum and average pooling share: a window of `size` that moves by `stride` (default: its size)."""

    size: int | Pair = 2
    stride: int | Pair | None = None
    padding: Padding = "valid"

    @property
    def step(self) -> Pair:
        """The stride as a pair."""
        return pair(self.size if self.stride is None else self.stride)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from window_problems(self.size, self.step, self.padding)
        if not isinstance(self.padding, str):
            for side, k in zip(self.padding, pair(self.size), strict=True):
                if max(side) >= k:
                    yield f"padding wants less than the window's size {k}, got {side}; a window would see no pixel"

    def window(self, x: TensorType) -> tuple[Pair, tuple[Pair, Pair]]:
        """The output's (H, W) and the pixels of padding, for one example `[H, W, C]`."""
        size = (x.shape[0], x.shape[1])
        sides = resolve_padding(self.padding, size, pair(self.size), self.step)
        return window_output(size, pair(self.size), self.step, sides), sides

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        (height, width), _ = self.window(x)
        return Signature((), (), TensorType((height, width, x.shape[2]), x.dtype))

    def label(self) -> str:
        """`maxPool 3x3/2`."""
        return f"{self.kind} {window_label(self.size, self.step)}"


@dataclass(frozen=True)
class MaxPool(Pool):
    """y[p, q, c] = max_{a,b} x[s p + a - lo, s q + b - lo, c]; outside x is -infinity.

    Windows may overlap. Backward: the cotangent goes to the FIRST maximum of the window in row-major order, as
    XLA's select-and-scatter and torch do.
    """

    kind: ClassVar[str] = "maxPool"
    aliases: ClassVar[tuple[str, ...]] = ("maxPool2d", "maxPooling2d")


@dataclass(frozen=True)
class AvgPool(Pool):
    """y[p, q, c] = sum_{a,b} x[s p + a - lo, s q + b - lo, c] / n; outside x is 0.

    n is the number of pixels of the window inside the image, or kh kw where `count_padding` is set (torch's
    default; TensorFlow's is the other).
    """

    kind: ClassVar[str] = "avgPool"
    aliases: ClassVar[tuple[str, ...]] = ("avgPool2d", "averagePooling2d")
    count_padding: bool = False


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """y[c] = sum_{p,q} x[p, q, c] / (H W). Source: Lin et al. 2013, section 3.2."""

    kind: ClassVar[str] = "globalAvgPool"
    aliases: ClassVar[tuple[str, ...]] = ("globalAveragePooling2d", "gap")

    def signature(self, x: TensorType) -> Signature:
        """No parameters; [H, W, C] -> [C]."""
        if x.rank < 2:
            raise LayerError(f"wants [batch, .., C], got {x}; leave it out: there is nothing to average")
        return Signature((), (), TensorType((x.shape[-1],), x.dtype))
