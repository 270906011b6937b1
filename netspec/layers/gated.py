"""Perceptrons whose hidden layer is gated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, want_positive, want_spread
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.channels import HalfProduct
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import want_tokens
from netc.netspec.types import TensorType


def gated(mlp: int, activation: str, bias: bool, std: float) -> tuple[Layer, ...]:
    """act(gate(x)) * up(x): gate and up are one product, the gate's features first."""
    return (
        Dense(2 * mlp, bias=bias, std=std, name="in"),
        Split((Activation(activation, name="gate"), Identity(name="up")), name="halves"),
        HalfProduct(name="product"),
    )


@dataclass(frozen=True)
class GatedMlp(Composite):
    """y = out(act(gate(x)) * up(x)), gate and up dense to `mlp` features, out back to D: tokens [T, D].

    With the swish it is SwiGLU. Gate and up are one product `in`, whose kernel starts normal with standard deviation
    `std`, as out's does. Source: Shazeer 2020, eq. 6; without biases as in LLaMA.
    """

    kind: ClassVar[str] = "gatedMlp"
    aliases: ClassVar[tuple[str, ...]] = ("swiGlu",)
    mlp: int
    activation: ActivationWord = "swish"
    bias: bool = False
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(mlp=self.mlp)
        yield from activation_problems(self.activation)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """dense to 2 mlp, the activation on one half, the product of both, dense to D."""
        _, width = want_tokens(self, x)
        out = Dense(width, bias=self.bias, std=self.std, name="out")
        return Chain((*gated(self.mlp, self.activation, self.bias, self.std), out))

    def label(self) -> str:
        """`gatedMlp 8192 swish`."""
        return f"gatedMlp {self.mlp} {self.activation}"
