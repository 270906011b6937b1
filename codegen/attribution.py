"""The gradient of a net's output to its input and to its last map of features, and a step of an attack along it.

Both go through the pullbacks of the layers in evaluation: the running statistics are constants, nothing is dropped.
"""

from __future__ import annotations

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen.builder import Builder
from netc.codegen.inference import NAME, simplified
from netc.codegen.ir import Module, Value
from netc.codegen.losses import correct, emit_loss
from netc.codegen.rules import Pull, Scope, emit, emit_part
from netc.netspec.check import CheckedNet
from netc.netspec.layer import part_names, signature_of
from netc.netspec.loss import Loss
from netc.netspec.types import TensorType


def last_map(net: CheckedNet) -> str | None:
    """The net's own layer whose output is the last map of features [H, W, C] with more than one pixel; None without."""
    x, found = net.x, None
    for name, layer in zip(part_names(net.spec.layers), net.spec.layers, strict=True):
        x = signature_of(layer, x).out
        if len(x.shape) == 3 and x.shape[0] * x.shape[1] > 1:
            found = name
    return found if found != part_names(net.spec.layers)[-1] else None


def _taken(b: Builder, net: CheckedNet) -> dict[str, Value]:
    return {name: b.parameter(name, TensorType(shape)) for name, shape in net.shapes.items()}


def attribution_module(net: CheckedNet, batch: int, at: str | None = None) -> Module:
    """`predict` (parameters.., statistics.., x, dlogits) -> logits, dx, and, with a layer `at`, its output y and dy.

    dlogits is the cotangent of the logits: 1 at one class gives the gradient of that class's logit.
    """
    b = Builder(NAME)
    held = _taken(b, net)
    x = image = b.parameter("x", TensorType((batch, *net.x.shape), net.x.dtype))
    scope, pulls, maps = Scope(held, held, training=False), dict[str, Pull](), dict[str, Value]()
    for name, layer in zip(part_names(net.spec.layers), net.spec.layers, strict=True):
        part = emit_part(b, name, layer, scope, x)
        x, pulls[name], maps[name] = part.y, part.pull, part.y
    d = b.parameter("dlogits", x.type)
    results = [("logits", x)]
    for name in reversed(pulls):  # (g . f)* = f* . g*
        if name == at:
            results += [("y", maps[name]), ("dy", d)]
        d, _ = pulls[name](d)
    assert d.shape == image.shape
    return simplified(b.finish([*results, ("dx", d)]))


def attack_module(net: CheckedNet, loss: Loss, batch: int) -> Module:
    """A step of projected gradient ascent in the ball of the maximum norm (Madry et al. 2018).

    `predict` (parameters.., statistics.., x, near, y, step, radius, floor, ceiling) -> (x after the step, part of each
    example [B] that was right before it). x stays within `radius` of `near`, and within `floor` and `ceiling`, the
    range of a pixel; these four are [C], in the numbers that the net takes.
    """
    b = Builder(NAME)
    held = _taken(b, net)
    images, target = TensorType((batch, *net.x.shape)), loss.target(net.out)
    x, near = b.parameter("x", images), b.parameter("near", images)
    y = b.parameter("y", TensorType((batch, *target.shape), target.dtype))
    channels = TensorType(net.x.shape[-1:])
    step, radius, floor, ceiling = (b.parameter(n, channels) for n in ("step", "radius", "floor", "ceiling"))
    out = emit(b, net.spec.body, Scope(held, held, training=False), x)
    with b.at("loss"):
        judged = emit_loss(b, loss, out.y, y)
        right = correct(b, loss, out.y, y)
    with b.at("loss", "vjp"):
        dlogits = judged.pull(b.constant(1.0, TensorType((batch,))))
    dx, _ = out.pull(dlogits)
    with b.at("attack"):
        # x <- clip(x + step sign(dx)) to the ball around `near`, then to the range of a pixel
        none = b.constant(0.0, images)
        sign = b.select(
            b.compare("GT", dx, none), 1.0, b.select(b.compare("LT", dx, none), b.constant(-1.0, images), none)
        )
        moved = b.add(x, b.mul(sign, b.broadcast(step, x)))
        least = b.maximum(b.sub(near, b.broadcast(radius, x)), b.broadcast(floor, x))
        most = b.minimum(b.add(near, b.broadcast(radius, x)), b.broadcast(ceiling, x))
        moved = b.minimum(b.maximum(moved, least), most)
    return simplified(b.finish([("moved", moved), ("correct", right)]))
