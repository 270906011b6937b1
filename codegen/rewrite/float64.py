"""Double precision: every float of a program is float64, but for what crosses to the host besides the state.

A batch, a learning rate and a weight come as float32, whose numbers float64 has too, and are widened where they enter;
metrics, sums and outputs are rounded to float32 where they leave. So a host feeds and reads a program of float64 as any
other, and its parameters, statistics, moments and averages are float64, as is all that is computed.

It runs before forms are selected, and does not choose the precision op by op.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Value
from netc.netspec.types import TensorType


def widened(t: TensorType) -> TensorType:
    """The type with float64 in place of float32."""
    return TensorType(t.shape, "f64") if t.dtype == "f32" else t


def to_f64(function: Function, state: Container[str]) -> Function:
    """The function in float64; arguments and results that `state` names are float64 too, and others as they were.

    Of a private function, which no host calls, all are float64.
    """
    b = Builder(function.name)
    new: dict[Value, Value] = {}

    def inside(name: str) -> bool:
        return function.private or name in state

    for name, old in zip(function.names, function.params, strict=True):
        new[old] = b.parameter(name, widened(old.type) if inside(name) else old.type)
    b.place("widened")
    for name, old in zip(function.names, function.params, strict=True):
        if not inside(name):
            new[old] = b.convert(new[old], widened(old.type).dtype)
    for op in function.ops:
        b.place(op.loc)
        attrs = {k: "f64" if k == "dtype" and v == "f32" else v for k, v in op.attrs}
        made = b.again(op.kind, tuple(new[v] for v in op.operands), attrs)
        new.update(zip(op.results, made, strict=True))
    b.place("rounded")
    results = [
        (name, new[v] if inside(name) else b.convert(new[v], v.type.dtype))
        for name, v in zip(function.result_names, function.results, strict=True)
    ]
    return replace(b.finish(results), donated=function.donated, private=function.private)
