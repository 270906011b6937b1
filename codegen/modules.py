"""Modules of one rule, a layer's, a loss's or an optimizer's, for the oracle and the tests."""

from __future__ import annotations

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Value
from netc.codegen.losses import correct, emit_loss
from netc.codegen.optim import rule_of
from netc.codegen.rules import Scope, emit
from netc.codegen.slots import KEY, SCALAR
from netc.netspec.layer import Layer, signature_of
from netc.netspec.loss import Loss
from netc.netspec.recipe import Optimizer
from netc.netspec.types import Signature, TensorType


def layer_module(layer: Layer, x: TensorType, batch: int, *, training: bool = True) -> Module:
    """`forward` (params, state, x) -> (y, new state) and `vjp` (params, state, x, dy) -> (y, dx, dparams, new state).

    Where the layer draws, a key [2] ui32 follows the states. `x` is the type of one example. Parameters and states are
    in the order of the layer's signature.
    """
    signature = signature_of(layer, x)
    return Module(
        layer.kind, tuple(_layer_function(n, layer, signature, x, batch, training) for n in ("forward", "vjp"))
    )


def _layer_function(
    name: str, layer: Layer, signature: Signature, x: TensorType, batch: int, training: bool
) -> Function:
    b = Builder(name)
    params = {p.name: b.parameter(p.name, TensorType(p.shape)) for p in signature.params}
    state = {s.name: b.parameter(s.name, TensorType(s.shape)) for s in signature.state}
    key = b.parameter("key", KEY) if signature.draws and training else None
    image = b.parameter("x", TensorType((batch, *x.shape), x.dtype))
    with b.at(layer.name or layer.kind):
        out = emit(b, layer, Scope(params, state, training, key=key), image)
    results = [("y", out.y)]
    if name == "vjp":
        dy = b.parameter("dy", out.y.type)
        with b.at(layer.name or layer.kind, "vjp"):
            dx, grads = out.pull(dy)
        results += [("dx", dx), *((f"d{p.name}", grads[p.name]) for p in signature.params)]
    return b.finish(results + [(s.name, out.state[s.name]) for s in signature.state])


def loss_module(loss: Loss, out: TensorType, batch: int) -> Module:
    """`vjp` (output [B, *out], target [B, *loss.target(out)]) -> (mean loss, doutput, part that is correct [B])."""
    b = Builder("vjp")
    z = b.parameter("output", TensorType((batch, *out.shape), out.dtype))
    wanted = loss.target(out)
    target = b.parameter("target", TensorType((batch, *wanted.shape), wanted.dtype))
    judged = emit_loss(b, loss, z, target)
    mean = b.mul(b.sum(judged.each, (0,)), 1 / batch)
    dz = judged.pull(b.constant(1 / batch, TensorType((batch,))))
    results = [("loss", mean), ("doutput", dz), ("correct", correct(b, loss, z, target))]
    return Module(loss.kind, (b.finish(results),))


def optimizer_module(optimizer: Optimizer, shapes: tuple[tuple[int, ...], ...], decay: tuple[bool, ...]) -> Module:
    """`init` () -> kept and `update` (params, grads, kept, lr) -> (params, kept).

    kept: the moments, name by name over all parameters, then the scalars.
    """
    rule = rule_of(optimizer)
    places = {
        (m, i): TensorType(shape)
        for m in rule.moments(optimizer)
        for i, s in enumerate(shapes)
        if (shape := rule.shape(optimizer, m, s)) is not None
    }
    kept_types = [*places.values(), *[SCALAR] * len(rule.scalars)]
    start = Builder("init")
    zeros = start.finish([(f"kept{i}", start.constant(0, t)) for i, t in enumerate(kept_types)])
    b = Builder("update")
    params = [b.parameter(f"p{i}", TensorType(s)) for i, s in enumerate(shapes)]
    grads = [b.parameter(f"g{i}", TensorType(s)) for i, s in enumerate(shapes)]
    kept = [b.parameter(f"kept{i}", t) for i, t in enumerate(kept_types)]
    lr = b.parameter("lr", SCALAR)
    scalars = rule.advance(b, optimizer, {**dict(zip(rule.scalars, kept[len(places) :], strict=True)), "lr": lr})
    held = dict(zip(places, kept, strict=False))
    new_params: list[Value] = []
    new_moments: dict[tuple[str, int], Value] = {}
    for i, p in enumerate(params):
        own = {m: v for (m, of), v in held.items() if of == i}
        value, after = rule.update(b, optimizer, p, grads[i], decay[i], {**own, **scalars}, lr)
        new_params.append(value)
        new_moments.update({(m, i): v for m, v in after.items()})
    moments = [new_moments[place] for place in places]
    results = [*new_params, *moments, *(scalars[s] for s in rule.scalars)]
    return Module("optimizer", (zeros, b.finish([(f"r{i}", v) for i, v in enumerate(results)])))
