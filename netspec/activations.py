"""Activations: functions of one element, which layers name by a word. `ACTIVATIONS` is the vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from netc.netspec.vocabulary import Vocabulary


@dataclass(frozen=True)
class Function:
    """An activation's equation, as the documentation prints it, and whether it has a derivative everywhere."""

    equation: str
    smooth: bool = True


ACTIVATIONS: Vocabulary[Function] = Vocabulary("activation")
ACTIVATIONS.add("identity", Function("x"), "linear", "none")
ACTIVATIONS.add("relu", Function("max(x, 0)", smooth=False))
ACTIVATIONS.add("relu2", Function("max(x, 0)^2"), "squared-relu")
ACTIVATIONS.add("relu6", Function("min(max(x, 0), 6)", smooth=False))
ACTIVATIONS.add("leaky-relu", Function("x where x > 0, else slope x", smooth=False), "lrelu")
ACTIVATIONS.add("sigmoid", Function("1 / (1 + exp(-x))"), "logistic")
ACTIVATIONS.add("tanh", Function("tanh(x)"))
ACTIVATIONS.add("swish", Function("x sigmoid(x)"), "silu")
ACTIVATIONS.add("h-sigmoid", Function("min(max(x + 3, 0), 6) / 6", smooth=False), "hard-sigmoid")
ACTIVATIONS.add("h-swish", Function("x h-sigmoid(x)", smooth=False), "hard-swish", "hard-silu")
ACTIVATIONS.add("gelu", Function("x (1 + erf(x / sqrt 2)) / 2"), "gelu-erf", "gelu-exact")
ACTIVATIONS.add(
    "gelu-tanh", Function("x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2"), "gelu-new", "gelu-approximate"
)

ActivationWord = Annotated[str, ACTIVATIONS]
"""The type of a layer's field that names an activation: an alias in it becomes the word."""


def activation_problems(name: str, option: str = "activation") -> Iterator[str]:
    """Yield a sentence if no activation has this name."""
    if name not in ACTIVATIONS:
        yield ACTIVATIONS.problem(name, option)
