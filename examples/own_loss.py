"""A loss of your own: log(cosh(z - t)), quadratic near its target and linear far from it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import netc
from netc import layers as nn
from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.losses import EmittedLoss, loss_rule, mean_of_each
from netc.netspec.loss import LOSSES, Elementwise


@dataclass(frozen=True)
class LogCosh(Elementwise):
    """log(cosh(z - t)), the mean over all elements."""

    kind: ClassVar[str] = "logCosh"


LOSSES.add("logCosh", LogCosh)  # now `loss="logCosh"` is a word, and a run's folder may name it


@loss_rule(LogCosh)
def emit_log_cosh(b: Builder, loss: LogCosh, z: Value, target: Value) -> EmittedLoss:
    """log(cosh(d)) = log(exp(d) + exp(-d)) - log 2, d = z - t."""
    off = b.sub(z, target)
    each = b.sub(b.unary("log", b.add(b.unary("exp", off), b.unary("exp", b.mul(off, -1.0)))), float(np.log(2)))
    count = off.type.size // off.shape[0]

    def pull(d: Value) -> Value:
        # dz = d tanh(z - t) / n
        return b.mul(b.broadcast(b.mul(d, 1 / count), off, (0,)), b.unary("tanh", off))

    return EmittedLoss(mean_of_each(b, each), pull)


def main(target: str = "cpu", epochs: int = 20) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((512, 4))
    y = np.stack([x.sum(-1), x[:, 0] - x[:, 1]], -1)
    net = netc.NetSpec("fit", (4,), (nn.Dense(2),))
    run = netc.train(
        net, netc.Dataset.from_arrays(x, y), loss="logCosh", lr=0.02, batch=32, epochs=epochs, target=target
    )
    score = run.evaluate()
    print(f"test loss {score.loss:.4f}")
    found = netc.certify(net, loss="logCosh", target=target)
    print(f"the pullback is the derivative: {found.verdict}")


if __name__ == "__main__":
    main()
