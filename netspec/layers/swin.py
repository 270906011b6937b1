"""Swin transformers: attention inside windows of an image, which move in every second block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import (
    Composite,
    Layer,
    LayerError,
    want_copies,
    want_positive,
    want_rank,
    want_ratio,
    want_spread,
)
from netc.netspec.layers.attention import dropped, head_width, model_head_dim, rate_problems
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.norm import LayerNorm, epsilon_problems
from netc.netspec.layers.stochastic import Rates, paths_dropped, paths_problems
from netc.netspec.layers.tokens import SpatialFlatten, SpatialUnflatten, want_tokens
from netc.netspec.layers.transformer import mlp_layers
from netc.netspec.layers.window import Pair, pair
from netc.netspec.types import Normal, ParamSpec, Signature, TensorType, batched


def windows_of(size: Pair, window: int) -> Pair:
    """How many windows cover (H, W), the last ones in part."""
    return -(-size[0] // window), -(-size[1] // window)


def shift_problems(window: int, shift: int | Pair) -> Iterator[str]:
    """Yield a sentence if a shift is not smaller than the window."""
    yield from want_positive(window=window)
    if window >= 1 and not all(0 <= s < window for s in pair(shift)):
        yield f"shift wants numbers from 0 to window - 1 = {window - 1}, got {shift}"


@dataclass(frozen=True)
class WindowPartition(Layer):
    """The pixels of an image [H, W, C] as tokens, ordered by windows of window x window: y is [n window², C].

    The image is filled up with zeros at the bottom and the right to whole windows, then moved cyclically by `shift`
    pixels up and left. Tokens come window by window, row by row inside each; with `across` place by place: first the
    upper left pixel of every window, then the next of every window, which makes no use of zeros and refuses an image
    that does not divide. windowMerge is its inverse and its pullback. Sources: Liu et al. 2021, section 3.2
    (torchvision's shifted_window_attention); across: Mehta and Rastegari 2022, section 3.1 (unfold).
    """

    kind: ClassVar[str] = "windowPartition"
    window: int
    shift: int | Pair = 0
    across: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from shift_problems(self.window, self.shift)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        down, along = windows_of((x.shape[0], x.shape[1]), self.window)
        out = TensorType((down * along * self.window**2, x.shape[2]), x.dtype)
        if self.across and out.shape[0] != x.shape[0] * x.shape[1]:
            raise LayerError(
                f"wants sides that are multiples of {self.window}, got {batched(x.shape)}; change window", out
            )
        return Signature((), (), out)

    def label(self) -> str:
        """`windowPartition 7x7`."""
        return f"windowPartition {self.window}x{self.window}"


@dataclass(frozen=True)
class WindowMerge(Layer):
    """The inverse of windowPartition with the same options: [n window², C] -> [height, width, C], zeros cut off."""

    kind: ClassVar[str] = "windowMerge"
    height: int
    width: int
    window: int
    shift: int | Pair = 0
    across: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(height=self.height, width=self.width)
        yield from shift_problems(self.window, self.shift)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        tokens, channels = want_tokens(self, x)
        down, along = windows_of((self.height, self.width), self.window)
        out = TensorType((self.height, self.width, channels), x.dtype)
        if tokens != down * along * self.window**2:
            raise LayerError(
                f"wants {down * along * self.window**2} tokens, got {batched(x.shape)}; change height and width", out
            )
        return Signature((), (), out)

    def label(self) -> str:
        """`windowMerge 56x56`."""
        return f"windowMerge {self.height}x{self.width}"


@dataclass(frozen=True)
class WindowAttention(Layer):
    """y[t, h] = sum_s softmax_s(q[t, h] . k[s, h] / sqrt(d) + bias[h, t, s] + mask[t, s]) v[s, h] in each window.

    x is [rows columns w², 3 H d] with w = `window`: windows in order, in each the tokens row by row, of each the
    queries, keys and values as in selfAttention; y is [rows columns w², H d]. bias[h, t, s] = table[(a - c + w - 1)
    (2 w - 1) + b - e + w - 1, h] for t at row a and column b of the window and s at c, e. Where the image has been
    moved by `shift`, the last row and column of windows hold pixels that were not neighbours: mask is -100 between
    these, else 0. Source: Liu et al. 2021, eq. 4 and fig. 4; torchvision's shifted_window_attention.
    """

    kind: ClassVar[str] = "windowAttention"
    heads: int
    window: int
    rows: int
    columns: int
    shift: int | Pair = 0
    dropout: float = 0.0
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(heads=self.heads, rows=self.rows, columns=self.columns)
        yield from shift_problems(self.window, self.shift)
        yield from rate_problems(dropout=self.dropout)
        yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """table [(2 w - 1)², heads]; draws where it drops out."""
        width = head_width(self, x, self.heads, self.heads)
        tokens = self.rows * self.columns * self.window**2
        if x.shape[0] != tokens:
            raise LayerError(f"wants {tokens} tokens, got {batched(x.shape)}; change rows, columns or window")
        table = ParamSpec("table", ((2 * self.window - 1) ** 2, self.heads), Normal(self.std), decay=False)
        out = TensorType((tokens, self.heads * width), x.dtype)
        return Signature((table,), (), out, draws=self.dropout > 0)

    def label(self) -> str:
        """`windowAttention 3 7x7`."""
        return f"windowAttention {self.heads} {self.window}x{self.window}"


@dataclass(frozen=True)
class SpaceToDepth(Layer):
    """y[p, q, (b n + a) C + c] = x[n p + a, n q + b, c], n = `block`: the pixels of a block on the channels.

    They come column by column. The image is filled up with zeros at the bottom and the right to whole blocks.
    Sources: torchvision's PatchMerging; the same order in YOLOv5's Focus.
    """

    kind: ClassVar[str] = "spaceToDepth"
    block: int = 2

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(block=self.block)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        down, along = windows_of((x.shape[0], x.shape[1]), self.block)
        return Signature((), (), TensorType((down, along, x.shape[2] * self.block**2), x.dtype))

    def label(self) -> str:
        """`spaceToDepth 2`."""
        return f"spaceToDepth {self.block}"


@dataclass(frozen=True)
class SwinStage(Composite):
    """`blocks` times: x + attention(norm(x)) inside windows, then x + mlp(norm(x)), on an image [H, W, C].

    In every second block the windows are moved by window // 2, along an axis that has more than one window. The MLP
    is dense to mlp_ratio C, `activation`, dense to C. An image that the window does not divide is filled up with
    zeros after the norm. `dropout`, `attention_dropout` and `drop_path` are those of transformerEncoder.
    Source: Liu et al. 2021, eq. 3; details and defaults of torchvision's SwinTransformerBlock.
    """

    kind: ClassVar[str] = "swinStage"
    heads: int
    blocks: int = 2
    window: int = 7
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: Rates = 0.0
    activation: ActivationWord = "gelu"
    epsilon: float = 1e-5
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(heads=self.heads, window=self.window)
        yield from want_copies(blocks=self.blocks)
        yield from want_ratio(mlp_ratio=self.mlp_ratio)
        yield from rate_problems(dropout=self.dropout, attention_dropout=self.attention_dropout)
        yield from paths_problems(self.drop_path)
        yield from activation_problems(self.activation)
        yield from epsilon_problems(self.epsilon)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """A chain of blocks, each a chain of two residuals."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        blocks = []
        for index in range(self.blocks):
            paths = paths_dropped(self.drop_path, index, self.blocks)
            attention = (*self._attention(x, moved=index % 2 == 1), *paths)
            mlp = (*self._mlp(x), *paths)
            norm = LayerNorm(self.epsilon, name="norm")
            parts = (
                Residual(Chain((norm, *attention)), name="attention"),
                Residual(Chain((norm, *mlp)), name="mlp"),
            )
            blocks.append(Chain(parts, name=f"block{index}"))
        return Chain(tuple(blocks))

    def _attention(self, x: TensorType, *, moved: bool) -> tuple[Layer, ...]:
        height, width, channels = x.shape
        model_head_dim(self, TensorType((height * width, channels)), self.heads, None)
        down, along = windows_of((height, width), self.window)
        half = self.window // 2 if moved else 0
        shift = (half if down > 1 else 0, half if along > 1 else 0)
        return (
            WindowPartition(self.window, shift, name="partition"),
            Dense(3 * channels, std=self.std, name="qkv"),
            WindowAttention(
                self.heads, self.window, down, along, shift, self.attention_dropout, self.std, name="attend"
            ),
            Dense(channels, std=self.std, name="out"),
            *dropped(self.dropout),
            WindowMerge(height, width, self.window, shift, name="merge"),
        )

    def _mlp(self, x: TensorType) -> tuple[Layer, ...]:
        height, width, channels = x.shape
        hidden = max(int(channels * self.mlp_ratio), 1)
        return (
            SpatialFlatten(name="flatten"),
            *mlp_layers(hidden, channels, self.activation, self.dropout, True, self.std),
            SpatialUnflatten(height, width, name="image"),
        )

    def label(self) -> str:
        """`swinStage h3 7x7 x2`."""
        return f"swinStage h{self.heads} {self.window}x{self.window} x{self.blocks}"


@dataclass(frozen=True)
class PatchMerging(Composite):
    """y = dense(layerNorm(the four pixels of each 2x2 block)): [H, W, C] -> [H / 2, W / 2, features].

    `features` is 2 C unless given; the dense layer has no bias. Source: Liu et al. 2021, section 3.1; pixel order and
    norm as in torchvision's PatchMerging.
    """

    kind: ClassVar[str] = "patchMerging"
    features: int | None = None
    epsilon: float = 1e-5
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if self.features is not None:
            yield from want_positive(features=self.features)
        yield from epsilon_problems(self.epsilon)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """spaceToDepth, layerNorm, dense on the pixels as tokens."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        down, along = windows_of((x.shape[0], x.shape[1]), 2)
        features = 2 * x.shape[2] if self.features is None else self.features
        return Chain((
            SpaceToDepth(2, name="gather"),
            LayerNorm(self.epsilon, name="norm"),
            SpatialFlatten(name="flatten"),
            Dense(features, bias=False, std=self.std, name="reduce"),
            SpatialUnflatten(down, along, name="image"),
        ))  # fmt: skip
