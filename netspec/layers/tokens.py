"""Sequences of tokens [T, D]: made from images and back, added to, picked from, and worked on in part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netc.netspec.layer import Combinator, Layer, LayerError, Visit, want_positive, want_rank, want_spread
from netc.netspec.layers.shape import Identity
from netc.netspec.types import Normal, ParamSpec, Signature, TensorType, batched

MAKE_TOKENS = "put spatialFlatten or patchEmbed before it"


def want_tokens(layer: Layer, x: TensorType) -> tuple[int, int]:
    """(T, D) of an example of tokens; raises LayerError for another rank."""
    want_rank(layer, x, 2, "T, D", MAKE_TOKENS)
    return x.shape[0], x.shape[1]


@dataclass(frozen=True)
class SpatialFlatten(Layer):
    """y[p W + q, c] = x[p, q, c]: the pixels of [H, W, C] as tokens [H W, C], row by row."""

    kind: ClassVar[str] = "spatialFlatten"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        return Signature((), (), TensorType((x.shape[0] * x.shape[1], x.shape[2]), x.dtype))


@dataclass(frozen=True)
class SpatialUnflatten(Layer):
    """y[p, q, c] = x[p width + q, c]: tokens [height width, C] as an image [height, width, C], row by row."""

    kind: ClassVar[str] = "spatialUnflatten"
    height: int
    width: int

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(height=self.height, width=self.width)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        tokens, channels = want_tokens(self, x)
        out = TensorType((self.height, self.width, channels), x.dtype)
        if tokens != self.height * self.width:
            raise LayerError(
                f"wants {self.height * self.width} tokens, got {batched(x.shape)}; change height and width", out
            )
        return Signature((), (), out)

    def label(self) -> str:
        """`spatialUnflatten 14x14`."""
        return f"spatialUnflatten {self.height}x{self.width}"


@dataclass(frozen=True)
class LearnedTokens(Layer):
    """y = tokens, then x: `count` trained tokens before those of x [T, D], the same for every example.

    One is the class token of ViT (Dosovitskiy et al. 2021, eq. 1), many are the object queries of DETR (Carion et
    al. 2020, section 3.2). They start normal with standard deviation `std`.
    """

    kind: ClassVar[str] = "learnedTokens"
    count: int = 1
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(count=self.count)
        yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """tokens [count, D]."""
        tokens, width = want_tokens(self, x)
        own = ParamSpec("tokens", (self.count, width), Normal(self.std), decay=False)
        return Signature((own,), (), TensorType((self.count + tokens, width), x.dtype))

    def label(self) -> str:
        """`learnedTokens 1`."""
        return f"learnedTokens {self.count}"


@dataclass(frozen=True)
class LearnedPositions(Layer):
    """y[t, d] = x[t, d] + positions[t, d]. They start normal with standard deviation `std`.

    Source: Gehring et al. 2017, section 3.1; Dosovitskiy et al. 2021, eq. 1.
    """

    kind: ClassVar[str] = "learnedPositions"
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """positions [T, D]."""
        own = ParamSpec("positions", want_tokens(self, x), Normal(self.std), decay=False)
        return Signature((own,), (), x)


@dataclass(frozen=True)
class TakeTokens(Layer):
    """y[t] = x[start + t], `count` tokens of [T, D] or ids of [T]: the first, or those from `start` on."""

    kind: ClassVar[str] = "takeTokens"
    takes_ids: ClassVar[bool] = True
    count: int
    start: int = 0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(count=self.count)
        if self.start < 0:
            yield f"start wants an integer of at least 0, got {self.start}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        tokens = x.shape[0] if x.dtype == "i32" and x.rank == 1 else want_tokens(self, x)[0]
        out = TensorType((self.count, *x.shape[1:]), x.dtype)
        if tokens < self.start + self.count:
            lower = "lower count or start" if self.start else "lower count"
            raise LayerError(f"wants at least {self.start + self.count} tokens, got {batched(x.shape)}; {lower}", out)
        return Signature((), (), out)

    def label(self) -> str:
        """`takeTokens 100`, `takeTokens 196 from 1`."""
        return f"takeTokens {self.count} from {self.start}" if self.start else f"takeTokens {self.count}"


@dataclass(frozen=True)
class PreviousToken(Layer):
    """y[t] = x[t - 1] of [T, D], y[0] = 0: each token sees the one before it, the first of a document none.

    Added to x by a gate it is the smear of modded-nanoGPT and nanochat (Karpathy 2025, gpt.py).
    """

    kind: ClassVar[str] = "previousToken"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_tokens(self, x)
        return Signature((), (), x)


@dataclass(frozen=True)
class SelectToken(Layer):
    """y[d] = x[index, d]: one token of [T, D]; -1 is the last. Token 0 is ViT's class token."""

    kind: ClassVar[str] = "selectToken"
    index: int = 0

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        tokens, width = want_tokens(self, x)
        out = TensorType((width,), x.dtype)
        if not -tokens <= self.index < tokens:
            raise LayerError(f"wants index from {-tokens} to {tokens - 1}, got {self.index}; change index", out)
        return Signature((), (), out)

    def label(self) -> str:
        """`selectToken 0`."""
        return f"selectToken {self.index}"


@dataclass(frozen=True)
class ChannelsToTokens(Layer):
    """y[p T + t, c] = x[t, p C + c]: [T, parts C] -> [parts T, C], the parts of the channels one below the other."""

    kind: ClassVar[str] = "channelsToTokens"
    parts: int = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(parts=self.parts)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        tokens, width = want_tokens(self, x)
        if width % self.parts:
            raise LayerError(f"wants a multiple of parts={self.parts} channels, got {batched(x.shape)}; change parts")
        return Signature((), (), TensorType((self.parts * tokens, width // self.parts), x.dtype))

    def label(self) -> str:
        """`channelsToTokens 2`."""
        return f"channelsToTokens {self.parts}"


@dataclass(frozen=True)
class OnTokens(Combinator):
    """y = body(a), then rest(b), one below the other; a is the first `count` tokens of x [T, D], b the others.

    With `whole` the body sees all of x in place of a. So decoders are written, whose queries are the first tokens and
    whose memory the others. Pullback: dx = body*(its part of dy), then rest*(the other part), and with `whole` the
    two added where both saw x.
    """

    kind: ClassVar[str] = "onTokens"
    count: int
    body: Layer
    rest: Layer = field(default_factory=Identity)
    whole: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(count=self.count)

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """The body sees the first tokens or all, the rest the others; both must give tokens of one width."""
        tokens, width = want_tokens(self, x)
        if tokens <= self.count:
            raise LayerError(f"wants more than {self.count} tokens, got {batched(x.shape)}; lower count", x)
        seen = tokens if self.whole else self.count
        outs = (
            visit("body", self.body, TensorType((seen, width), x.dtype)),
            visit("rest", self.rest, TensorType((tokens - self.count, width), x.dtype)),
        )
        if any(o.rank != 2 for o in outs) or outs[0].shape[1] != outs[1].shape[1]:
            got = " and ".join(batched(o.shape) for o in outs)
            raise LayerError(f"wants body and rest to give tokens of one width, got {got}; change their features")
        return TensorType((outs[0].shape[0] + outs[1].shape[0], outs[0].shape[1]), x.dtype)
