"""What is judged: a layer's `forward` and `vjp` as functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from netc.codegen import evaluator
from netc.codegen.program import layer_module
from netc.netspec.layer import Layer
from netc.netspec.types import TensorType
from netc.proofs_oracle.draws import FloatArray
from netc.proofs_oracle.witness import Call, layer_vjp


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


def referenced(layer: Layer, x: TensorType, batch: int, training: bool) -> Subject:
    """The reference itself: judging it checks JAX's derivative of it against differences of it."""
    vjp = layer_vjp(layer, x, batch, training)

    def forward(args: Sequence[FloatArray]) -> list[FloatArray]:
        out = (batch, *layer.signature(x).out.shape)
        return vjp([*args, np.zeros(out)])[:1]

    return Subject(forward, vjp)
