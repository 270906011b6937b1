"""An activation in one file: its word, its rule and its reference, from which the JAX script takes its form."""

from netc.codegen.layers.activation import TABLE
from netc.netspec.activations import ACTIVATIONS, Function
from netc.netspec.plugins import for_oracle


def rule(b, x, slope):
    y = b.div(x, b.add(b.maximum(x, b.mul(x, -1.0)), 1.0))
    bottom = b.add(b.maximum(x, b.mul(x, -1.0)), 1.0)
    return y, lambda dy: b.div(dy, b.mul(bottom, bottom))  # dx = dy / (1 + |x|)²


ACTIVATIONS.add("softsign", Function("x / (1 + |x|)"), "soft-sign-function")
TABLE["softsign"] = rule


@for_oracle
def reference() -> None:
    import jax.numpy as jnp

    from netc.proofs_oracle.references.activation import FUNCTIONS

    def softsign(x, slope):
        return x / (1 + jnp.where(x > 0, x, -x))

    FUNCTIONS["softsign"] = softsign
