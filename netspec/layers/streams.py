"""Transformers of two kinds of tokens, as Flux has them: each with weights of its own, or all with the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive, want_spread
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.attention import SelfAttention, model_head_dim
from netc.netspec.layers.channels import HalfProduct
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.modulation import Modulated, from_zero, grid_of
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import OnTokens, TakeTokens, want_tokens
from netc.netspec.types import TensorType, batched

BASE = 2_000.0  # of rope in FLUX.2


def gated_unit() -> Layer:
    """swish(a) b of the two halves a and b of the channels. Source: Shazeer 2020, section 2."""
    halves = Split((Activation("swish", name="gate"), Identity(name="value")), name="halves")
    return Chain((halves, HalfProduct(name="product")), name="unit")


@dataclass(frozen=True)
class Streams(Composite):
    """What blocks of two kinds of tokens share: [K + n + T, D], `conditions` = K, n of text or a class, T of an image.

    The image is square, or `columns` wide; the attention turns its queries and keys by their places (selfAttention's
    rope_grid) and divides them by their root mean square. `shared_from` = 0: each layer makes its modulation of the
    first condition, by a dense layer that starts at zero. Else the conditions from that one on are its rows.
    """

    heads: int
    mlp: int
    text: int
    blocks: int = 1
    conditions: int = 1
    shared_from: int = 0
    columns: int = 0
    bias: bool = False
    rope_base: float = BASE
    std: float = 0.02
    shared_rows: ClassVar[int]

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(mlp=self.mlp, text=self.text, conditions=self.conditions)
        yield from want_copies(blocks=self.blocks)
        yield from want_spread(std=self.std)
        yield from self._attend(None).problems()
        if self.shared_from and not 0 < self.shared_from <= self.conditions - self.shared_rows:
            yield (
                f"shared_from wants 0 or a position in 1..{max(self.conditions - self.shared_rows, 1)}, where "
                f"{self.shared_rows} rows begin among {self.conditions} conditions, got {self.shared_from}"
            )
        if self.columns < 0:
            yield f"columns wants 0 (a square image) or a number of columns, got {self.columns}"

    def _attend(self, grid: tuple[int, int] | None) -> SelfAttention:
        return SelfAttention(
            self.heads, rope=True, rope_base=self.rope_base, qk_norm=True, rope_grid=grid, name="attend"
        )

    def _sizes(self, x: TensorType) -> tuple[int, SelfAttention]:
        """D, and the attention over the tokens behind the conditions; raises LayerError where x does not fit."""
        tokens, width = want_tokens(self, x)
        least = self.conditions + self.text
        if tokens <= least:
            raise LayerError(f"wants more than {least} tokens, got {batched(x.shape)}; lower conditions or text", x)
        model_head_dim(self, x, self.heads, None)
        return width, self._attend(grid_of(tokens - least, self.columns, x))

    def _modulated(self, body: Layer, width: int, first: int, apart: int, name: str) -> Layer:
        """The layer with its rows, which begin at `first` of those that are shared."""
        rows = 6 if apart else 3
        if self.shared_from:
            modulation: Layer = TakeTokens(rows, self.shared_from + first)
        else:
            modulation = from_zero(rows, width, self.conditions, self.bias)
        return Modulated(body, modulation, conditions=self.conditions, apart=apart, name=name)

    def _dense(self, features: int, name: str) -> Dense:
        return Dense(features, bias=self.bias, std=self.std, name=name)

    def label(self) -> str:
        """`doubleStream h24 mlp 9216 x5`."""
        return f"{self.kind} h{self.heads} mlp {self.mlp} x{self.blocks}"


@dataclass(frozen=True)
class DoubleStream(Streams):
    """`blocks` times joint attention, then an MLP, where text and image have dense layers and modulations of their own.

    x is [K + n + T, D], `text` = n. Queries, keys and values of both streams stand in one row of tokens, in which all
    attend to all. The MLP is dense(swish(a) b), a and b dense of `mlp` features. Shared rows: 6 of the attention, the
    text's first, then 6 of the MLP. Sources: Esser et al. 2024, fig. 2b; Black Forest Labs 2024 (flux,
    DoubleStreamBlock), with the sizes and the shared rows of their FLUX.2.
    """

    kind: ClassVar[str] = "doubleStream"
    shared_rows: ClassVar[int] = 12

    def expand(self, x: TensorType) -> Layer:
        """A chain of blocks, each a chain of two modulated layers."""
        width, attend = self._sizes(x)
        own = (
            OnTokens(self.text, self._dense(3 * width, "qkv"), self._dense(3 * width, "qkv"), name="in"),
            attend,
            OnTokens(self.text, self._dense(width, "out"), self._dense(width, "out"), name="out"),
        )
        perceptron = Chain((self._dense(2 * self.mlp, "hidden"), gated_unit(), self._dense(width, "out")))
        parts = (
            self._modulated(Chain(own), width, 0, self.text, "attention"),
            self._modulated(OnTokens(self.text, perceptron, perceptron), width, 6, self.text, "mlp"),
        )
        return Chain(tuple(Chain(parts, name=f"block{index}") for index in range(self.blocks)))


@dataclass(frozen=True)
class SingleStream(Streams):
    """`blocks` times h + g * out(attention(qkv), swish(a) b), where all tokens have the same weights.

    x is [K + n + T, D], `text` = n. One dense layer gives qkv, a and b, the last two of `mlp` features each; one takes
    attention and MLP side by side back to D. Shared rows: 3. Sources: Dehghani et al. 2023, section 2 (parallel
    layers); Black Forest Labs 2024 (flux, SingleStreamBlock), with the sizes and the shared rows of their FLUX.2.
    """

    kind: ClassVar[str] = "singleStream"
    shared_rows: ClassVar[int] = 3

    def expand(self, x: TensorType) -> Layer:
        """A chain of modulated layers."""
        width, attend = self._sizes(x)
        beside = Split((attend, gated_unit()), (3 * width, 2 * self.mlp), name="beside")
        body = Chain((self._dense(3 * width + 2 * self.mlp, "in"), beside, self._dense(width, "out")))
        return Chain(tuple(self._modulated(body, width, 0, 0, f"block{index}") for index in range(self.blocks)))
