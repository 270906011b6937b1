"""What a teacher adds to the loss of a step (netspec/distilling.py). Nothing is derived by its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.losses import EmittedLoss, log_softmax, mean_of_each, share, spread
from netc.codegen.rules import Scope, emit
from netc.codegen.slots import TEACHER
from netc.netspec.distilling import Distilling
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of the examples: p = softmax(u / T) and its logarithm, [B, .., K]."""

    p: Value
    log_p: Value


@dataclass(frozen=True)
class Taught:
    """The loss beside a teacher: `mean` of the examples here as a share in the batch's, and the pullback of both."""

    mean: Value
    pull: Callable[[Value], Value]


def teach(b: Builder, distilling: Distilling, held: Mapping[str, Value], x: Value) -> Lesson | None:
    """What the teacher says of the examples x [B, ..], in evaluation; None where there is no teacher."""
    if distilling.net is None:
        return None
    own = {name: held[TEACHER + name] for name in distilling.shapes}
    with b.at("teacher"):
        u = emit(b, distilling.net.spec.body, Scope(own, own, False), x).y
        log_p = log_softmax(b, b.mul(u, 1 / distilling.distill_temperature))
        return Lesson(b.unary("exp", log_p), log_p)


def divergence(b: Builder, temperature: float, z: Value, lesson: Lesson) -> EmittedLoss:
    """T² sum_k p (log p - log q), q = softmax(z / T): 0 where z = u, as both are made by the same operations.

    q is exp(log q): of the quotient of exp and its sum IREE 3.12 makes a softmax of its own, which it cannot join
    with what else reads the exponents (docs/known-limits.md).
    """
    log_q = log_softmax(b, b.mul(z, 1 / temperature))
    at = b.sum(b.mul(lesson.p, b.sub(lesson.log_p, log_q)), (len(z.shape) - 1,))

    def pull(d: Value) -> Value:  # dz = d T² (1 / T) (q - p), as p sums to 1
        each = spread(b, share(b, b.mul(d, temperature), at), z)
        return b.mul(each, b.sub(b.unary("exp", log_q), lesson.p))

    return EmittedLoss(b.mul(mean_of_each(b, at), temperature**2), pull)


def taught(b: Builder, distilling: Distilling, z: Value, lesson: Lesson | None, mean: Value, share: float) -> Taught:
    """The mean loss with what the teacher says of the output z, an example of which counts `share`."""
    if lesson is None:
        return Taught(mean, lambda dz: dz)
    a = distilling.distill_weight
    found = divergence(b, distilling.distill_temperature, z, lesson)
    both = b.add(b.mul(mean, 1 - a), b.mul(b.sum(found.each, (0,)), a * share))

    def pull(dz: Value) -> Value:  # (1 - a) dz + a times the divergence's
        own = found.pull(b.constant(a * share, TensorType(z.shape[:1])))
        return b.add(b.mul(dz, 1 - a), own)

    return Taught(both, pull)
