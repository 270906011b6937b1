"""Conditioning that is read from tokens before the others: adaptive layer norm, and the diffusion transformer of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netc.netspec.layer import (
    Combinator,
    Composite,
    Layer,
    LayerError,
    Visit,
    want_copies,
    want_positive,
    want_rank,
    want_spread,
)
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.attention import MultiHeadAttention
from netc.netspec.layers.channels import ChannelWindow
from netc.netspec.layers.combine import Chain, Concat, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.diffusion import TimeEmbed
from netc.netspec.layers.embedding import ClassEmbed, SinusoidalPositions, TokenPositionEmbed
from netc.netspec.layers.norm import LayerNorm
from netc.netspec.layers.pool import GlobalAvgPool
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.tokens import ChannelsToTokens, SpatialFlatten, SpatialUnflatten, TakeTokens, want_tokens
from netc.netspec.layers.transformer import mlp_layers
from netc.netspec.layers.upsample import DepthToSpace
from netc.netspec.types import TensorType, batched

EPSILON = 1e-6  # of the norms of DiT and Flux


def plain_norm() -> Layer:
    """A layer norm whose scale and shift are the modulation's."""
    return LayerNorm(EPSILON, scale=False, bias=False)


@dataclass(frozen=True)
class Modulated(Combinator):
    """y = c, then h + g * body(norm(h) (1 + s) + d), for x = c, then h: tokens [K + T, D] -> [K + T, D].

    c are the first `conditions` = K tokens of x, which go on unchanged: so a condition reaches every block of a chain.
    The vectors d (shift), s (scale) and g (gate) are the rows of modulation(c), [3, D], the same for every token of h.
    With `apart` = n the first n tokens of h have rows 0 to 2, the others rows 3 to 5. Without `gate` y = c, then
    body(..), and there are rows for d and s alone. Source: Peebles and Xie 2023, fig. 3 (adaLN-zero, whose modulation
    starts at zero, so that the layer starts as the identity); two streams as in Esser et al. 2024, fig. 2b.
    """

    kind: ClassVar[str] = "modulated"
    body: Layer
    modulation: Layer
    norm: Layer = field(default_factory=plain_norm)
    conditions: int = 1
    apart: int = 0
    gate: bool = True

    @property
    def rows(self) -> int:
        """How many vectors the modulation gives."""
        return (3 if self.gate else 2) * (2 if self.apart else 1)

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(conditions=self.conditions)
        if self.apart < 0:
            yield f"apart wants 0 (one modulation for all tokens) or a number of tokens, got {self.apart}"

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """The modulation sees the conditions, norm and body the others."""
        tokens, width = want_tokens(self, x)
        if tokens <= self.conditions + self.apart:
            raise LayerError(
                f"wants more than {self.conditions + self.apart} tokens, got {batched(x.shape)}; lower conditions or "
                "apart", x)  # fmt: skip
        rows = visit("modulation", self.modulation, TensorType((self.conditions, width), x.dtype))
        if rows.shape != (self.rows, width):
            raise LayerError(
                f"wants a modulation that gives {batched((self.rows, width))}, got {batched(rows.shape)}; end it in "
                "dense and channelsToTokens", x)  # fmt: skip
        others = TensorType((tokens - self.conditions, width), x.dtype)
        for name, part, does in (("norm", self.norm, "change norm"), ("body", self.body, "change its features")):
            if (out := visit(name, part, others)) != others:
                raise LayerError(
                    f"wants a {name} that gives {batched(others.shape)}, got {batched(out.shape)}; {does}", x
                )
        return x

    def label(self) -> str:
        """`modulated`, `modulated apart 8`."""
        return f"modulated apart {self.apart}" if self.apart else "modulated"


def from_zero(rows: int, width: int, conditions: int = 1, bias: bool = True) -> Layer:
    """[K, D] -> [rows, D]: swish of the first token, then a dense layer that starts at zero."""
    first = (TakeTokens(1, name="first"),) if conditions > 1 else ()
    return Chain((
        *first,
        Activation("swish", name="activation"),
        Dense(rows * width, bias=bias, std=0.0, name="dense"),
        ChannelsToTokens(rows, name="rows"),
    ))  # fmt: skip


@dataclass(frozen=True)
class DitBlocks(Composite):
    """`blocks` times attention, then an MLP, each `modulated`, on tokens [1 + T, D] of which the first is a condition.

    The modulation is dense(swish(condition)) of 3 D features and starts at zero. The attention is multiHeadAttention
    with `heads` and `rope`, the MLP dense to `mlp`, `activation`, dense to D. Source: Peebles and Xie 2023, section
    3.2; facebookresearch/DiT, DiTBlock, where one dense layer of 6 D features holds both modulations.
    """

    kind: ClassVar[str] = "ditBlocks"
    heads: int
    mlp: int
    blocks: int = 1
    rope: bool = False
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from self._attention().problems()
        yield from want_positive(mlp=self.mlp)
        yield from want_copies(blocks=self.blocks)

    def _attention(self) -> MultiHeadAttention:
        return MultiHeadAttention(self.heads, rope=self.rope, std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """A chain of blocks, each a chain of two modulated layers."""
        _, width = want_tokens(self, x)
        perceptron = Chain(mlp_layers(self.mlp, width, "gelu-tanh", 0.0, True, self.std))
        parts = (
            Modulated(self._attention(), from_zero(3, width), name="attention"),
            Modulated(perceptron, from_zero(3, width), name="mlp"),
        )
        return Chain(tuple(Chain(parts, name=f"block{index}") for index in range(self.blocks)))

    def label(self) -> str:
        """`ditBlocks h6 mlp 1536 x12`."""
        return f"ditBlocks h{self.heads} mlp {self.mlp} x{self.blocks}"


@dataclass(frozen=True)
class ConditionedPatches(Composite):
    """An image with its time, [H, W, C + 1] or [H, W, C + 2], as tokens [1 + T, dim]: the condition, then patches.

    The channel behind the image's holds the time t in [0, 1], with `classes` = K the last one the class id 0 to K - 1,
    or K for no class: each the same number in every pixel. The condition is timeEmbed(t) plus, with classes, a row of
    a table of K + 1. With `class_tokens` = S that row is S tokens between the condition and the patches instead. Each
    patch x patch square of the image goes through one affine map, and has its place added with `positions`: sines and
    cosines of its row and its column. Source: Peebles and Xie 2023, section 3.2; class tokens in the place of Flux's
    text tokens.
    """

    kind: ClassVar[str] = "conditionedPatches"
    dim: int
    patch: int = 2
    classes: int = 0
    class_tokens: int = 0
    positions: bool = True
    frequencies: int = 128
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(dim=self.dim, patch=self.patch, frequencies=self.frequencies)
        yield from want_spread(std=self.std)
        if self.classes < 0:
            yield f"classes wants 0 (no class) or a positive integer, got {self.classes}"
        if self.class_tokens < 0 or (self.class_tokens and not self.classes):
            yield f"class_tokens wants 0, or a number of tokens with classes, got {self.class_tokens}"

    def expand(self, x: TensorType) -> Layer:
        """Branches that each pick their channels, one below the other."""
        want_rank(self, x, 3, "H, W, C + 1", "give an image whose last channels hold the time, and the class")
        height, width, channels = x.shape[0], x.shape[1], x.shape[2] - (2 if self.classes else 1)
        if channels < 1:
            what = "time and class" if self.classes else "time"
            raise LayerError(f"wants channels of {what} after the image's, got {batched(x.shape)}; append them")
        if height % self.patch or width % self.patch:
            raise LayerError(f"wants sides that are multiples of {self.patch}, got {batched(x.shape)}; change patch")
        time = Chain((
            ChannelWindow(channels, 1, name="pick"),
            GlobalAvgPool(name="mean"),
            TimeEmbed(self.dim, self.frequencies, std=self.std, name="embed"),
        ), name="time")  # fmt: skip
        patches: tuple[Layer, ...] = (
            ChannelWindow(0, channels, name="pick"),
            Conv2d(self.dim, self.patch, self.patch, "valid", name="project"),
            SpatialFlatten(name="flatten"),
        )
        if self.positions:
            patches += (SinusoidalPositions(columns=width // self.patch, name="positions"),)
        image = Chain(patches, name="patches")
        if not self.classes:
            return Concat((time, image), as_tokens=True)
        pick = (ChannelWindow(channels + 1, 1, name="pick"), GlobalAvgPool(name="mean"))
        table = ClassEmbed(self.classes + 1, max(self.class_tokens, 1) * self.dim, self.std, name="table")
        if not self.class_tokens:
            label = Chain((*pick, table), name="class")
            return Concat((Residual(time, label, name="condition"), image), as_tokens=True)
        row = Concat((Chain((*pick, table), name="row"),), as_tokens=True, name="row")
        labels = Chain((row, ChannelsToTokens(self.class_tokens, name="tokens")), name="classes")
        return Concat((time, labels, image), as_tokens=True)

    def label(self) -> str:
        """`conditionedPatches 384 2x2`."""
        return f"conditionedPatches {self.dim} {self.patch}x{self.patch}"


@dataclass(frozen=True)
class ConditionedTokens(Composite):
    """Token ids with their time, i32 [T + 1], as tokens [1 + T, dim]: the condition, then the embedded tokens.

    The last id is the time in thousandths, 0 to 1000, of which timeEmbed makes the condition. `vocabulary` counts the
    others, with the mask's.
    """

    kind: ClassVar[str] = "conditionedTokens"
    vocabulary: int
    dim: int
    frequencies: int = 128
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(vocabulary=self.vocabulary, dim=self.dim, frequencies=self.frequencies)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """Branches for the last id and for the others, one below the other."""
        if x.dtype != "i32" or x.rank != 1 or x.shape[0] < 2:
            raise LayerError(f'wants token ids i32[T + 1], the last one the time, got {x}; give dtype = "i32"')
        tokens = x.shape[0] - 1
        time = (
            TakeTokens(1, tokens, name="pick"),
            TimeEmbed(self.dim, self.frequencies, 1.0, self.std, name="embed"),
        )
        others = (
            TakeTokens(tokens, name="pick"),
            TokenPositionEmbed(self.vocabulary, self.dim, positions=False, std=self.std, name="embed"),
        )
        return Concat((Chain(time, name="time"), Chain(others, name="text")), as_tokens=True)

    def label(self) -> str:
        """`conditionedTokens 128->128`."""
        return f"conditionedTokens {self.vocabulary}->{self.dim}"


@dataclass(frozen=True)
class ModulatedHead(Composite):
    """y = dense(norm(h) (1 + s) + d) of `features`, d and s from the first token of x: [K + T, D] -> [T, features].

    The first `skip` = K tokens of x are left out. Modulation and dense layer start at zero: so does y. Source: Peebles
    and Xie 2023; facebookresearch/DiT, FinalLayer.
    """

    kind: ClassVar[str] = "modulatedHead"
    features: int
    skip: int = 1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, skip=self.skip)

    def expand(self, x: TensorType) -> Layer:
        """A modulated identity, the tokens behind the condition, a dense layer."""
        tokens, width = want_tokens(self, x)
        if tokens <= self.skip:
            raise LayerError(f"wants more than {self.skip} tokens, got {batched(x.shape)}; lower skip")
        own = from_zero(2, width, self.skip)
        return Chain((
            Modulated(Identity(), own, conditions=self.skip, gate=False, name="modulated"),
            TakeTokens(tokens - self.skip, self.skip, name="take"),
            Dense(self.features, std=0.0, name="dense"),
        ))  # fmt: skip

    def label(self) -> str:
        """`modulatedHead 8`."""
        return f"modulatedHead {self.features}"


@dataclass(frozen=True)
class PatchHead(Composite):
    """modulatedHead, and each token as a patch x patch square of an image [H, W, channels]: [K + T, D] -> an image.

    The image is square, or `columns` patches wide. Source: facebookresearch/DiT, FinalLayer and unpatchify.
    """

    kind: ClassVar[str] = "patchHead"
    channels: int
    patch: int = 2
    skip: int = 1
    columns: int = 0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(channels=self.channels, patch=self.patch, skip=self.skip)
        if self.columns < 0:
            yield f"columns wants 0 (a square image) or a number of patches, got {self.columns}"

    def expand(self, x: TensorType) -> Layer:
        """modulatedHead, spatialUnflatten, depthToSpace."""
        tokens, _ = want_tokens(self, x)
        rows, columns = grid_of(tokens - self.skip, self.columns, x)
        return Chain((
            ModulatedHead(self.channels * self.patch**2, self.skip, name="head"),
            SpatialUnflatten(rows, columns, name="image"),
            DepthToSpace(self.patch, name="squares"),
        ))  # fmt: skip

    def label(self) -> str:
        """`patchHead 4 2x2`."""
        return f"patchHead {self.channels} {self.patch}x{self.patch}"


def grid_of(tokens: int, columns: int, x: TensorType) -> tuple[int, int]:
    """Rows and columns of the image that so many tokens are of; `columns` 0 stands for a square."""
    wide = columns or math.isqrt(max(tokens, 0))
    if tokens < 1 or tokens % wide or (not columns and wide * wide != tokens):
        raise LayerError(f"wants the tokens of an image, got {tokens} in {batched(x.shape)}; give columns")
    return tokens // wide, wide
