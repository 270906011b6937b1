"""GPTs as modded-nanoGPT and nanochat build them: norms without weights, relu², normalised queries and keys."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Chain,
    ChannelWindow,
    Dense,
    Identity,
    LayerScale,
    LMHead,
    Residual,
    RMSNorm,
    SelfAttention,
    Split,
    TokenPositionEmbed,
)
from netc.netspec.spec import NetSpec

CAP = 15.0
VALUES_START = 0.5  # of the factors of value embeddings: v + 0.5 e, where modded-nanoGPT has 0.5 v + 0.5 e


def _norm(name: str = "norm") -> Layer:
    return RMSNorm(1e-6, scale=False, name=name)


def _start(inputs: int) -> float:
    """The standard deviation of a kernel: that of a uniform distribution between +- sqrt(3 / inputs)."""
    return float(inputs**-0.5)


def _attention(width: int, heads: int, kv_heads: int, valued: bool) -> Layer:
    """h + out(attend(qkv(norm(h)))); `valued`, embeddings of values [T, E] lie behind h and are added to v, scaled."""
    each = width // heads
    values = kv_heads * each
    qkv = width + 2 * values
    last: tuple[Layer, ...] = (
        SelfAttention(heads, causal=True, rope=True, qk_norm=True, kv_heads=kv_heads, name="attend"),
        Dense(width, bias=False, std=0.0, name="out"),
    )
    first: tuple[Layer, ...] = (_norm(), Dense(qkv, bias=False, std=_start(width), name="qkv"))
    if not valued:
        return Residual(Chain((*first, *last)), name="attention")
    scaled = LayerScale(VALUES_START, name="values")
    added = Residual(  # the last `values` channels go on top of those before them, which are v
        Chain((ChannelWindow(qkv, values, name="take"), ChannelWindow(values - qkv, qkv, name="place"))),
        ChannelWindow(0, qkv),
        name="add",
    )
    both = Split((Chain(first, name="tokens"), scaled), (width, values), name="both")
    return Residual(Chain((both, added, *last)), ChannelWindow(0, width), name="attention")


def _block(index: int, width: int, attention: Layer, seen: int, later: int) -> Layer:
    """A block on `seen` channels: h, and the values' embeddings that it takes; `later` ones are for blocks to come."""
    perceptron = (
        _norm(),
        Dense(4 * width, bias=False, activation="relu2", std=_start(width), name="hidden"),
        Dense(width, bias=False, std=0.0, name="out"),
    )
    own, name = (attention, Residual(Chain(perceptron), name="mlp")), f"block{index}"
    if not later:
        return Chain(own, name=name)
    return Split((Chain(own, name="own"), Identity(name="later")), (seen, later), name=name)


def nanochat(
    name: str, vocabulary: int, layers: int, heads: int, kv_heads: int, width: int, context: int, *,
    values: bool, source: str,
) -> NetSpec:  # fmt: skip
    """With `values`, every second block, the last among them, adds an embedding of its token to its values.

    These embeddings are columns of the one table, behind those of h, and travel as channels behind h to their block.
    """
    wide = kv_heads * max(width // heads, 1)
    valued = [values and (layers - 1 - index) % 2 == 0 for index in range(layers)]
    later = sum(valued) * wide
    net: list[Layer] = [TokenPositionEmbed(vocabulary, width + later, positions=False, std=1.0, name="embed")]
    net.append(Split((_norm(), Identity(name="values")), (width, later), name="enter") if later else _norm("enter"))
    for index, takes in enumerate(valued):
        seen = width + wide * takes
        later -= wide * takes
        net.append(_block(index, width, _attention(width, heads, kv_heads, takes), seen, later))
    net += [_norm(), LMHead(vocabulary, cap=CAP, std=0.001, name="head")]
    return NetSpec(name, (context,), tuple(net), source, dtype="i32")


def tiny_nanochat(
    *, layers: int = 4, heads: int = 4, kv_heads: int = 4, width: int = 128, context: int = 64
) -> NetSpec:
    """Characters: 65 of them; with embeddings of values."""
    return nanochat(
        "tiny-nanochat", 65, layers, heads, kv_heads, width, context, values=True,
        source="netc's own size, beside tiny-gpt; as nanochat (Karpathy 2025), with the value embeddings of "
        "modded-nanoGPT (Jordan et al. 2024)",
    )  # fmt: skip
