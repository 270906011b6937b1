"""LLaMA and nets built as it is: RMS norms, rotary positions, shared keys and values, a gated perceptron."""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Chain,
    GatedMlp,
    MultiHeadAttention,
    Residual,
    RMSNorm,
    TiedHead,
    TokenPositionEmbed,
)
from netc.netspec.spec import NetSpec

STD = 0.02
EPSILON = 1e-5


@dataclass(frozen=True)
class Llama:
    """What a net of the family has besides its sizes. The perceptron has `thirds` / 3 of the width, up to 32 n."""

    source: str
    vocabulary: int
    thirds: int = 8
    rope_base: float = 10_000.0
    rope_scaling: tuple[float, ...] = ()


_HF = "the count is that of the published checkpoint"
LLAMAS = {
    "tiny-llama": Llama("netc's own size, beside tiny-gpt; blocks as in Touvron et al. 2023", 65),
    "smollm2-135m": Llama(
        f"Allal et al. 2025, config.json of SmolLM2-135M; {_HF}", 49_152, rope_base=100_000.0
    ),
    "llama-3.2-1b": Llama(
        f"Llama Team 2024, config.json of Llama-3.2-1B; its context of 131072 by `context`; {_HF}",
        128_256, 12, rope_base=500_000.0, rope_scaling=(32.0, 1.0, 4.0, 8192.0),
    ),
}  # fmt: skip


def block(index: int, attention: MultiHeadAttention, mlp: Layer) -> Layer:
    """x + attention(norm(x)), then x + mlp(norm(x))."""
    norm = RMSNorm(EPSILON, name="norm")
    parts = (Residual(Chain((norm, attention)), name="attention"), Residual(Chain((norm, mlp)), name="mlp"))
    return Chain(parts, name=f"block{index}")


def llama(name: str, *, layers: int, heads: int, kv_heads: int, width: int, context: int) -> NetSpec:
    """A net of LLAMAS: token ids, `layers` blocks, a last norm, and the embedding's matrix as the head."""
    of = LLAMAS[name]
    attention = MultiHeadAttention(
        heads, causal=True, rope=True, bias=False, std=STD, kv_heads=kv_heads, rope_base=of.rope_base,
        rope_scaling=of.rope_scaling, name="attention",
    )  # fmt: skip
    mlp = GatedMlp(-(-of.thirds * width // (3 * 32)) * 32, std=STD, name="mlp")
    return language(name, of.vocabulary, layers, width, context, attention, mlp, of.source)


def language(
    name: str, vocabulary: int, layers: int, width: int, context: int, attention: MultiHeadAttention, mlp: Layer,
    source: str,
) -> NetSpec:  # fmt: skip
    """Token ids, blocks of that attention and perceptron, a last norm, and the embedding's matrix as the head."""
    body = Chain((*(block(index, attention, mlp) for index in range(layers)), RMSNorm(EPSILON, name="norm")))
    model = TiedHead(TokenPositionEmbed(vocabulary, width, positions=False, std=STD), body, name="model")
    return NetSpec(name, (context,), (model,), source, dtype="i32")


def tiny_llama(*, layers: int = 4, heads: int = 4, kv_heads: int = 2, width: int = 128, context: int = 64) -> NetSpec:
    """Characters: 65 of them, 4 blocks of 4 heads, of which two share their keys and values."""
    return llama("tiny-llama", layers=layers, heads=heads, kv_heads=kv_heads, width=width, context=context)


def smollm2_135m(
    *, layers: int = 30, heads: int = 9, kv_heads: int = 3, width: int = 576, context: int = 2048
) -> NetSpec:
    """SmolLM2's smallest, whose published context is 8192."""
    return llama("smollm2-135m", layers=layers, heads=heads, kv_heads=kv_heads, width=width, context=context)


def llama_3_2_1b(
    *, layers: int = 16, heads: int = 32, kv_heads: int = 8, width: int = 2048, context: int = 8192
) -> NetSpec:
    """Llama 3.2 1B, at the context of its first training: rope's scaling is for one of 131072."""
    return llama("llama-3.2-1b", layers=layers, heads=heads, kv_heads=kv_heads, width=width, context=context)
