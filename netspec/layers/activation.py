"""Elementwise activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Layer, want_finite
from netc.netspec.types import Signature, TensorType


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) for each element; `function` is a key of ACTIVATIONS, `slope` is leaky-relu's.

    At a kink the derivative is that of the left branch: relu'(0) = 0, relu6'(0) = relu6'(6) = 0,
    h-sigmoid'(-3) = h-sigmoid'(3) = 0, leaky-relu'(0) = slope. Sources: relu6 and h-swish Howard et al. 2019;
    swish Ramachandran et al. 2017; gelu Hendrycks and Gimpel 2016.
    """

    kind: ClassVar[str] = "activation"
    function: ActivationWord = "relu"
    slope: float = 0.01

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from activation_problems(self.function)
        if self.slope != 0.01 and self.function != "leaky-relu":
            yield f"slope belongs to leaky-relu, got slope={self.slope} with {self.function}; leave it out"
        yield from want_finite(slope=self.slope)

    def signature(self, x: TensorType) -> Signature:
        """No parameters; the output has the type of the input."""
        return Signature((), (), x)

    def label(self) -> str:
        """`relu`."""
        return self.function


@dataclass(frozen=True)
class SoftCap(Layer):
    """y = limit tanh(x / limit) for each element: nearly x where that is small, and never beyond the limit.

    Put on logits it bounds them. Source: Gemma Team 2024, section 2 (logit soft-capping), after Bello et al. 2017.
    """

    kind: ClassVar[str] = "softCap"
    limit: float

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_finite(limit=self.limit)
        if not self.limit > 0:
            yield f"limit wants a positive number, got {self.limit}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; the output has the type of the input."""
        return Signature((), (), x)

    def label(self) -> str:
        """`softCap 15`."""
        return f"softCap {self.limit:g}"
