"""What is judged: a layer's `forward` and `vjp` as functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.codegen import evaluator
from netc.codegen.modules import layer_module
from netc.netspec.layer import Layer
from netc.netspec.types import TensorType
from netc.proofs_oracle.witness import Call


@dataclass(frozen=True)
class Subject:
    """Two functions of tensors in signature order.

    forward: (params.., states.., x) -> (y, ..).
    vjp: (params.., states.., x, dy) -> (y, dx, dparams.., new states..).
    """

    forward: Call
    vjp: Call


Make = Callable[[Layer, TensorType, int, bool], Subject]  # layer, type of one example, batch, training


def emitted(layer: Layer, x: TensorType, batch: int, training: bool) -> Subject:
    """What codegen emits for this layer, by the meaning of the IR's operations in float64."""
    module = layer_module(layer, x, batch, training=training)

    def call(name: str) -> Call:
        return lambda args: evaluator.run(module, name, args, "f64")

    return Subject(call("forward"), call("vjp"))
