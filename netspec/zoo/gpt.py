"""Decoder-only language models: token ids [T] in, the logits of each next token [T, vocabulary] out."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Chain,
    Dense,
    LayerNorm,
    Residual,
    SelfAttention,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec

STD = 0.02
EPSILON = 1e-5


def _tied(name: str, context: int, vocabulary: int, width: int, blocks: tuple[Layer, ...], source: str) -> NetSpec:
    """Learned positions, blocks, a last norm, and the embedding's matrix as the head."""
    body = Chain((*blocks, LayerNorm(EPSILON, name="norm")))
    model = TiedHead(TokenPositionEmbed(vocabulary, width, std=STD), body, name="model")
    return NetSpec(name, (context,), (model,), source, dtype="i32")


def _block(index: int, width: int, heads: int, mlp: int) -> Layer:
    """x + attention(norm(x)), then x + mlp(norm(x)); queries, keys and values have no bias, all else has."""
    attention = (
        LayerNorm(EPSILON, name="norm"),
        Dense(3 * width, bias=False, std=STD, name="qkv"),
        SelfAttention(heads, causal=True, name="attend"),
        Dense(width, std=STD, name="out"),
    )
    perceptron = (
        LayerNorm(EPSILON, name="norm"),
        Dense(mlp, activation="gelu-tanh", std=STD, name="hidden"),
        Dense(width, std=STD, name="out"),
    )
    parts = (Residual(Chain(attention), name="attention"), Residual(Chain(perceptron), name="mlp"))
    return Chain(parts, name=f"block{index}")


def tiny_gpt() -> NetSpec:
    """Characters: 65 of them, context 64, 4 blocks of 4 heads and width 128."""
    blocks = tuple(_block(index, 128, 4, 512) for index in range(4))
    return _tied(
        "tiny-gpt", 64, 65, 128, blocks,
        "lean4-mlir's tiny GPT: 65 characters, 4 layers, 4 heads, width 128, MLP 512, tied head; "
        "context 64 and no bias in qkv, as its count implies",
    )  # fmt: skip


def gpt2() -> NetSpec:
    """The smallest GPT-2: 12 blocks of 12 heads and width 768, context 1024, 50257 tokens."""
    blocks = TransformerEncoder(
        12, 3072, 12, causal=True, activation="gelu-tanh", epsilon=EPSILON, std=STD, name="blocks"
    )
    return _tied(
        "gpt2", 1024, 50_257, 768, (blocks,),
        "Radford et al. 2019, table 2 (first row); 124,439,808 is the count of the published checkpoint",
    )  # fmt: skip
