"""Attention: the softmax of products of queries and keys weighs the values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_positive, want_spread
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.stochastic import Dropout
from netc.netspec.layers.tokens import ChannelsToTokens, OnTokens, want_tokens
from netc.netspec.types import Signature, TensorType, batched

ROPE_BASE = 10_000.0
QK_EPSILON = 1e-6
LARGEST_BASE = 1e12
LLAMA_SCALING = 4  # numbers of the form of Llama 3
MOST_TILES = 512  # the program spells out every one


def scaling_problems(scaling: tuple[float, ...]) -> Iterator[str]:
    """Yield a sentence for numbers that are no scaling of rope."""
    if len(scaling) not in (0, 1, LLAMA_SCALING) or not all(0 < number <= LARGEST_BASE for number in scaling):
        yield (
            "rope_scaling wants one factor, or the factor, low and high frequency factor and original context of "
            f"Llama 3, all positive, got {list(scaling)}"
        )
    elif scaling[1:] and not scaling[1] < scaling[2]:
        yield f"rope_scaling wants a low frequency factor below the high one, got {scaling[1]:g} and {scaling[2]:g}"


def rate_problems(**rates: float) -> Iterator[str]:
    """Yield a sentence for each rate of dropping that is not in [0, 1)."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            yield f"{name} wants a number in [0, 1), got {rate}"


def head_width(layer: Layer, x: TensorType, heads: int, kv_heads: int = 0) -> int:
    """The width of one head in [T, (heads + 2 kv_heads) width].

    Raises LayerError where the channels cannot be shared out so.
    """
    _, width = want_tokens(layer, x)
    parts = heads + 2 * kv_heads
    if width % parts:
        times = f"{heads}" if not kv_heads else f"3 x {heads}" if kv_heads == heads else f"{heads} + 2 x {kv_heads}"
        raise LayerError(
            f"wants a multiple of {times} channels, one share for each head, got {batched(x.shape)}; change heads"
        )
    return width // parts


def model_head_dim(layer: Layer, x: TensorType, heads: int, head_dim: int | None) -> int:
    """`head_dim`, or the share of one head in x [T, D]; raises LayerError where D cannot be shared out."""
    _, width = want_tokens(layer, x)
    if head_dim is None and width % heads:
        raise LayerError(
            f"wants a multiple of heads={heads} channels, got {batched(x.shape)}; change heads or give head_dim", x
        )
    return width // heads if head_dim is None else head_dim


@dataclass(frozen=True)
class SelfAttention(Layer):
    """y[t, h] = sum_s p[h, t, s] v[s, h], p[h, t, :] = softmax_s(q[t, h] . k[s, h] / sqrt(d)), for each head h.

    x is [T, (H + 2 K) d]: the queries q of all heads, then the keys k, then the values v; y is [T, H d]. K is H, or
    `kv_heads`, each of which H / K heads in a row share. `causal` leaves out s > t, and with `window` = w also
    s <= t - w. `groups` are equal runs of tokens, each of which attends to itself alone. `rope` turns each q[t] and
    k[t] by angles t / rope_base^(2i/d) in the planes (i, i + d/2), the half-split convention of GPT-NeoX and LLaMA;
    t counts from the start of the group. `rope_scaling` makes the angles smaller, for a context longer than that of
    the first training: one number divides them (position interpolation); four are Llama 3's factor f, low l, high h
    and old context T: angles whose period is above T / l are divided by f, those below T / h stay, those between mix
    the two, linearly in T / period. `qk_norm` divides each q[t, h] and k[t, h] by its root mean square first.
    `dropout` leaves out elements of p and divides the others by 1 - dropout.
    With `rope_grid` = (R, W) the last R W tokens are places of an image, row by row: the first d/4 planes turn by the
    row, t = row, the others by the column, with d/2 for d in the angles; tokens before those do not turn.

    `tile` = 0 computes and keeps exp of all scores. With tile = n the keys come in blocks of n, with a running
    maximum and sum; only y and the log of the sum are kept, and the backward computes p again. The result is the
    same. Sources: Vaswani et al. 2017, eq. 1; rope Su et al. 2021, eq. 34; tiles Dao et al. 2022, algorithms 1 and 4;
    rope_scaling Chen et al. 2023, eq. 4, and `rope_type: llama3` of Llama 3.1's config.json; rope_grid Black Forest
    Labs 2024 (flux, EmbedND, here in halves); kv_heads Ainslie et al. 2023; window Beltagy et al. 2020, section 3.1;
    qk_norm Dehghani et al. 2023, section 2.
    """

    kind: ClassVar[str] = "selfAttention"
    heads: int
    causal: bool = False
    rope: bool = False
    tile: int = 0
    dropout: float = 0.0
    groups: int = 1
    kv_heads: int | None = None
    rope_base: float = ROPE_BASE
    qk_norm: bool = False
    window: int = 0
    rope_scaling: tuple[float, ...] = ()
    rope_grid: tuple[int, int] | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(heads=self.heads, groups=self.groups)
        if self.tile < 0:
            yield f"tile wants 0 (no tiles) or a number of tokens, got {self.tile}"
        yield from rate_problems(dropout=self.dropout)
        if self.kv_heads is not None and (self.kv_heads < 1 or self.heads % max(self.kv_heads, 1)):
            yield f"kv_heads wants a divisor of heads={self.heads}, got {self.kv_heads}"
        if not 1 < self.rope_base <= LARGEST_BASE:
            yield f"rope_base wants a number above 1, at most {LARGEST_BASE:g}, got {self.rope_base}"
        yield from scaling_problems(self.rope_scaling)
        if self.window < 0 or (self.window and not self.causal):
            yield f"window wants 0 (all earlier tokens), or a number of tokens with causal, got {self.window}"
        plain = self.rope and self.groups == 1 and not self.rope_scaling
        if self.rope_grid is not None and (min(self.rope_grid) < 1 or not plain):
            got = list(self.rope_grid)
            yield f"rope_grid wants rows and columns, with rope and in one group, without rope_scaling, got {got}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; draws where it drops out."""
        width = head_width(self, x, self.heads, self.kv_heads or self.heads)
        out = TensorType((x.shape[0], self.heads * width), x.dtype)
        if x.shape[0] % self.groups:
            raise LayerError(f"wants a multiple of groups={self.groups} tokens, got {batched(x.shape)}; change groups")
        if self.tile and x.shape[0] > self.groups * self.tile * MOST_TILES:
            raise LayerError(
                f"wants at most {MOST_TILES} tiles, got {batched(x.shape)} by {self.tile}; raise tile", out
            )
        if self.rope and width % 2:
            raise LayerError(f"wants heads of an even width for rope, got {width}; change heads or leave rope out")
        if self.rope_grid is not None:
            if width % 4:
                raise LayerError(f"wants heads of a multiple of 4 channels for rope_grid, got {width}; change heads")
            if x.shape[0] < math.prod(self.rope_grid):
                raise LayerError(
                    f"wants at least {math.prod(self.rope_grid)} tokens, got {batched(x.shape)}; change rope_grid", out
                )
        return Signature((), (), out, draws=self.dropout > 0)

    def label(self) -> str:
        """`selfAttention 3 causal tile 64`."""
        causal, tile = " causal" if self.causal else "", f" tile {self.tile}" if self.tile else ""
        shared = f"/{self.kv_heads}" if self.kv_heads else ""
        return f"selfAttention {self.heads}{shared}{causal}{tile}"


@dataclass(frozen=True)
class CrossAttend(Layer):
    """y[t, h] = sum_s softmax_s(q[t, h] . k[s, h] / sqrt(d)) v[s, h], for each head h.

    x is [Q + 2 S, H d]: `queries` = Q tokens q, then S keys, then their S values; y is [Q, H d]. Dropout of the
    probabilities as in selfAttention. Source: Vaswani et al. 2017, section 3.2.3.
    """

    kind: ClassVar[str] = "crossAttend"
    heads: int
    queries: int
    dropout: float = 0.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(heads=self.heads, queries=self.queries)
        yield from rate_problems(dropout=self.dropout)

    def signature(self, x: TensorType) -> Signature:
        """No parameters; draws where it drops out."""
        width = head_width(self, x, self.heads)
        memory = x.shape[0] - self.queries
        if memory <= 0 or memory % 2:
            raise LayerError(
                f"wants {self.queries} queries, then as many keys as values, got {batched(x.shape)}; change queries"
            )
        out = TensorType((self.queries, self.heads * width), x.dtype)
        return Signature((), (), out, draws=self.dropout > 0)

    def label(self) -> str:
        """`crossAttend 8`."""
        return f"crossAttend {self.heads}"


@dataclass(frozen=True)
class MultiHeadAttention(Composite):
    """y = out(selfAttention(qkv(x))): x [T, D] to [T, (H + 2 K) d] and back to [T, D].

    `head_dim` d is D / heads unless given. `bias` is that of both products; their kernels start normal with standard
    deviation `std`. `attention_dropout` is on the probabilities, `dropout` on y; the other options are those of
    selfAttention. Source: Vaswani et al. 2017, section 3.2.2; qkv in one product as in timm's Attention.
    """

    kind: ClassVar[str] = "multiHeadAttention"
    aliases: ClassVar[tuple[str, ...]] = ("mha",)
    heads: int
    head_dim: int | None = None
    causal: bool = False
    rope: bool = False
    tile: int = 0
    bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    groups: int = 1
    std: float = 0.02
    kv_heads: int | None = None
    rope_base: float = ROPE_BASE
    qk_norm: bool = False
    window: int = 0
    rope_scaling: tuple[float, ...] = ()

    def _attend(self) -> SelfAttention:
        return SelfAttention(
            self.heads, self.causal, self.rope, self.tile, self.attention_dropout, self.groups, self.kv_heads,
            self.rope_base, self.qk_norm, self.window, self.rope_scaling, name="attend",
        )  # fmt: skip

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from _around_problems(self, self._attend())

    def expand(self, x: TensorType) -> Layer:
        """dense, selfAttention, dense, dropout."""
        head = model_head_dim(self, x, self.heads, self.head_dim)
        width = (self.heads + 2 * (self.kv_heads or self.heads)) * head
        layers: tuple[Layer, ...] = (
            Dense(width, bias=self.bias, std=self.std, name="qkv"),
            self._attend(),
            Dense(x.shape[1], bias=self.bias, std=self.std, name="out"),
        )
        return Chain(layers + dropped(self.dropout))

    def label(self) -> str:
        """`multiHeadAttention 3`."""
        return f"multiHeadAttention {self.heads}" + (" causal" if self.causal else "")


def _around_problems(layer: MultiHeadAttention | CrossAttention, attend: SelfAttention | CrossAttend) -> Iterator[str]:
    """What no input could make right, of `attend` and of the products around it."""
    yield from replace(attend, dropout=0.0).problems()
    if layer.head_dim is not None:
        yield from want_positive(head_dim=layer.head_dim)
    yield from rate_problems(dropout=layer.dropout, attention_dropout=layer.attention_dropout)
    yield from want_spread(std=layer.std)


def dropped(rate: float, name: str = "dropout") -> tuple[Layer, ...]:
    """A dropout, or nothing."""
    return (Dropout(rate, name=name),) if rate else ()


@dataclass(frozen=True)
class CrossAttention(Composite):
    """y = out(attention of query(a) over keys and values memory(b)), for x [Q + S, D] -> y [Q, D].

    a is the first `queries` = Q tokens of x, b the S others; memory gives keys, then values, in one product. Options
    as in multiHeadAttention. Source: Vaswani et al. 2017, section 3.2.3.
    """

    kind: ClassVar[str] = "crossAttention"
    heads: int
    queries: int
    head_dim: int | None = None
    bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    std: float = 0.02

    def _attend(self) -> CrossAttend:
        return CrossAttend(self.heads, self.queries, self.attention_dropout, name="attend")

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from _around_problems(self, self._attend())

    def expand(self, x: TensorType) -> Layer:
        """dense on the queries and on the memory, crossAttend, dense, dropout."""
        width = self.heads * model_head_dim(self, x, self.heads, self.head_dim)
        query = Dense(width, bias=self.bias, std=self.std)
        memory = Chain((Dense(2 * width, bias=self.bias, std=self.std, name="kv"), ChannelsToTokens(name="stack")))
        layers: tuple[Layer, ...] = (
            OnTokens(self.queries, query, memory, name="in"),
            self._attend(),
            Dense(x.shape[1], bias=self.bias, std=self.std, name="out"),
        )
        return Chain(layers + dropped(self.dropout))

    def label(self) -> str:
        """`crossAttention 8`."""
        return f"crossAttention {self.heads}"
