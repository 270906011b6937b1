"""Gates of experts. What they add to the loss is handed on in a list among the new statistics."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import TopKGates
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "top_k_gates": '''
def top_k_gates(x, new, training, top, balance, each):
    """The softmax of the `top` largest of x [.., E], 0 for the others, each weight in `each` channels in a row.

    With top 1 it is the softmax of all, as that of one would be 1.
    """
    values, places = lax.top_k(x, top)
    experts = x.shape[-1]
    hot = jax.nn.one_hot(places, experts)
    if training and balance:  # E times the sum of each expert's share of the choices and its mean probability
        shares = hot.sum(-2).reshape(-1, experts).mean(0) / top
        means = jax.nn.softmax(x).reshape(-1, experts).mean(0)
        new.setdefault("(losses)", []).append(balance * experts * jnp.sum(lax.stop_gradient(shares) * means))
    weights = jnp.exp(values - jax.nn.logsumexp(x if top == 1 else values, axis=-1, keepdims=True))
    return jnp.repeat(jnp.einsum("...k,...ke->...e", weights, hot), each, axis=-1)
''',
}


def _gates(w: Writer, layer: TopKGates, path: str, x: TensorType) -> list[str]:
    return [w.call("top_k_gates", "{}", "new", "training", layer.top, layer.balance, layer.each)]


LEAVES: dict[type[Layer], LeafText] = {TopKGates: _gates}
