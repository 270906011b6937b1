"""Squeeze-excitation: channels scaled by what the whole image says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_positive, want_rank
from netc.netspec.layers.combine import Chain, Gate
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.pool import GlobalAvgPool
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class SqueezeExcite(Composite):
    """y[p, q, c] = x[p, q, c] s[c], s = gate(act(mean_{p,q}(x) W1 + b1) W2 + b2).

    W1 is [C, width], W2 [width, C]: what others write as 1x1 convolutions of the [1, 1, C] mean. Source: Hu et al.
    2018, eq. 2 to 4; torchvision.ops.SqueezeExcitation (both maps with a bias). MobileNetV3 has gate "h-sigmoid".
    """

    kind: ClassVar[str] = "squeezeExcite"
    width: int
    activation: ActivationWord = "relu"
    gate: ActivationWord = "sigmoid"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(width=self.width)
        yield from activation_problems(self.activation)
        yield from activation_problems(self.gate, "gate")

    def expand(self, x: TensorType) -> Layer:
        """A gate whose body is globalAvgPool, dense, dense."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        return Gate(Chain((
            GlobalAvgPool(name="pool"),
            Dense(self.width, activation=self.activation, name="reduce"),
            Dense(x.shape[-1], activation=self.gate, name="expand"),
        )))  # fmt: skip

    def label(self) -> str:
        """`squeezeExcite 8`."""
        return f"squeezeExcite {self.width}"
