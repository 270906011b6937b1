"""What a net costs: floating-point operations of its forward pass, counted on the IR and named by layer."""

from __future__ import annotations

from collections.abc import Mapping

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen.builder import Builder
from netc.codegen.ops import OPS
from netc.codegen.rules import Scope, emit
from netc.netspec.check import CheckedNet
from netc.netspec.types import TensorType


def forward_flops(net: CheckedNet) -> dict[str, int]:
    """The flops of `predict` for one example, by the dotted path of the layer that the operations belong to.

    A multiply-add counts 2; any other arithmetic on an element, `exp` and comparisons too, counts 1; movement of
    data counts nothing. The forms that a target's profile chooses do not enter. Any output shape will do.
    Raises UserError if a layer has no rule yet.
    """
    b = Builder("predict")
    held = {name: b.parameter(name, TensorType(shape)) for name, shape in net.shapes.items()}
    x = b.parameter("x", TensorType((1, *net.x.shape), net.x.dtype))
    emit(b, net.spec.body, Scope(held, held, training=False), x)
    flops: dict[str, int] = {}
    for op in b.ops:
        flops[op.loc] = flops.get(op.loc, 0) + OPS[op.kind].flops(op)
    return flops


def with_parents(flops: Mapping[str, int]) -> dict[str, int]:
    """The same with every enclosing path: each holds its own operations and those of all its parts."""
    total: dict[str, int] = {}
    for loc, count in flops.items():
        parts = loc.split(".")
        for end in range(1, len(parts) + 1):
            path = ".".join(parts[:end])
            total[path] = total.get(path, 0) + count
    return total
