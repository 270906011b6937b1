"""Convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, want_positive, want_rank, want_spread
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.norm import BatchNorm
from netc.netspec.layers.window import (
    Padding,
    Pair,
    pair,
    resolve_padding,
    window_label,
    window_output,
    window_problems,
)
from netc.netspec.types import Constant, Normal, ParamSpec, Signature, TensorType, batched, he_normal


@dataclass(frozen=True)
class Conv2d(Layer):
    """y[p, q, o] = act(bias[o] + sum_{a,b,i} x[s p + d a - lo, s q + d b - lo, g(o) I + i] kernel[a, b, i, o]).

    x is [H, W, C], the kernel [kh, kw, C / groups, features]; s is the stride, d the dilation, lo the padding before,
    I = C / groups the inputs of one group, g(o) = o // (features / groups) the group of output o. Outside x is 0.
    `inputs`, where given, must equal C. The kernel starts normal with standard deviation `std`, or as suits a ReLU.
    Source: Dumoulin and Visin 2016.
    """

    kind: ClassVar[str] = "conv2d"
    aliases: ClassVar[tuple[str, ...]] = ("conv", "convolution")
    features: int
    kernel: int | Pair = 3
    stride: int | Pair = 1
    padding: Padding = "same"
    groups: int = 1
    dilation: int | Pair = 1
    bias: bool = True
    activation: ActivationWord = "identity"
    inputs: int | None = None
    std: float | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, groups=self.groups)
        yield from window_problems(self.kernel, self.stride, self.padding, self.dilation)
        if self.groups >= 1 and self.features % self.groups:
            yield f"features wants a multiple of groups={self.groups}, got {self.features}"
        yield from activation_problems(self.activation)
        if self.std is not None:
            yield from want_spread(std=self.std)

    def window(self, x: TensorType) -> tuple[Pair, tuple[Pair, Pair]]:
        """The output's (H, W) and the pixels of padding, for one example `[H, W, C]`."""
        size, k, s, d = (x.shape[0], x.shape[1]), pair(self.kernel), pair(self.stride), pair(self.dilation)
        sides = resolve_padding(self.padding, size, k, s, d)
        return window_output(size, k, s, sides, d), sides

    def signature(self, x: TensorType) -> Signature:
        """kernel [kh, kw, C / groups, features], bias [features]."""
        want_rank(self, x, 3, "H, W, C", "give an image, or use dense")
        channels = x.shape[2]
        (height, width), _ = self.window(x)
        out = TensorType((height, width, self.features), x.dtype)
        if self.inputs is not None and channels != self.inputs:
            raise LayerError(
                f"wants {self.inputs} channels, got {batched(x.shape)}; set inputs={channels} or leave it out", out
            )
        if channels % self.groups:
            raise LayerError(
                f"wants a multiple of groups={self.groups} channels, got {batched(x.shape)}; change groups", out
            )
        kh, kw = pair(self.kernel)
        fan_in = kh * kw * channels // self.groups
        init = he_normal(fan_in) if self.std is None else Normal(self.std)
        params = [ParamSpec("kernel", (kh, kw, channels // self.groups, self.features), init)]
        if self.bias:
            params.append(ParamSpec("bias", (self.features,), Constant(0.0), decay=False))
        return Signature(tuple(params), (), out)

    def label(self) -> str:
        """`conv2d 64 3x3/2`."""
        groups = "" if self.groups == 1 else f" g{self.groups}"
        return f"conv2d {self.features} {window_label(self.kernel, self.stride)}{groups}"


@dataclass(frozen=True)
class ConvBn(Composite):
    """act(batch_norm(conv2d(x))), the convolution without a bias. Source: Ioffe and Szegedy 2015, section 3.2."""

    kind: ClassVar[str] = "convBn"
    features: int
    kernel: int | Pair = 3
    stride: int | Pair = 1
    padding: Padding = "same"
    groups: int = 1
    dilation: int | Pair = 1
    activation: ActivationWord = "relu"
    inputs: int | None = None
    epsilon: float = 1e-5
    momentum: float = 0.1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right: those of the parts."""
        yield from self._conv().problems()
        yield from self._norm().problems()
        yield from activation_problems(self.activation)

    def _conv(self) -> Conv2d:
        return Conv2d(
            self.features, self.kernel, self.stride, self.padding, self.groups, self.dilation,
            bias=False, inputs=self.inputs, name="conv",
        )  # fmt: skip

    def _norm(self) -> BatchNorm:
        return BatchNorm(self.epsilon, self.momentum, name="norm")

    def expand(self, x: TensorType) -> Layer:
        """conv2d, batchNorm, activation."""
        layers: tuple[Layer, ...] = (self._conv(), self._norm())
        if self.activation != "identity":
            layers += (Activation(self.activation, name="act"),)
        return Chain(layers)

    def label(self) -> str:
        """`convBn 64 3x3/2`."""
        return f"convBn {self.features} {window_label(self.kernel, self.stride)}"
