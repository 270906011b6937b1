"""One layer's rule, or one loss, as a function to prove: <dy, y> and the emitted gradients to input and parameters."""

from __future__ import annotations

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen.builder import Builder
from netc.codegen.ir import Function
from netc.codegen.losses import emit_loss
from netc.codegen.rules import Scope, emit
from netc.codegen.slots import KEY
from netc.netspec.layer import Layer, signature_of
from netc.netspec.loss import Loss
from netc.netspec.types import TensorType


def layer_function(layer: Layer, x: TensorType, batch: int) -> tuple[Function, tuple[str, ...]]:
    """(params, states, x, dy) -> (<dy, y>, dx, dparams), in training, and the names of what has a gradient.

    `x` is the type of one example. Indices have no gradient.
    """
    signature = signature_of(layer, x)
    b = Builder("gradients")
    params = {p.name: b.parameter(p.name, TensorType(p.shape)) for p in signature.params}
    state = {s.name: b.parameter(s.name, TensorType(s.shape)) for s in signature.state}
    key = b.parameter("key", KEY) if signature.draws else None
    image = b.parameter("x", TensorType((batch, *x.shape), x.dtype))
    where = layer.name or layer.kind
    with b.at(where):
        out = emit(b, layer, Scope(params, state, True, key=key), image)
    dy = b.parameter("dy", out.y.type)
    with b.at("<dy, y>"):
        inner = b.sum(b.mul(dy, out.y), tuple(range(out.y.type.rank)))
    with b.at(where, "vjp"):
        dx, grads = out.pull(dy)
    found = {p.name: grads[p.name] for p in signature.params}
    if x.dtype == "f32":
        found = {"x": dx, **found}
    return b.finish([("loss", inner), *found.items()]), tuple(found)


def loss_function(loss: Loss, out: TensorType, batch: int) -> tuple[Function, tuple[str, ...]]:
    """(output, target) -> (mean loss, doutput), and the name of what has a gradient."""
    b = Builder("gradients")
    z = b.parameter("output", TensorType((batch, *out.shape), out.dtype))
    wanted = loss.target(out)
    target = b.parameter("target", TensorType((batch, *wanted.shape), wanted.dtype))
    with b.at(loss.kind):
        judged = emit_loss(b, loss, z, target)
        mean = b.mul(b.sum(judged.each, (0,)), 1 / batch)
    with b.at(loss.kind, "vjp"):
        dz = judged.pull(b.constant(1 / batch, TensorType((batch,))))
    return b.finish([("loss", mean), ("output", dz)]), ("output",)
