"""Transformers: encoders, decoders and the patches that turn an image into tokens, as expressions in combinators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive, want_rank, want_spread
from netc.netspec.layers.attention import CrossAttention, MultiHeadAttention, dropped, rate_problems
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.norm import LayerNorm, RMSNorm, epsilon_problems
from netc.netspec.layers.stochastic import Rates, paths_dropped, paths_problems
from netc.netspec.layers.tokens import (
    LearnedPositions,
    LearnedTokens,
    OnTokens,
    SpatialFlatten,
    TakeTokens,
    want_tokens,
)
from netc.netspec.types import TensorType, batched

Norm = Literal["layer", "rms"]
NORMS: dict[str, type[LayerNorm | RMSNorm]] = {"layer": LayerNorm, "rms": RMSNorm}


def norm_problems(norm: str, epsilon: float) -> Iterator[str]:
    """Yield a sentence if there is no such normalisation."""
    if norm not in NORMS:
        yield f"norm wants one of {', '.join(NORMS)}, got {norm!r}"
    yield from epsilon_problems(epsilon)


def mlp_layers(mlp: int, width: int, activation: str, dropout: float, bias: bool, std: float) -> tuple[Layer, ...]:
    """out(act(hidden(x))), with dropout after each."""
    return (
        Dense(mlp, bias=bias, activation=activation, std=std, name="hidden"),
        *dropped(dropout, "dropout1"),
        Dense(width, bias=bias, std=std, name="out"),
        *dropped(dropout, "dropout2"),
    )


def sublayer(body: tuple[Layer, ...], norm: Layer, norm_first: bool, name: str) -> Layer:
    """x + body(norm(x)), or norm(x + body(x)). Source: Xiong et al. 2020, fig. 1."""
    if norm_first:
        return Residual(Chain((norm, *body)), name=name)
    return Chain((Residual(Chain(body), name="residual"), norm), name=name)


@dataclass(frozen=True)
class TransformerEncoder(Composite):
    """`blocks` times: x + attention(norm(x)), then x + mlp(norm(x)), on tokens [T, D]; all tokens come out.

    The attention is multiHeadAttention with `heads`, `head_dim`, `causal`, `rope`, `tile` and `groups`; the MLP is
    dense to `mlp`, `activation`, dense to D. `norm` is "layer" or "rms", of the given epsilon; without `norm_first`
    it comes after each sum instead. `dropout` follows the attention and each dense layer of the MLP,
    `attention_dropout` is on the probabilities; drop-path ends each body, its rate `drop_path` in all blocks or, given
    two numbers, from the first to the second in equal steps. No norm follows the last block. Causal, it is the body
    of a decoder-only language model.
    Sources: Vaswani et al. 2017; Dosovitskiy et al. 2021, eq. 2 and 3; defaults of timm's VisionTransformer.
    """

    kind: ClassVar[str] = "transformerEncoder"
    heads: int
    mlp: int
    blocks: int = 1
    head_dim: int | None = None
    causal: bool = False
    rope: bool = False
    tile: int = 0
    groups: int = 1
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: Rates = 0.0
    activation: ActivationWord = "gelu"
    norm: Norm = "layer"
    norm_first: bool = True
    epsilon: float = 1e-6
    bias: bool = True
    std: float = 0.02

    def _attention(self) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.heads, self.head_dim, causal=self.causal, rope=self.rope, tile=self.tile, bias=self.bias,
            dropout=self.dropout, attention_dropout=self.attention_dropout, groups=self.groups, std=self.std,
            name="attention",
        )  # fmt: skip

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from self._attention().problems()
        yield from want_positive(mlp=self.mlp)
        yield from want_copies(blocks=self.blocks)
        yield from paths_problems(self.drop_path)
        yield from activation_problems(self.activation)
        yield from norm_problems(self.norm, self.epsilon)

    def expand(self, x: TensorType) -> Layer:
        """A chain of blocks, each a chain of two residuals."""
        _, width = want_tokens(self, x)
        norm = NORMS[self.norm](self.epsilon, name="norm")
        blocks = []
        for index in range(self.blocks):
            paths = paths_dropped(self.drop_path, index, self.blocks)
            mlp = mlp_layers(self.mlp, width, self.activation, self.dropout, self.bias, self.std)
            parts = (
                sublayer((self._attention(), *paths), norm, self.norm_first, "attention"),
                sublayer((*mlp, *paths), norm, self.norm_first, "mlp"),
            )
            blocks.append(Chain(parts, name=f"block{index}"))
        return Chain(tuple(blocks))

    def label(self) -> str:
        """`transformerEncoder h3 mlp 768 x12`."""
        causal = " causal" if self.causal else ""
        return f"transformerEncoder h{self.heads} mlp {self.mlp} x{self.blocks}{causal}"


@dataclass(frozen=True)
class TransformerDecoder(Composite):
    """`queries` learned tokens Q read the memory x [T, D] in `blocks` blocks; y is what they become, [queries, D].

    A block is q + attention(norm(q)), q + crossAttention(norm(q), x), q + mlp(norm(q)); without `norm_first` each norm
    comes after its sum instead, as in DETR. No norm follows the last block. The queries stand before the memory in
    one row of tokens until the end. Sources: Vaswani et al. 2017, fig. 1 right; Carion et al. 2020, section 3.2, but
    for its query positions, which are added once (as the queries) and not again at each attention.
    """

    kind: ClassVar[str] = "transformerDecoder"
    heads: int
    mlp: int
    blocks: int
    queries: int
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation: ActivationWord = "relu"
    norm: Norm = "layer"
    norm_first: bool = True
    epsilon: float = 1e-5
    bias: bool = True
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from self._cross().problems()
        yield from want_positive(mlp=self.mlp)
        yield from want_copies(blocks=self.blocks)
        yield from activation_problems(self.activation)
        yield from norm_problems(self.norm, self.epsilon)

    def _cross(self) -> CrossAttention:
        return CrossAttention(
            self.heads, self.queries, None, self.bias, self.dropout, self.attention_dropout, self.std, name="attention"
        )

    def _read(self, norm: Layer) -> Layer:
        """[Q + T, D] -> [Q, D]: the queries and what they read from the memory."""
        first = TakeTokens(self.queries)
        if self.norm_first:
            return Residual(Chain((OnTokens(self.queries, norm, name="queries"), self._cross())), first)
        return Chain((Residual(Chain((self._cross(),)), first, name="residual"), norm))

    def expand(self, x: TensorType) -> Layer:
        """learnedTokens, then blocks on the queries beside the memory, then takeTokens."""
        _, width = want_tokens(self, x)
        norm = NORMS[self.norm](self.epsilon, name="norm")
        own = MultiHeadAttention(
            self.heads, bias=self.bias, dropout=self.dropout, attention_dropout=self.attention_dropout, std=self.std,
            name="attention",
        )  # fmt: skip
        mlp = mlp_layers(self.mlp, width, self.activation, self.dropout, self.bias, self.std)
        among = sublayer((own,), norm, self.norm_first, "attention")
        after = sublayer(mlp, norm, self.norm_first, "mlp")
        layers: list[Layer] = [LearnedTokens(self.queries, self.std, name="queries")]
        for index in range(self.blocks):
            parts = (
                OnTokens(self.queries, among, name="self"),
                OnTokens(self.queries, self._read(norm), whole=True, name="cross"),
                OnTokens(self.queries, after, name="mlp"),
            )
            layers.append(Chain(parts, name=f"block{index}"))
        return Chain((*layers, TakeTokens(self.queries, name="take")))

    def label(self) -> str:
        """`transformerDecoder h8 mlp 2048 x6 q100`."""
        return f"transformerDecoder h{self.heads} mlp {self.mlp} x{self.blocks} q{self.queries}"


@dataclass(frozen=True)
class PatchEmbed(Composite):
    """An image [H, W, C] as tokens [T, dim]: each patch x patch square through one affine map, row by row.

    `class_token` puts one learned token before them, `positions` adds a learned vector to each token, and `dropout`
    follows. Source: Dosovitskiy et al. 2021, eq. 1.
    """

    kind: ClassVar[str] = "patchEmbed"
    dim: int
    patch: int = 16
    class_token: bool = True
    positions: bool = True
    dropout: float = 0.0
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(dim=self.dim, patch=self.patch)
        yield from rate_problems(dropout=self.dropout)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """conv2d, spatialFlatten, learnedTokens, learnedPositions, dropout."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        if x.shape[0] % self.patch or x.shape[1] % self.patch:
            raise LayerError(f"wants sides that are multiples of {self.patch}, got {batched(x.shape)}; change patch")
        layers: tuple[Layer, ...] = (
            Conv2d(self.dim, self.patch, self.patch, "valid", name="project"),
            SpatialFlatten(name="flatten"),
        )
        if self.class_token:
            layers += (LearnedTokens(1, self.std, name="class"),)
        if self.positions:
            layers += (LearnedPositions(self.std, name="embed"),)
        return Chain(layers + dropped(self.dropout))

    def label(self) -> str:
        """`patchEmbed 192 16x16`."""
        return f"patchEmbed {self.dim} {self.patch}x{self.patch}"
