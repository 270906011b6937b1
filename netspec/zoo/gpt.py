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


def tiny_gpt(*, layers: int = 4, heads: int = 4, width: int = 128, context: int = 64) -> NetSpec:
    """Characters: 65 of them, context 64, 4 blocks of 4 heads and width 128; the MLP is 4 times as wide."""
    blocks = tuple(_block(index, width, heads, 4 * width) for index in range(layers))
    return _tied(
        "tiny-gpt", context, 65, width, blocks,
        "lean4-mlir's tiny GPT: 65 characters, 4 layers, 4 heads, width 128, MLP 512, tied head; "
        "context 64 and no bias in qkv, as its count implies",
    )  # fmt: skip


def _gpt2(name: str, layers: int, heads: int, width: int, context: int) -> NetSpec:
    """50257 tokens; the MLP is 4 times as wide."""
    blocks = TransformerEncoder(
        heads, 4 * width, layers, causal=True, activation="gelu-tanh", epsilon=EPSILON, std=STD, name="blocks"
    )
    return _tied(
        name, context, 50_257, width, (blocks,),
        "Radford et al. 2019, table 2; the count is that of the published checkpoint",
    )  # fmt: skip


def gpt2(*, layers: int = 12, heads: int = 12, width: int = 768, context: int = 1024) -> NetSpec:
    """The smallest GPT-2."""
    return _gpt2("gpt2", layers, heads, width, context)


def gpt2_medium(*, layers: int = 24, heads: int = 16, width: int = 1024, context: int = 1024) -> NetSpec:
    """The second row of the table."""
    return _gpt2("gpt2-medium", layers, heads, width, context)


def gpt2_large(*, layers: int = 36, heads: int = 20, width: int = 1280, context: int = 1024) -> NetSpec:
    """The third row."""
    return _gpt2("gpt2-large", layers, heads, width, context)


def gpt2_xl(*, layers: int = 48, heads: int = 25, width: int = 1600, context: int = 1024) -> NetSpec:
    """The last row, which the paper calls GPT-2."""
    return _gpt2("gpt2-xl", layers, heads, width, context)
