"""Layers that cut out channels, or multiply them with each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_finite, want_positive
from netc.netspec.layers.norm import channels_of
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class ChannelWindow(Layer):
    """y[.., c] = x[.., start + c] for c below `count`, 0 where that is outside x.

    It picks channels, and it makes room for new ones: both are how several tensors travel in one.
    """

    kind: ClassVar[str] = "channelWindow"
    start: int
    count: int

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(count=self.count)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        channels = channels_of(x)
        out = TensorType((*x.shape[:-1], self.count), x.dtype)
        if self.start >= channels or self.start + self.count <= 0:
            raise LayerError(
                f"wants a window that overlaps the {channels} channels, got {batched(x.shape)}; change start", out
            )
        return Signature((), (), out)

    def label(self) -> str:
        """`channelWindow 32:64`."""
        return f"channelWindow {self.start}:{self.start + self.count}"


@dataclass(frozen=True)
class HalfProduct(Layer):
    """y[.., c] = x[.., c] x[.., C + c]: the first half of the 2 C channels times the second.

    After a split that puts a sigmoid on one half it is the gated linear unit. Source: Dauphin et al. 2017, eq. 1.
    With `gates` G the first part is G channels, each of which multiplies a G-th of the others and `factor`, as the
    gates of heads: y[.., c] = factor x[.., c // (C / G)] x[.., G + c]. Source: nanochat (Karpathy 2025), gpt.py.
    """

    kind: ClassVar[str] = "halfProduct"
    gates: int = 0
    factor: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_finite(factor=self.factor)
        if self.gates < 0:
            yield f"gates wants 0 (as many as others) or a positive integer, got {self.gates}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        channels = channels_of(x)
        if self.gates:
            rest = channels - self.gates
            out = TensorType((*x.shape[:-1], max(rest, 1)), x.dtype)
            if rest < 1 or rest % self.gates:
                raise LayerError(
                    f"wants gates={self.gates} channels and a multiple of {self.gates} after them, got "
                    f"{batched(x.shape)}; change gates",
                    out,
                )
            return Signature((), (), out)
        out = TensorType((*x.shape[:-1], channels // 2), x.dtype)
        if channels % 2:
            raise LayerError(f"wants an even number of channels, got {batched(x.shape)}; make two equal halves", out)
        return Signature((), (), out)
