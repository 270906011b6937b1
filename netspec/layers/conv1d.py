"""Convolution along a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_positive
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.tokens import SpatialFlatten, SpatialUnflatten, want_tokens
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Conv1d(Composite):
    """y[t, o] = act(bias[o] + sum_{a, i} x[t + d a - before, g(o) I + i] kernel[a, 0, i, o]), x [T, C] and 0 outside.

    d is the dilation, g(o) the group of output o and I = C / groups its inputs, as in conv2d. With `causal` padding
    y[t] sees x up to t and nothing later: before = d (kernel - 1), and T stays. `valid` has before = 0 and T shrinks
    by d (kernel - 1). Source: van den Oord et al. 2016 (WaveNet), section 2.1.
    """

    kind: ClassVar[str] = "conv1d"
    features: int
    kernel: int = 3
    padding: Literal["causal", "valid"] = "causal"
    groups: int = 1
    dilation: int = 1
    bias: bool = True
    activation: ActivationWord = "identity"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, kernel=self.kernel, groups=self.groups, dilation=self.dilation)
        if self.padding not in ("causal", "valid"):
            yield f"padding wants 'causal' or 'valid', got {self.padding!r}"
        if self.groups >= 1 and self.features % self.groups:
            yield f"features wants a multiple of groups={self.groups}, got {self.features}"
        yield from activation_problems(self.activation)

    def expand(self, x: TensorType) -> Layer:
        """The sequence as an image one pixel wide, a convolution, and back."""
        length, _ = want_tokens(self, x)
        before = self.dilation * (self.kernel - 1) if self.padding == "causal" else 0
        return Chain((
            SpatialUnflatten(length, 1, name="image"),
            Conv2d(
                self.features, (self.kernel, 1), padding=((before, 0), (0, 0)), groups=self.groups,
                dilation=(self.dilation, 1), bias=self.bias, activation=self.activation, name="conv",
            ),
            SpatialFlatten(name="sequence"),
        ))  # fmt: skip

    def label(self) -> str:
        """`conv1d 64 k3 d2`."""
        dilation = "" if self.dilation == 1 else f" d{self.dilation}"
        groups = "" if self.groups == 1 else f" g{self.groups}"
        return f"conv1d {self.features} k{self.kernel}{dilation}{groups}"
