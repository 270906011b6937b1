"""An optimizer in one file: what it is, its rule, its reference and its form in JAX."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.codegen.optim import RULES, OptimizerRule
from netc.netspec.optimizers import OPTIMIZERS, Optimizer, Word
from netc.netspec.plugins import for_oracle
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Lion(Optimizer):
    """p <- p - lr (sign(b1 m + (1 - b1) g) + weight_decay p); m <- b2 m + (1 - b2) g. Source: Chen et al. 2023."""

    kind: ClassVar[str] = "lion"
    interpolate: float = option(0.9, "Weight of the momentum in the sign.")
    retain: float = option(0.99, "Decay rate of the momentum.")
    weight_decay: float = 0.0

    def problems(self) -> Iterator[str]:
        for name in ("interpolate", "retain"):
            if not 0 <= getattr(self, name) < 1:
                yield f"lion: {name} wants a number in [0, 1), got {getattr(self, name)}"
        yield from super().problems()


def update(b, lion, p, g, decay, kept, lr):
    rate = b.broadcast(lr, p, ())
    c = b.add(b.mul(kept["m"], lion.interpolate), b.mul(g, 1 - lion.interpolate))
    sign = b.select(b.compare("GT", c, 0.0), 1.0, b.select(b.compare("LT", c, 0.0), b.constant(-1.0, p.type), 0.0))
    step = b.add(sign, b.mul(p, lion.weight_decay)) if decay and lion.weight_decay else sign
    return b.sub(p, b.mul(rate, step)), {"m": b.add(b.mul(kept["m"], lion.retain), b.mul(g, 1 - lion.retain))}


OPTIMIZERS.add("lion", Word(Lion), "evolved-sign-momentum")
RULES[Lion] = OptimizerRule(lambda lion: ("m",), (), lambda b, lion, scalars: {}, update)


@for_oracle
def reference() -> None:
    import numpy as np

    from netc.proofs_oracle.references.optimizers import OPTIMIZERS as REFERENCES
    from netc.proofs_oracle.references.optimizers import OptimizerCase, OptimizerReference

    def one(o, p, g, old, at):
        sign = np.sign(o.interpolate * old["m"] + (1 - o.interpolate) * g)
        return p - at.lr * (sign + at.decay * p), {"m": o.retain * old["m"] + (1 - o.retain) * g}

    def form(o):
        decay = [f"new = new - lr * {o.weight_decay!r} * w * PARAMETERS[name][3]"] if o.weight_decay else []
        return [
            f"new = w - lr * jnp.sign({o.interpolate!r} * kept['m'] + {1 - o.interpolate!r} * g)",
            *decay,
            f"kept['m'] = {o.retain!r} * kept['m'] + {1 - o.retain!r} * g",
        ]

    cases = (OptimizerCase("plain", Lion()), OptimizerCase("decay", Lion(weight_decay=0.1)))
    REFERENCES[Lion] = OptimizerReference(one, lambda o: ("m",), cases, form=form)
