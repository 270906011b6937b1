"""Elementwise activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, want_finite
from netc.netspec.types import Signature, TensorType

# name -> the equation, as the documentation prints it
ACTIVATIONS: dict[str, str] = {
    "identity": "x",
    "relu": "max(x, 0)",
    "relu6": "min(max(x, 0), 6)",
    "leaky-relu": "x where x > 0, else slope x",
    "sigmoid": "1 / (1 + exp(-x))",
    "tanh": "tanh(x)",
    "swish": "x sigmoid(x)",
    "h-sigmoid": "min(max(x + 3, 0), 6) / 6",
    "h-swish": "x h-sigmoid(x)",
    "gelu": "x (1 + erf(x / sqrt 2)) / 2",
    "gelu-tanh": "x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2",
}


def activation_problems(name: str) -> Iterator[str]:
    """Yield a sentence if no activation has this name."""
    if name not in ACTIVATIONS:
        yield f"activation wants one of {', '.join(ACTIVATIONS)}, got {name!r}"


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x) for each element; `function` is a key of ACTIVATIONS, `slope` is leaky-relu's.

    At a kink the derivative is that of the left branch: relu'(0) = 0, relu6'(0) = relu6'(6) = 0,
    h-sigmoid'(-3) = h-sigmoid'(3) = 0, leaky-relu'(0) = slope. Sources: relu6 and h-swish Howard et al. 2019;
    swish Ramachandran et al. 2017; gelu Hendrycks and Gimpel 2016.
    """

    kind: ClassVar[str] = "activation"
    function: str = "relu"
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
