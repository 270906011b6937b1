"""A GPT as somebody would write it in PyTorch, not made from a spec: beside nanoGPT's training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head self-attention by torch's own fused product; `bias` is that of queries, keys and values."""

    def __init__(self, dim: int, heads: int, causal: bool, bias: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.proj = nn.Linear(dim, 3 * dim, bias=bias), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> [B, T, D]."""
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):  # type: ignore[misc]
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, dim: int, heads: int, mlp: int, causal: bool, approximate: str, epsilon: float, bias: bool = True
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, epsilon), nn.LayerNorm(dim, epsilon)
        self.attn = Attention(dim, heads, causal, bias)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp), nn.GELU(approximate), nn.Linear(mlp, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):  # type: ignore[misc]
    """Radford et al. 2019: learned positions, pre-norm, the head tied to the embedding.

    `bias` is that of queries, keys and values: gpt2 has it, tiny-gpt has not.
    """

    def __init__(self, vocabulary: int, context: int, dim: int, heads: int, blocks: int, bias: bool = False) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, dim), nn.Embedding(context, dim)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(dim, heads, 4 * dim, True, "tanh", 1e-5, bias) for _ in range(blocks)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[B, T] -> [B, T, vocabulary]."""
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.tokens.weight)
