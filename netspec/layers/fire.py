"""The fire module of SqueezeNet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_positive
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import Conv2d
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class FireModule(Composite):
    """s = act(conv1x1(x)) of `squeeze` channels; y = concat(act(conv1x1(s)), act(conv3x3(s))).

    The two halves have `expand1x1` and `expand3x3` channels; every convolution has a bias and no normalisation.
    Source: Iandola et al. 2016, section 3.2.
    """

    kind: ClassVar[str] = "fireModule"
    squeeze: int
    expand1x1: int
    expand3x3: int
    activation: ActivationWord = "relu"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(squeeze=self.squeeze, expand1x1=self.expand1x1, expand3x3=self.expand3x3)
        yield from activation_problems(self.activation)

    def expand(self, x: TensorType) -> Layer:
        """The squeeze, then a concat of the two expansions."""

        def conv(features: int, kernel: int, name: str) -> Layer:
            return Conv2d(features, kernel, padding="same-symmetric", activation=self.activation, name=name)

        both = (conv(self.expand1x1, 1, "expand1x1"), conv(self.expand3x3, 3, "expand3x3"))
        return Chain((conv(self.squeeze, 1, "squeeze"), Concat(both, name="expand")))

    def label(self) -> str:
        """`fireModule 16-64-64`."""
        return f"fireModule {self.squeeze}-{self.expand1x1}-{self.expand3x3}"
