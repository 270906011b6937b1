"""A loss in one file: what it is, its rule, its reference and its cases."""

from dataclasses import dataclass
from typing import ClassVar

from netc.codegen.losses import EmittedLoss, loss_rule, mean_of_each
from netc.netspec.loss import LOSSES, Elementwise
from netc.netspec.plugins import for_oracle


@dataclass(frozen=True)
class AbsoluteError(Elementwise):
    """scale |z - t|, the mean over all elements; at z = t its derivative is 0."""

    kind: ClassVar[str] = "absoluteError"
    scale: float = 1.0


@loss_rule(AbsoluteError)
def emit(b, loss, z, target):
    off = b.sub(z, target)
    sign = b.select(b.compare("GT", off, 0.0), 1.0, b.select(b.compare("LT", off, 0.0), b.constant(-1.0, z.type), 0.0))
    share = loss.scale * z.shape[0] / z.type.size

    def pull(d):  # dz = scale sign(z - t) d / n
        return b.mul(b.mul(b.broadcast(d, z, (0,)), share), sign)

    return EmittedLoss(b.mul(mean_of_each(b, b.mul(off, sign)), loss.scale), pull)


LOSSES.add("absoluteError", AbsoluteError, "mae", "L1Loss")


@for_oracle
def reference() -> None:
    import jax.numpy as jnp

    from netc.proofs_oracle.references import losses

    def each(loss, z, target):
        return loss.scale * jnp.mean(jnp.abs(z - target).reshape(z.shape[0], -1), axis=1)

    losses.LOSSES["absoluteError"] = each
    losses.CASES.extend([
        losses.LossCase("vector", AbsoluteError(), (4,)), losses.LossCase("image", AbsoluteError(0.5), (3, 2, 2)),
    ])  # fmt: skip
