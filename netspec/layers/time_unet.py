"""The U-Net of denoising diffusion: residual blocks that know the time, and the class, of their image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive, want_rank
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.aspp import SpatialBroadcast
from netc.netspec.layers.attention import MultiHeadAttention, dropped, rate_problems
from netc.netspec.layers.channels import ChannelWindow
from netc.netspec.layers.combine import Chain, Concat, Residual
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.diffusion import TimeEmbed
from netc.netspec.layers.embedding import ClassEmbed
from netc.netspec.layers.norm import GroupNorm
from netc.netspec.layers.pool import AvgPool, GlobalAvgPool
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import SpatialFlatten, SpatialUnflatten
from netc.netspec.layers.upsample import NearestUpsample
from netc.netspec.types import TensorType, batched

FREQUENCIES = 32


def image_channels(layer: Layer, x: TensorType, classes: int) -> tuple[int, int]:
    """How many channels are the image's, and how many hold time and class; raises LayerError where there are none."""
    want_rank(layer, x, 3, "H, W, C + 1", "give an image whose last channels hold the time, and the class")
    behind = 2 if classes else 1
    if x.shape[2] <= behind:
        what = "time and class" if classes else "time"
        raise LayerError(f"wants channels of {what} after the image's, got {batched(x.shape)}; append them")
    return x.shape[2] - behind, behind


def _beside(image: Layer, channels: int, behind: int, name: str, condition: Layer | None = None) -> Layer:
    """A layer on the image's channels; time and class go on, or through `condition`."""
    return Split((image, condition or Identity(name="condition")), (channels, behind), name=name)


def _normed(groups: int, name: str) -> tuple[Layer, ...]:
    return GroupNorm(groups, name=f"norm{name}"), Activation("swish", name=f"activation{name}")


@dataclass(frozen=True)
class TimeResBlock(Composite):
    """y = shortcut(x) + conv(swish(norm(conv(swish(norm(x))) + shift))); [H, W, C + 1] -> [H, W, features + 1].

    The last channel holds the time t in [0, 1], or with `classes` = K the last two time and class id, K for no class;
    they go on unchanged. shift = dense(swish(timeEmbed(t) + a row of a table of K + 1)), both of `hidden` features, one
    number a channel. norm is groupNorm, both convolutions 3x3, the second starts at zero; the shortcut is 1x1 where C
    is not `features`. Source: Ho et al. 2020, appendix B, but for the embedding, which is each block's own.
    """

    kind: ClassVar[str] = "timeResBlock"
    features: int
    classes: int = 0
    hidden: int = 64
    groups: int = 8
    dropout: float = 0.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, hidden=self.hidden, groups=self.groups)
        yield from rate_problems(dropout=self.dropout)
        if self.classes < 0:
            yield f"classes wants 0 (no class) or a positive integer, got {self.classes}"
        if self.groups > 0 and self.features % self.groups:
            yield f"features wants a multiple of groups={self.groups}, got {self.features}"

    def _shift(self, channels: int, size: tuple[int, int]) -> Layer:
        """One number a channel, made of time and class and spread over the image."""

        def mean(at: int) -> tuple[Layer, ...]:
            return ChannelWindow(at, 1, name="pick"), GlobalAvgPool(name="mean")

        embedded: Layer = Chain((*mean(channels), TimeEmbed(self.hidden, FREQUENCIES, name="embed")), name="time")
        if self.classes:
            row = ClassEmbed(self.classes + 1, self.hidden, name="table")
            embedded = Residual(embedded, Chain((*mean(channels + 1), row), name="class"), name="condition")
        return Chain((
            embedded,
            Activation("swish", name="activation"),
            Dense(self.features, name="project"),
            SpatialBroadcast(size, name="spread"),
        ))  # fmt: skip

    def expand(self, x: TensorType) -> Layer:
        """A residual whose shortcut carries time and class."""
        channels, behind = image_channels(self, x, self.classes)
        shift = self._shift(self.features, (x.shape[0], x.shape[1]))
        first = Chain((*_normed(self.groups, "1"), Conv2d(self.features, 3, name="conv1")), name="image")
        body = Chain((
            _beside(first, channels, behind, "first"),
            Residual(shift, ChannelWindow(0, self.features), name="shift"),
            *_normed(self.groups, "2"),
            *dropped(self.dropout),
            Conv2d(self.features, 3, std=0.0, name="conv2"),
            ChannelWindow(0, self.features + behind, name="room"),  # 0 for time and class
        ))  # fmt: skip
        around = Identity() if channels == self.features else Conv2d(self.features, 1, name="conv")
        return Residual(body, _beside(around, channels, behind, "around"))

    def label(self) -> str:
        """`timeResBlock 64`."""
        return f"timeResBlock {self.features}"


@dataclass(frozen=True)
class ImageAttention(Composite):
    """y = x + attention(norm(x)) over the pixels of [H, W, C], norm groupNorm. Source: Ho et al. 2020, appendix B."""

    kind: ClassVar[str] = "imageAttention"
    heads: int = 1
    groups: int = 8

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(heads=self.heads, groups=self.groups)

    def expand(self, x: TensorType) -> Layer:
        """A residual around the pixels as tokens."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        return Residual(Chain((
            GroupNorm(self.groups, name="norm"),
            SpatialFlatten(name="flatten"),
            MultiHeadAttention(self.heads, name="attention"),
            SpatialUnflatten(x.shape[0], x.shape[1], name="image"),
        )))  # fmt: skip

    def label(self) -> str:
        """`imageAttention 4`."""
        return f"imageAttention {self.heads}"


@dataclass(frozen=True)
class TimeUnet(Composite):
    """A U-Net from [H, W, C + 1] or, with `classes`, [H, W, C + 2] to [H, W, channels]; time and class as timeResBlock.

    Level i has `features` times `multipliers`[i] channels and `blocks` timeResBlocks on the way down and as many after
    the skip on the way up; a strided 3x3 convolution leads down, nearest up-sampling and a 3x3 convolution up. The
    innermost level has imageAttention between two blocks. The last convolution starts at zero. Source: Ho et al. 2020,
    appendix B, with one skip for each level, as Ronneberger et al. 2015 have it.
    """

    kind: ClassVar[str] = "timeUnet"
    channels: int
    features: int = 32
    multipliers: tuple[int, ...] = (1, 2, 2)
    blocks: int = 1
    classes: int = 0
    heads: int = 4
    groups: int = 8
    dropout: float = 0.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(channels=self.channels, heads=self.heads)
        yield from want_copies(blocks=self.blocks)
        yield from self._block(self.features).problems()
        if not self.multipliers or any(m < 1 for m in self.multipliers):
            yield f"multipliers wants positive integers, one for each level, got {list(self.multipliers)}"

    def _block(self, features: int, name: str = "block") -> Layer:
        hidden = 4 * self.features
        return TimeResBlock(features, self.classes, hidden, self.groups, self.dropout, name=name)

    def _blocks(self, features: int, name: str) -> tuple[Layer, ...]:
        return tuple(self._block(features, f"{name}{index}") for index in range(self.blocks))

    def expand(self, x: TensorType) -> Layer:
        """The first convolution, the nested levels, norm, swish and the last convolution."""
        channels, behind = image_channels(self, x, self.classes)
        halvings = 1 << (len(self.multipliers) - 1)
        if x.shape[0] % halvings or x.shape[1] % halvings:
            raise LayerError(
                f"wants sides that are multiples of {halvings}, got {batched(x.shape)}; give fewer multipliers"
            )
        return Chain((
            _beside(Conv2d(self.features, 3, name="conv"), channels, behind, "stem"),
            self._level(0, self.features, behind),
            ChannelWindow(0, self.features * self.multipliers[0], name="image"),
            *_normed(self.groups, ""),
            Conv2d(self.channels, 3, std=0.0, name="out"),
        ))  # fmt: skip

    def _level(self, index: int, arriving: int, behind: int) -> Layer:
        """[h, w, arriving + b] -> [h, w, F + b], F the channels of the level."""
        width = self.features * self.multipliers[index]
        if index + 1 == len(self.multipliers):
            attention = _beside(ImageAttention(self.heads, self.groups, name="image"), width, behind, "attention")
            middle = (*self._blocks(width, "before"), attention, *self._blocks(width, "behind"))
            return Chain(middle, name=f"level{index}")
        below = self.features * self.multipliers[index + 1]
        down = _beside(
            Conv2d(width, 3, 2, "same-symmetric", name="conv"), width, behind, "down", AvgPool(2, name="condition")
        )
        rise = Chain((NearestUpsample(2, name="larger"), Conv2d(width, 3, name="conv")), name="image")
        up = _beside(rise, below, behind, "up", NearestUpsample(2, name="condition"))
        inner = Chain((down, self._level(index + 1, width, behind), up), name="below")
        skip = Concat((ChannelWindow(0, width, name="skip"), inner), name="join")
        return Chain((*self._blocks(width, "down"), skip, *self._blocks(width, "up")), name=f"level{index}")

    def label(self) -> str:
        """`timeUnet 32 x1-2-2`."""
        return f"timeUnet {self.features} x{'-'.join(map(str, self.multipliers))}"
