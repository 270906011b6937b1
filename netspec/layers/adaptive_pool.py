"""Pooling whose windows, or whose padding, follow from the size of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_rank
from netc.netspec.layers.pool import MaxPool
from netc.netspec.layers.window import Pair, pair, window_label, window_problems
from netc.netspec.types import Signature, TensorType, batched

MOST_WEIGHTS = 1 << 18  # a side; the program holds one for each pixel and window


@dataclass(frozen=True)
class AdaptiveAvgPool(Layer):
    """y[p, q, c] = the mean of x[i, j, c] over floor(p H / P) <= i < ceil((p + 1) H / P), and j likewise.

    `size` is (P, Q), which may be smaller or larger than (H, W): windows then overlap or repeat pixels. Source: He
    et al. 2014 (spatial pyramid pooling); bounds of torch.nn.AdaptiveAvgPool2d.
    """

    kind: ClassVar[str] = "adaptiveAvgPool"
    size: int | Pair = 1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if min(pair(self.size)) < 1:
            yield f"size wants positive integers, got {self.size}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; [H, W, C] -> [P, Q, C]."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        out = TensorType((*pair(self.size), x.shape[2]), x.dtype)
        if any(n * m > MOST_WEIGHTS for n, m in zip(x.shape, pair(self.size), strict=False)):
            raise LayerError(
                f"wants pixels times windows of at most {MOST_WEIGHTS} a side, got {batched(x.shape)}; lower size", out
            )
        return Signature((), (), out)

    def label(self) -> str:
        """`adaptiveAvgPool 7x7`."""
        return f"adaptiveAvgPool {window_label(self.size, 1)}"


def window_bounds(length: int, count: int) -> tuple[Pair, ...]:
    """[floor(i length / count), ceil((i + 1) length / count)) for each i below count."""
    return tuple((i * length // count, -(-(i + 1) * length // count)) for i in range(count))


@dataclass(frozen=True)
class CeilMaxPool(Composite):
    """maxPool with as many windows as begin inside the image, the last reaching out of it where it must.

    This is torch's `ceil_mode=True` without padding: ceil((n - size) / stride) + 1 windows a side, less one where
    the last would begin outside. Source: torch.nn.MaxPool2d; Caffe's pooling.
    """

    kind: ClassVar[str] = "ceilMaxPool"
    size: int | Pair = 2
    stride: int | Pair | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from window_problems(self.size, self.size if self.stride is None else self.stride, "valid")

    def expand(self, x: TensorType) -> Layer:
        """The maxPool whose padding after the image is what the last window lacks."""
        step = pair(self.size if self.stride is None else self.stride)
        want_rank(self, x, 3, "H, W, C", "give an image")
        sides = [(0, _lack(n, k, s)) for n, k, s in zip(x.shape, pair(self.size), step, strict=False)]
        return MaxPool(self.size, step, (sides[0], sides[1]))

    def label(self) -> str:
        """`ceilMaxPool 3x3/2`."""
        return f"ceilMaxPool {window_label(self.size, self.size if self.stride is None else self.stride)}"


def _lack(length: int, size: int, stride: int) -> int:
    """How far the last window reaches beyond an axis."""
    last = -(-(length - size) // stride) * stride  # where it begins
    if last >= length:
        last -= stride
    return max(last + size - length, 0) if last >= 0 else 0
