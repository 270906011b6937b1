"""WaveNet's stack of gated dilated convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.channels import ChannelWindow, HalfProduct
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv1d import Conv1d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import want_tokens
from netc.netspec.types import TensorType, batched


@dataclass(frozen=True)
class WaveNetBlock(Composite):
    """y = sum_l S_l(z_l), z_l = tanh(F_l * h_l) sigmoid(G_l * h_l), h_0 = x, h_{l+1} = h_l + R_l(z_l).

    x is [T, residual], y [T, skip]; F_l and G_l are causal convolutions of `kernel` taps with dilation 2^l, l below
    `layers`, made as one convolution to 2 residual features; R_l and S_l are 1x1 convolutions (dense), made as one
    layer to residual + skip features. The last layer has no R. The gate
    is the published one; there is no other activation to choose. Source: van den Oord et al. 2016, eq. 2 and fig. 4.
    """

    kind: ClassVar[str] = "waveNetBlock"
    residual: int
    skip: int
    layers: int = 10
    kernel: int = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(residual=self.residual, skip=self.skip, kernel=self.kernel)
        yield from want_copies(layers=self.layers)
        if self.layers > 20:
            yield f"layers wants at most 20, whose dilation is 2^19, got {self.layers}; put several blocks in a row"

    def expand(self, x: TensorType) -> Layer:
        """h and the sum of skips travel side by side; each layer adds to both."""
        _, width = want_tokens(self, x)
        r, both = self.residual, self.residual + self.skip
        if width != r:
            raise LayerError(
                f"wants [batch, T, {r}], got {batched(x.shape)}; put dense to {r} features before it",
                TensorType((x.shape[0], self.skip), x.dtype),
            )
        steps = [Residual(self._gated(level, both), name=f"layer{level}") for level in range(self.layers - 1)]
        last = Residual(
            self._gated(self.layers - 1, self.skip), ChannelWindow(r, self.skip), name=f"layer{self.layers - 1}"
        )
        return Chain((ChannelWindow(0, both, name="start"), *steps, last))

    def _gated(self, level: int, features: int) -> Layer:
        halves = Split((Activation("tanh", name="filter"), Activation("sigmoid", name="gate")), name="halves")
        return Chain((
            ChannelWindow(0, self.residual, name="h"),
            Conv1d(2 * self.residual, self.kernel, dilation=2**level, name="dilated"),
            halves,
            HalfProduct(name="product"),
            Dense(features, name="out"),
        ))  # fmt: skip

    def label(self) -> str:
        """`waveNetBlock 32/64 x10`."""
        return f"waveNetBlock {self.residual}/{self.skip} x{self.layers}"
