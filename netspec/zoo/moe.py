"""Language models of experts, otherwise as LLaMA."""

from __future__ import annotations

from netc.netspec.layers import MixtureOfExperts, MultiHeadAttention
from netc.netspec.spec import NetSpec
from netc.netspec.zoo.llama import STD, language

VOCABULARY = 65


def tiny_moe(
    *, layers: int = 4, heads: int = 4, kv_heads: int = 2, width: int = 128, context: int = 64, experts: int = 8
) -> NetSpec:
    """Characters: 65 of them, 8 experts of the width's features in each block, of which a token takes 2."""
    attention = MultiHeadAttention(
        heads, causal=True, rope=True, bias=False, std=STD, kv_heads=kv_heads, name="attention"
    )
    mlp = MixtureOfExperts(width, experts, std=STD, name="mlp")
    source = "netc's own size, beside tiny-llama; blocks as in Jiang et al. 2024 (Mixtral)"
    return language("tiny-moe", VOCABULARY, layers, width, context, attention, mlp, source)
