"""Conditioning on a time step, as denoising diffusion models do it.

A net takes one tensor: the time step travels as the last channel of the image, the same number in every pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_finite, want_positive, want_rank, want_spread
from netc.netspec.layers.aspp import SpatialBroadcast
from netc.netspec.layers.channels import ChannelWindow
from netc.netspec.layers.combine import Chain, Residual
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.pool import GlobalAvgPool
from netc.netspec.layers.shape import Identity
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class TimeFeatures(Layer):
    """y = (sin(t w_0), .., sin(t w_{F-1}), cos(t w_0), .., cos(t w_{F-1})), w_i = 10000^(-i / (F - 1)).

    [.., 1] -> [.., 2 F], F = `frequencies`; w_0 = 1 where F is 1. t is `scale` times the input, which may be of
    integers. Source: Vaswani et al. 2017, section 3.5, in the spacing of the code that Ho et al. 2020 published.
    """

    kind: ClassVar[str] = "timeFeatures"
    takes_ids: ClassVar[bool] = True
    frequencies: int
    scale: float = 1.0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(frequencies=self.frequencies)
        yield from want_finite(scale=self.scale)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        if x.rank < 1 or x.shape[-1] != 1:
            raise LayerError(f"wants [batch, .., 1], one time each, got {batched(x.shape)}; pick one channel")
        return Signature((), (), TensorType((*x.shape[:-1], 2 * self.frequencies)))

    def label(self) -> str:
        """`timeFeatures 32`."""
        return f"timeFeatures {self.frequencies}"


@dataclass(frozen=True)
class TimeEmbed(Composite):
    """y = dense(swish(dense(timeFeatures(t)))), both of `dim` features: [1] -> [dim].

    t is `scale` times the input: with 1000 a time in [0, 1] gives what steps of 0 to 1000 do. Source: Ho et al. 2020,
    appendix B; facebookresearch/DiT, TimestepEmbedder, whose frequencies are 10000^(-i / F) where these are
    10000^(-i / (F - 1)), and whose cosines come before the sines.
    """

    kind: ClassVar[str] = "timeEmbed"
    dim: int
    frequencies: int = 128
    scale: float = 1000.0
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(dim=self.dim)
        yield from TimeFeatures(self.frequencies, self.scale).problems()
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """timeFeatures, then two dense layers."""
        want_rank(self, x, 1, "1", "pick one channel, and put globalAvgPool behind it")
        return Chain((
            TimeFeatures(self.frequencies, self.scale, name="features"),
            Dense(self.dim, activation="swish", std=self.std, name="hidden"),
            Dense(self.dim, std=self.std, name="out"),
        ))  # fmt: skip

    def label(self) -> str:
        """`timeEmbed 384`."""
        return f"timeEmbed {self.dim}"


@dataclass(frozen=True)
class TimeCondAdd(Composite):
    """y[p, q, c] = x[p, q, c] + bias[c] + sum_f features(t)[f] kernel[f, c], for c < C; [H, W, C + 1] -> [H, W, C].

    t is the mean of x's last channel, features are those of timeFeatures. With `keep` the last channel goes on
    unchanged behind the others, for a later layer: put what lies between in Split((.., Identity()), (C, 1)). Source:
    Ho et al. 2020, appendix B.
    """

    kind: ClassVar[str] = "timeCondAdd"
    frequencies: int = 32
    keep: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(frequencies=self.frequencies)

    def expand(self, x: TensorType) -> Layer:
        """The image plus a dense layer of its time's features, spread over the image."""
        want_rank(self, x, 3, "H, W, C + 1", "give an image whose last channel holds the time")
        channels = x.shape[2] - 1
        if channels < 1:
            raise LayerError(f"wants a channel of time after the image's, got {batched(x.shape)}; append one")
        shift: tuple[Layer, ...] = (
            ChannelWindow(channels, 1, name="time"),
            GlobalAvgPool(name="mean"),
            TimeFeatures(self.frequencies, name="features"),
            Dense(channels, name="project"),
        )
        if self.keep:
            shift += (ChannelWindow(0, channels + 1, name="room"),)  # 0 for the channel of time
        shift += (SpatialBroadcast((x.shape[0], x.shape[1]), name="spread"),)
        image = Identity() if self.keep else ChannelWindow(0, channels, name="image")
        return Residual(Chain(shift), image)

    def label(self) -> str:
        """`timeCondAdd 32`."""
        return f"timeCondAdd {self.frequencies}"
