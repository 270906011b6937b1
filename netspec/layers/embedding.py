"""Token ids in, logits over tokens out, and encodings of positions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from netc.netspec.layer import (
    Combinator,
    Composite,
    Layer,
    LayerError,
    Visit,
    want_finite,
    want_positive,
    want_rank,
    want_spread,
)
from netc.netspec.layers.activation import SoftCap
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.dense import Dense
from netc.netspec.types import Constant, Normal, ParamSpec, Signature, TensorType, batched

MOST_LEVELS = 32  # of a positional encoding


@dataclass(frozen=True)
class TokenPositionEmbed(Layer):
    """y[t] = tokens[ids[t]] + positions[t] + bias: token ids [T] -> [T, dim].

    `vocabulary` is the number of rows of `tokens`; an id below 0 means row 0, one above the last the last row.
    `positions=False` leaves the learned positions out. With `bias` it is, without positions, the dense layer on the ids
    written one-hot; no bias otherwise. Both tables start with standard deviation `std`. An integer
    has no gradient: the pullback gives 0 for the ids. Sources: Vaswani et al. 2017, section 3.4; learned positions
    and std as in Radford et al. 2019 (GPT-2).
    """

    kind: ClassVar[str] = "tokenPositionEmbed"
    takes_ids: ClassVar[bool] = True
    vocabulary: int
    dim: int
    positions: bool = True
    std: float = 0.02
    bias: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(vocabulary=self.vocabulary, dim=self.dim)
        yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """tokens [vocabulary, dim], positions [T, dim], bias [dim]."""
        out = TensorType((*x.shape, self.dim))
        if x.dtype != "i32" or x.rank != 1:
            raise LayerError(f'wants token ids i32[T], got {x}; put it first in a net with dtype = "i32"', out)
        params = [ParamSpec("tokens", (self.vocabulary, self.dim), Normal(self.std))]
        if self.positions:
            params.append(ParamSpec("positions", (x.shape[0], self.dim), Normal(self.std)))
        if self.bias:
            params.append(ParamSpec("bias", (self.dim,), Constant(0.0), decay=False))
        return Signature(tuple(params), (), out)

    def label(self) -> str:
        """`tokenPositionEmbed 65->128`."""
        return f"tokenPositionEmbed {self.vocabulary}->{self.dim}"


@dataclass(frozen=True)
class ClassEmbed(Layer):
    """y = table[n], n the whole number nearest to x: a class id that travels as a float, [1] -> [dim].

    `rows` is the number of rows of the table; below 0 it is row 0, above the last the last row. The table starts normal
    with standard deviation `std`. A step function has no gradient: the pullback gives 0 for x. A net with a null class
    for classifier-free guidance (Ho and Salimans 2022) has a row more than there are classes.
    """

    kind: ClassVar[str] = "classEmbed"
    rows: int
    dim: int
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(rows=self.rows, dim=self.dim)
        yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """table [rows, dim]."""
        out = TensorType((self.dim,), x.dtype)
        if x.shape != (1,):
            raise LayerError(f"wants [batch, 1], one class id each, got {batched(x.shape)}; pick one channel", out)
        return Signature((ParamSpec("table", (self.rows, self.dim), Normal(self.std)),), (), out)

    def label(self) -> str:
        """`classEmbed 11->384`."""
        return f"classEmbed {self.rows}->{self.dim}"


@dataclass(frozen=True)
class LMHead(Composite):
    """logits[t] = x[t] kernel (+ bias): [T, D] -> [T, vocabulary], with a kernel of its own.

    With `cap` above 0 a softCap of that limit follows; `std` is that of dense. Source: Vaswani et al. 2017, section
    3.4. With the embedding's matrix in place of the kernel it is `tiedHead`.
    """

    kind: ClassVar[str] = "lmHead"
    vocabulary: int
    bias: bool = False
    cap: float = 0.0
    std: float | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(vocabulary=self.vocabulary)
        yield from want_finite(cap=self.cap)
        if self.cap < 0:
            yield f"cap wants 0 (none) or a positive number, got {self.cap}"
        if self.std is not None:
            yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """One dense layer, and its cap."""
        want_rank(self, x, 2, "T, D", "put it after layers that keep the sequence")
        capped = (SoftCap(self.cap, name="cap"),) if self.cap else ()
        return Chain((Dense(self.vocabulary, bias=self.bias, std=self.std, name="dense"), *capped))

    def label(self) -> str:
        """`lmHead 65`."""
        return f"lmHead {self.vocabulary}"


@dataclass(frozen=True)
class TiedHead(Combinator):
    """logits = body(embed(ids)) tokensᵀ: [T] -> [T, vocabulary], tokens the embedding's own matrix.

    The matrix is used twice, so its gradient is the sum of both uses. Source: Press and Wolf 2017, section 3; GPT-2.
    """

    kind: ClassVar[str] = "tiedHead"
    embed: Layer
    body: Layer

    def problems(self) -> Iterator[str]:
        """The embedding must have a matrix to share."""
        if not isinstance(self.embed, TokenPositionEmbed):
            yield f"embed wants a tokenPositionEmbed, whose matrix it shares, got {self.embed.kind}"

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """The body sees what the embedding gives, and must give vectors of the same size."""
        assert isinstance(self.embed, TokenPositionEmbed)
        h = visit("embed", self.embed, x)
        y = visit("body", self.body, h)
        out = TensorType((*y.shape[:-1], self.embed.vocabulary), y.dtype)
        if y.shape[-1:] != h.shape[-1:]:
            raise LayerError(
                f"wants a body that gives [batch, .., {self.embed.dim}], got {batched(y.shape)}; "
                "end it in a layer of the embedding's dim", out)  # fmt: skip
        return out

    def signature(self, x: TensorType) -> Signature:
        """Those of the parts; an output of the shared matrix is a row of it."""
        own = super().signature(x)
        params = (replace(p, output=0) if p.name == "embed.tokens" else p for p in own.params)
        return replace(own, params=tuple(params))

    def label(self) -> str:
        """`tiedHead 65`."""
        return f"tiedHead {self.embed.vocabulary}" if isinstance(self.embed, TokenPositionEmbed) else self.kind


@dataclass(frozen=True)
class SinusoidalPositions(Layer):
    """y[t, d] = x[t, d] + p[t, d]; p[t, 2i] = sin(t / base^(2i / D)), p[t, 2i + 1] = cos of the same.

    x is [T, D]; nothing is learned. With `columns` = W the tokens are places of an image row by row: the first half of
    the channels encodes the row t // W, the other half the column t % W, each as above with D / 2 for D. Sources:
    Vaswani et al. 2017, section 3.5; He et al. 2022, appendix A.1 (rows and columns, up to the order of channels).
    """

    kind: ClassVar[str] = "sinusoidalPositions"
    base: float = 10000.0
    columns: int = 0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if not 0 < self.base < math.inf:
            yield f"base wants a positive number, got {self.base}"
        if self.columns < 0:
            yield f"columns wants 0 (no image) or a number of columns, got {self.columns}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; the output has the type of the input."""
        want_rank(self, x, 2, "T, D", "give a sequence of vectors")
        if self.columns and (x.shape[0] % self.columns or x.shape[1] % 2):
            raise LayerError(
                f"wants rows of {self.columns} tokens of an even width, got {batched(x.shape)}; change columns", x
            )
        return Signature((), (), x)


@dataclass(frozen=True)
class PositionalEncoding(Layer):
    """y[.., i, l] = (sin(2^l π x[.., i]), cos(2^l π x[.., i])) for l below `levels`: [.., C] -> [.., 2 C levels].

    The output lays i, l and the pair out row-major in its last axis. Source: Mildenhall et al. 2020 (NeRF), eq. 4.
    """

    kind: ClassVar[str] = "positionalEncoding"
    levels: int = 10

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(levels=self.levels)
        if self.levels > MOST_LEVELS:
            yield f"levels wants at most {MOST_LEVELS}, beyond which float32 has no phase left, got {self.levels}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        if x.rank == 0:
            raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
        return Signature((), (), TensorType((*x.shape[:-1], 2 * x.shape[-1] * self.levels), x.dtype))

    def label(self) -> str:
        """`positionalEncoding L10`."""
        return f"positionalEncoding L{self.levels}"
