"""An optimizer in one file: what it is, its rule, its reference and its form in JAX."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.codegen.optim import RULES, OptimizerRule
from netc.netspec.optimizers import OPTIMIZERS, Optimizer, Word
from netc.netspec.plugins import for_oracle
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Signum(Optimizer):
    """m <- b m + (1 - b) g; p <- p - lr (sign(m) + weight_decay p). Source: Bernstein et al. 2018."""

    kind: ClassVar[str] = "signum"
    retain: float = option(0.9, "Decay rate of the momentum.")
    weight_decay: float = 0.0

    def problems(self) -> Iterator[str]:
        if not 0 <= self.retain < 1:
            yield f"signum: retain wants a number in [0, 1), got {self.retain}"
        yield from super().problems()


def update(b, signum, p, g, decay, kept, lr):
    rate = b.broadcast(lr, p, ())
    m = b.add(b.mul(kept["m"], signum.retain), b.mul(g, 1 - signum.retain))
    sign = b.select(b.compare("GT", m, 0.0), 1.0, b.select(b.compare("LT", m, 0.0), b.constant(-1.0, p.type), 0.0))
    step = b.add(sign, b.mul(p, signum.weight_decay)) if decay and signum.weight_decay else sign
    return b.sub(p, b.mul(rate, step)), {"m": m}


OPTIMIZERS.add("signum", Word(Signum), "sign-of-momentum")
RULES[Signum] = OptimizerRule(lambda signum: ("m",), (), lambda b, signum, scalars: {}, update)


@for_oracle
def reference() -> None:
    import numpy as np

    from netc.proofs_oracle.references.optimizers import OPTIMIZERS as REFERENCES
    from netc.proofs_oracle.references.optimizers import OptimizerCase, OptimizerReference

    def one(o, p, g, old, at):
        m = o.retain * old["m"] + (1 - o.retain) * g
        return p - at.lr * (np.sign(m) + at.decay * p), {"m": m}

    def form(o):
        decay = [f"new = new - lr * {o.weight_decay!r} * w * PARAMETERS[name][3]"] if o.weight_decay else []
        return [
            f"kept['m'] = {o.retain!r} * kept['m'] + {1 - o.retain!r} * g",
            "new = w - lr * jnp.sign(kept['m'])",
            *decay,
        ]

    cases = (OptimizerCase("plain", Signum()), OptimizerCase("decay", Signum(weight_decay=0.1)))
    REFERENCES[Signum] = OptimizerReference(one, lambda o: ("m",), cases, form=form)
