"""A Vision Transformer and a GPT as somebody would write them in plain JAX, for benchmarks; not made from netc's specs.

Each has `init(rng) -> params` and `apply(params, x) -> logits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Tree = dict[str, Any]


def _normal(rng: np.random.Generator, *shape: int) -> Any:
    return jnp.asarray(rng.normal(0, 0.02, shape), jnp.float32)


def _block_init(rng: np.random.Generator, d: int, biased: bool) -> Tree:
    def affine(i: int, o: int) -> Tree:
        return {"w": _normal(rng, i, o), "b": jnp.zeros(o)}

    def norm() -> Tree:
        return {"g": jnp.ones(d), "b": jnp.zeros(d)}

    return {"n1": norm(), "qkv": affine(d, 3 * d) if biased else {"w": _normal(rng, d, 3 * d)}, "out": affine(d, d),
            "n2": norm(), "up": affine(d, 4 * d), "down": affine(4 * d, d)}  # fmt: skip


def _norm(p: Tree, x: Any, epsilon: float) -> Any:
    x = x - x.mean(-1, keepdims=True)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon) * p["g"] + p["b"]


def _affine(p: Tree, x: Any) -> Any:
    return x @ p["w"] + p["b"] if "b" in p else x @ p["w"]


def _block(p: Tree, x: Any, heads: int, causal: bool, epsilon: float, approximate: bool) -> Any:
    b, t, d = x.shape
    q, k, v = jnp.moveaxis(_affine(p["qkv"], _norm(p["n1"], x, epsilon)).reshape(b, t, 3, heads, d // heads), 2, 0)
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (d // heads) ** -0.5
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((t, t), bool)), scores, -jnp.inf)
    y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(b, t, d)
    x = x + _affine(p["out"], y)
    h = jax.nn.gelu(_affine(p["up"], _norm(p["n2"], x, epsilon)), approximate=approximate)
    return x + _affine(p["down"], h)


@dataclass(frozen=True)
class ViT:
    """Dosovitskiy et al. 2021 with a class token, pre-norm."""

    size: int
    patch: int
    dim: int
    heads: int
    blocks: int
    classes: int

    def init(self, rng: np.random.Generator) -> Tree:
        """Random parameters."""
        d = self.dim
        return {
            "patch": {"w": _normal(rng, self.patch**2 * 3, d), "b": jnp.zeros(d)},
            "cls": jnp.zeros((1, 1, d)),
            "pos": _normal(rng, (self.size // self.patch) ** 2 + 1, d),
            "blocks": [_block_init(rng, d, True) for _ in range(self.blocks)],
            "norm": {"g": jnp.ones(d), "b": jnp.zeros(d)},
            "head": {"w": _normal(rng, d, self.classes), "b": jnp.zeros(self.classes)},
        }

    def apply(self, p: Tree, x: Any) -> Any:
        """[B, H, W, 3] -> [B, classes]."""
        b, n, s = len(x), self.size // self.patch, self.patch
        t = _affine(p["patch"], x.reshape(b, n, s, n, s, 3).transpose(0, 1, 3, 2, 4, 5).reshape(b, n * n, -1))
        t = jnp.concatenate([jnp.broadcast_to(p["cls"], (b, 1, self.dim)), t], 1) + p["pos"]
        for block in p["blocks"]:
            t = _block(block, t, self.heads, False, 1e-6, False)
        return _affine(p["head"], _norm(p["norm"], t[:, 0], 1e-6))


@dataclass(frozen=True)
class GPT:
    """Radford et al. 2019: learned positions, pre-norm, the head tied to the embedding."""

    vocabulary: int
    context: int
    dim: int
    heads: int
    blocks: int

    def init(self, rng: np.random.Generator) -> Tree:
        """Random parameters."""
        return {
            "tokens": _normal(rng, self.vocabulary, self.dim),
            "positions": _normal(rng, self.context, self.dim),
            "blocks": [_block_init(rng, self.dim, False) for _ in range(self.blocks)],
            "norm": {"g": jnp.ones(self.dim), "b": jnp.zeros(self.dim)},
        }

    def apply(self, p: Tree, ids: Any) -> Any:
        """[B, T] -> [B, T, vocabulary]."""
        x = p["tokens"][ids] + p["positions"][: ids.shape[1]]
        for block in p["blocks"]:
            x = _block(block, x, self.heads, True, 1e-5, True)
        return _norm(p["norm"], x, 1e-5) @ p["tokens"].T
