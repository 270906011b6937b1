"""Combinators: the chain rule as layers. Their pullbacks compose those of their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netc.netspec.layer import Combinator, Layer, LayerError, Visit, part_names, want_copies
from netc.netspec.layers.shape import Identity
from netc.netspec.types import TensorType, batched


@dataclass(frozen=True)
class Chain(Combinator):
    """y = f_n(.. f_2(f_1(x))). Pullback: those of the parts, last first."""

    kind: ClassVar[str] = "chain"
    layers: tuple[Layer, ...]

    def problems(self) -> Iterator[str]:
        """Two parts with one name would share parameters without saying so."""
        names = part_names(self.layers)
        for name, count in sorted(Counter(names).items()):
            if count > 1:
                yield f"wants a different name for each part, got {name!r} {count} times; rename one"

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Each part sees what the one before it gives."""
        for name, layer in zip(part_names(self.layers), self.layers, strict=True):
            x = visit(name, layer, x)
        return x


@dataclass(frozen=True)
class Residual(Combinator):
    """y = body(x) + shortcut(x). Pullback: dx = body*(dy) + shortcut*(dy). Source: He et al. 2016, eq. 1 and 2."""

    kind: ClassVar[str] = "residual"
    body: Layer
    shortcut: Layer = field(default_factory=Identity)

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Both parts see x and must give the same type."""
        y, s = visit("body", self.body, x), visit("shortcut", self.shortcut, x)
        if y != s:
            raise LayerError(
                f"wants body and shortcut of one shape, got {batched(y.shape)} and {batched(s.shape)}; "
                "make the shortcut a 1x1 convolution with the body's stride and features", y)  # fmt: skip
        return y


@dataclass(frozen=True)
class Gate(Combinator):
    """y = x * body(x), body(x) of x's shape or [C], which then scales each channel.

    Pullback: dx = dy * body(x) + body*(sum over the broadcast axes of dy * x). Source: Hu et al. 2018
    (squeeze-excitation).
    """

    kind: ClassVar[str] = "gate"
    body: Layer

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """The body sees x."""
        g = visit("body", self.body, x)
        if g != x and g.shape != x.shape[-1:]:
            raise LayerError(
                f"wants a body that gives {batched(x.shape)} or {batched(x.shape[-1:])}, got {batched(g.shape)}; "
                "end the body in a layer of that many features", x)  # fmt: skip
        return x


@dataclass(frozen=True)
class Concat(Combinator):
    """y = the branches' outputs side by side on the last axis. Pullback: dx = sum of branch*(their slice of dy).

    With `as_tokens` they are tokens one below the other, [T, D] or, for one token, [D].
    """

    kind: ClassVar[str] = "concat"
    branches: tuple[Layer, ...]
    as_tokens: bool = False

    def problems(self) -> Iterator[str]:
        """There must be something to join."""
        if not self.branches:
            yield "branches wants at least one layer, got none"
        yield from Chain(self.branches).problems()

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Every branch sees x; all axes but the last must agree."""
        names = part_names(self.branches)
        outs = [visit(name, layer, x) for name, layer in zip(names, self.branches, strict=True)]
        if self.as_tokens:
            return self._below(outs)
        if len({(o.shape[:-1], o.dtype) for o in outs}) > 1:
            got = " and ".join(batched(o.shape) for o in outs)
            raise LayerError(
                f"wants branches that agree on all axes but the last, got {got}; change strides or padding"
            )
        return TensorType((*outs[0].shape[:-1], sum(o.shape[-1] for o in outs)), outs[0].dtype)

    def _below(self, outs: list[TensorType]) -> TensorType:
        if any(o.rank not in (1, 2) for o in outs) or len({(o.shape[-1], o.dtype) for o in outs}) > 1:
            got = " and ".join(batched(o.shape) for o in outs)
            raise LayerError(f"wants branches that give tokens of one width, got {got}; change their features")
        tokens = sum(o.shape[0] if o.rank == 2 else 1 for o in outs)
        return TensorType((tokens, outs[0].shape[-1]), outs[0].dtype)


@dataclass(frozen=True)
class Repeat(Combinator):
    """y = body applied `times` times, each with parameters of its own (`block0`, `block1`, ..)."""

    kind: ClassVar[str] = "repeat"
    body: Layer
    times: int = 1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_copies(times=self.times)

    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Each copy sees what the one before it gives."""
        for index in range(self.times):
            x = visit(f"block{index}", self.body, x)
        return x
