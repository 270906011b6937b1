"""Transformers in JAX, block by block.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import (
    CrossAttention,
    MultiHeadAttention,
    PatchEmbed,
    SwinStage,
    TransformerDecoder,
    TransformerEncoder,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, under
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.attention import cross, linear, multi_head
from netc.proofs_oracle.references.norm import layer_norm, rms_norm
from netc.proofs_oracle.references.stochastic import drop_path, dropout

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors

    Body = Callable[[Tensors, Tensors, Array], Array]


def _normed(layer: TransformerEncoder | TransformerDecoder, params: Tensors, x: Array) -> Array:
    norm = {"layer": layer_norm, "rms": rms_norm}[layer.norm]
    return norm(x, params, epsilon=layer.epsilon)


def sum_with(
    layer: TransformerEncoder | TransformerDecoder, params: Tensors, state: Tensors, x: Array, body: Body
) -> Array:
    """x + body(norm(x)) or norm(x + body(x)); body gets the tensors under its own names."""
    if layer.norm_first:
        return x + body(under(params, "body"), under(state, "body"), _normed(layer, under(params, "body.norm"), x))
    inner = "residual.body"
    return _normed(layer, under(params, "norm"), x + body(under(params, inner), under(state, inner), x))


def mlp(params: Tensors, state: Tensors, x: Array, *, activation: str, rate: float, training: bool) -> Array:
    """Two affine maps with the activation between, dropout after each."""
    hidden = activate(activation, linear(params, "hidden", x))
    hidden = dropout(under(state, "dropout1"), hidden, rate, training)
    return dropout(under(state, "dropout2"), linear(params, "out", hidden), rate, training)


def path_rates(layer: TransformerEncoder | SwinStage) -> list[float]:
    """The rate of drop-path in each block."""
    ends = layer.drop_path if isinstance(layer.drop_path, tuple) else (layer.drop_path,) * 2
    return [float(rate) for rate in np.linspace(*ends, layer.blocks)]


def encode(layer: TransformerEncoder, params: Tensors, state: Tensors, x: Array, training: bool) -> Array:
    """Dosovitskiy et al. 2021, eq. 2 and 3, x [batch, T, D]."""
    attention = MultiHeadAttention(
        layer.heads, head_dim=layer.head_dim, causal=layer.causal, rope=layer.rope, dropout=layer.dropout,
        attention_dropout=layer.attention_dropout, groups=layer.groups,
    )  # fmt: skip
    for index, rate in enumerate(path_rates(layer)):

        def attend(p: Tensors, s: Tensors, h: Array, rate: float = rate) -> Array:
            h = multi_head(attention, under(p, "attention"), under(s, "attention"), h, training)
            return drop_path(under(s, "droppath"), h, rate, training)

        def think(p: Tensors, s: Tensors, h: Array, rate: float = rate) -> Array:
            h = mlp(p, s, h, activation=layer.activation, rate=layer.dropout, training=training)
            return drop_path(under(s, "droppath"), h, rate, training)

        for name, body in (("attention", attend), ("mlp", think)):
            path = f"block{index}.{name}"
            x = sum_with(layer, under(params, path), under(state, path), x, body)
    return x


def _encoder(layer: TransformerEncoder, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return encode(layer, params, state, x, training), {}


def _decoder(layer: TransformerDecoder, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    queries = jnp.broadcast_to(params["queries.tokens"], (x.shape[0], layer.queries, x.shape[2]))
    among = MultiHeadAttention(layer.heads, dropout=layer.dropout, attention_dropout=layer.attention_dropout)
    reads = CrossAttention(layer.heads, layer.queries, dropout=layer.dropout, attention_dropout=layer.attention_dropout)

    def attend(p: Tensors, s: Tensors, h: Array) -> Array:
        return multi_head(among, under(p, "attention"), under(s, "attention"), h, training)

    def think(p: Tensors, s: Tensors, h: Array) -> Array:
        return mlp(p, s, h, activation=layer.activation, rate=layer.dropout, training=training)

    def read(p: Tensors, s: Tensors, q: Array) -> Array:
        both = jnp.concatenate([q, x], axis=1)
        return cross(reads, under(p, "attention"), under(s, "attention"), both, training)

    for index in range(layer.blocks):
        block = f"block{index}"
        path = f"{block}.self.body"
        queries = sum_with(layer, under(params, path), under(state, path), queries, attend)
        path = f"{block}.cross.body"
        own, drawn = under(params, path), under(state, path)
        if layer.norm_first:
            normed = _normed(layer, under(own, "body.queries.body"), queries)
            queries = queries + read(under(own, "body"), under(drawn, "body"), normed)
        else:
            inner = "residual.body"
            queries = _normed(
                layer, under(own, "norm"), queries + read(under(own, inner), under(drawn, inner), queries)
            )
        path = f"{block}.mlp.body"
        queries = sum_with(layer, under(params, path), under(state, path), queries, think)
    return queries, {}


def _patch_embed(layer: PatchEmbed, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    patch = layer.patch
    kernel, bias = params["project.kernel"], params["project.bias"]
    tokens = [
        jnp.einsum("nabc,abcd->nd", x[:, i : i + patch, j : j + patch], kernel) + bias
        for i in range(0, x.shape[1], patch)
        for j in range(0, x.shape[2], patch)
    ]
    if layer.class_token:
        tokens.insert(0, jnp.broadcast_to(params["class.tokens"][0], tokens[0].shape))
    y = jnp.stack(tokens, axis=1)
    if layer.positions:
        y = y + params["embed.positions"]
    return dropout(under(state, "dropout"), y, layer.dropout, training), {}


GROUP: Any = "group"  # no such norm

REFERENCES = (
    Reference(
        "transformerEncoder",
        _encoder,
        (
            Case("plain", TransformerEncoder(2, 6), (3, 4)),
            Case("two-blocks", TransformerEncoder(1, 3, 2), (2, 4)),
            Case("causal-rope", TransformerEncoder(2, 6, causal=True, rope=True, head_dim=2), (4, 3)),
            Case("tiles", TransformerEncoder(2, 4, tile=2), (5, 4)),
            Case("groups", TransformerEncoder(2, 4, groups=2), (4, 4)),
            Case("rms-swish-biasless", TransformerEncoder(2, 6, activation="swish", norm="rms", bias=False), (3, 4)),
            Case("norm-after", TransformerEncoder(2, 6, norm_first=False, epsilon=1e-5), (3, 4)),
            Case(
                "drawing",
                TransformerEncoder(1, 3, 2, dropout=0.2, attention_dropout=0.3, drop_path=(0.0, 0.5)),
                (3, 4),
                batch=3,
            ),
            Case("batch-1", TransformerEncoder(2, 3), (3, 4), batch=1),
            Case("paths", TransformerEncoder(1, 3, 2, drop_path=0.3, norm_first=False), (2, 4), batch=3),
            Case("evaluation", TransformerEncoder(1, 3, dropout=0.2, drop_path=0.5), (3, 4), training=False),
        ),
        (
            BadCase(TransformerEncoder(3, 6), (3, 4), "wants a multiple of heads=3 channels, got [batch, 3, 4]"),
            BadCase(TransformerEncoder(2, 0), (3, 4), "mlp wants a positive integer, got 0"),
            BadCase(TransformerEncoder(2, 6, 0), (3, 4), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(TransformerEncoder(2, 6, drop_path=1.0), (3, 4), "drop_path wants numbers in [0, 1), got 1.0"),
            BadCase(TransformerEncoder(2, 6, activation="gelo"), (3, 4), "activation wants one of identity, relu"),
            BadCase(TransformerEncoder(2, 6, norm=GROUP), (3, 4), "norm wants one of layer, rms, got 'group'"),
            BadCase(TransformerEncoder(2, 6), (3, 4, 4), "wants [batch, T, D], got [batch, 3, 4, 4]"),
        ),
    ),
    Reference(
        "transformerDecoder",
        _decoder,
        (
            Case("plain", TransformerDecoder(2, 6, 1, 2), (3, 4)),
            Case("two-blocks", TransformerDecoder(1, 3, 2, 1), (2, 4)),
            Case("norm-after", TransformerDecoder(2, 6, 1, 2, activation="gelu", norm_first=False), (3, 4)),
            Case(
                "rms",
                TransformerDecoder(1, 3, 1, 3, norm="rms", activation="swish", bias=False, epsilon=0.1),
                (1, 4),
                batch=1,
            ),
            Case("drawing", TransformerDecoder(1, 3, 1, 2, dropout=0.2, attention_dropout=0.3), (3, 4)),
            Case(
                "drawing-norm-after",
                TransformerDecoder(1, 3, 1, 2, dropout=0.2, attention_dropout=0.3, norm_first=False),
                (3, 4),
            ),
            Case("evaluation", TransformerDecoder(1, 3, 1, 2, dropout=0.2), (3, 4), training=False),
        ),
        (
            BadCase(TransformerDecoder(2, 6, 1, 0), (3, 4), "queries wants a positive integer, got 0"),
            BadCase(TransformerDecoder(3, 6, 1, 2), (3, 4), "wants a multiple of heads=3 channels"),
            BadCase(TransformerDecoder(2, 6, 0, 2), (3, 4), "blocks wants an integer from 1 to 10000, got 0"),
        ),
    ),
    Reference(
        "patchEmbed",
        _patch_embed,
        (
            Case("plain", PatchEmbed(5, 2), (4, 6, 3)),
            Case("patches-alone", PatchEmbed(3, 2, class_token=False, positions=False), (4, 2, 2)),
            Case("class-alone", PatchEmbed(3, 2, positions=False), (2, 4, 1)),
            Case("one-pixel", PatchEmbed(4, 1), (2, 1, 3), batch=1),
            Case("one-patch", PatchEmbed(4, 3), (3, 3, 2)),
            Case("dropout", PatchEmbed(3, 2, dropout=0.4), (4, 4, 1)),
            Case("evaluation", PatchEmbed(3, 2, dropout=0.4), (4, 4, 1), training=False),
        ),
        (
            BadCase(PatchEmbed(4, 3), (4, 6, 3), "wants sides that are multiples of 3, got [batch, 4, 6, 3]"),
            BadCase(PatchEmbed(0, 3), (3, 6, 3), "dim wants a positive integer, got 0"),
            BadCase(PatchEmbed(4, 2), (16, 3), "wants [batch, H, W, C], got [batch, 16, 3]"),
        ),
    ),
)
