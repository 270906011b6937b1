"""GPTs as modded-nanoGPT and nanochat build them: norms without weights, relu², normalised queries and keys."""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Chain,
    ChannelWindow,
    Concat,
    Dense,
    HalfProduct,
    Identity,
    LayerScale,
    LMHead,
    PreviousToken,
    Residual,
    RMSNorm,
    SelfAttention,
    Split,
    TokenPositionEmbed,
)
from netc.netspec.spec import NetSpec

CAP = 15.0
SMEAR_CHANNELS, GATE_CHANNELS = 24, 12  # of a token, from which its gates are computed
GATE = 3.0  # the most that a gate lets in of an embedding of values
RESIDUAL, FIRST = (1.15, 1.05), (0.2, 0.05)  # the factors of h and of the first h, in the first and the last block
BACKOUT = 0.2
VALUES_START = 0.5  # of the factors of value embeddings: v + 0.5 e, where modded-nanoGPT has 0.5 v + 0.5 e


def _norm(name: str = "norm") -> Layer:
    return RMSNorm(1e-6, scale=False, name=name)


def _start(inputs: int) -> float:
    """The standard deviation of a kernel: that of a uniform distribution between +- sqrt(3 / inputs)."""
    return float(inputs**-0.5)


def _gate(channels: int, gates: int, name: str) -> Layer:
    """sigmoid(W x), x the first channels of each token."""
    dense = Dense(gates, bias=False, activation="sigmoid", std=0.01, name="gate")
    return Chain((ChannelWindow(0, channels, name="first"), dense), name=name)


def _smeared(width: int) -> Layer:
    """x[t] + s sigmoid(w x[t]) x[t - 1]; s begins at 0."""
    gate = Chain((_gate(min(SMEAR_CHANNELS, width), 1, "gate"), LayerScale(0.0, name="strength")), name="weight")
    both = Concat((gate, PreviousToken(name="before")), name="both")
    return Residual(Chain((both, HalfProduct(1, name="share"))), name="smear")


def _scaled(start: int, width: int, factor: float, name: str) -> Layer:
    """`width` channels from `start` on times a trained number that begins at `factor`."""
    return Chain((ChannelWindow(start, width), LayerScale(factor, shared=True, name="factor")), name=name)


def _mixed(index: int, layers: int, width: int, start: int, others: int) -> Layer:
    """h becomes r h + z x, x the `width` channels from `start` on; the `others` behind h stay as they are."""
    depth = index / max(layers - 1, 1)
    r, z = (a + depth * (b - a) for a, b in (RESIDUAL, FIRST))
    mixed = Residual(_scaled(0, width, r, "now"), _scaled(start, width, z, "start"), name="mixed")
    return Concat((mixed, ChannelWindow(width, others, name="others")), name=f"mix{index}")


def _let_in(width: int, values: int, kv_heads: int, qkv: Layer) -> Layer:
    """Of h and embeddings of values behind it: qkv(norm(h)), and the embeddings, each head's times its gate."""
    seen = Split((_norm(), Identity(name="values")), (width, values), name="seen")
    gates = _gate(min(GATE_CHANNELS, width), kv_heads, "gates")
    own = Concat((gates, ChannelWindow(width, values, name="values")), name="own")
    sides = (
        Chain((ChannelWindow(0, width, name="normed"), qkv), name="tokens"),
        Chain((own, HalfProduct(kv_heads, GATE, name="gated")), name="values"),
    )
    return Chain((seen, Concat(sides, name="sides")), name="both")


def _attention(width: int, heads: int, kv_heads: int, valued: bool, gated: bool) -> Layer:
    """h + out(attend(qkv(norm(h)))); `valued`, embeddings of values [T, E] lie behind h and are added to v, scaled.

    `gated`, by a gate of each token and head of keys in place of numbers that are the same for all tokens.
    """
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
    both: Layer = Split((Chain(first, name="tokens"), scaled), (width, values), name="both")
    both = _let_in(width, values, kv_heads, first[-1]) if gated else both
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
    values: bool, source: str, gated: bool = False,
) -> NetSpec:  # fmt: skip
    """With `values`, every second block, the last among them, adds an embedding of its token to its values.

    These embeddings are columns of the one table, behind those of h, and travel as channels behind h to their block.
    With `gated`, gates of each token let them in; the token before is mixed in at the start (smear); each block begins
    with r h + z x, x the net's first h; and of the last h a share of that behind the middle block is taken out. x, and
    later that, travel behind all others.
    """
    wide = kv_heads * max(width // heads, 1)
    valued = [values and (layers - 1 - index) % 2 == 0 for index in range(layers)]
    later = sum(valued) * wide
    net: list[Layer] = [TokenPositionEmbed(vocabulary, width + later, positions=False, std=1.0, name="embed")]
    tokens = Chain((_norm(), _smeared(width)), name="tokens") if gated else _norm()
    enter = Split((tokens, Identity(name="values")), (width, later)) if later else tokens
    net.append(replace(enter, name="enter"))
    kept = 0
    if gated:
        net.append(Concat((Identity(), ChannelWindow(0, width, name="start")), name="keep"))
        kept = width
    for index, takes in enumerate(valued):
        if gated:
            net.append(_mixed(index, layers, width, width + later, later + kept))
        seen = width + wide * takes
        later -= wide * takes
        net.append(_block(index, width, _attention(width, heads, kv_heads, takes, gated), seen, later + kept))
        if gated and index == layers // 2:
            net.append(Concat((Identity(), ChannelWindow(0, width, name="middle")), name="remember"))
            kept += width
    if gated:
        net.append(Residual(_scaled(kept, width, -BACKOUT, "middle"), ChannelWindow(0, width), name="backout"))
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


def tiny_nanochat_gated(
    *, layers: int = 4, heads: int = 4, kv_heads: int = 4, width: int = 128, context: int = 64
) -> NetSpec:
    """tiny-nanochat with the gates and factors that nanochat has had since."""
    return nanochat(
        "tiny-nanochat-gated", 65, layers, heads, kv_heads, width, context, values=True, gated=True,
        source="netc's own size; gates, smear, factors and backout as in nanochat's gpt.py of 2026 (Karpathy), without "
        "its factor 1.2 of queries and keys and its windows",
    )  # fmt: skip
