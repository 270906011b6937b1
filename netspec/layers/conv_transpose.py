"""Transposed convolution: the adjoint of a convolution, as a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Layer, LayerError, want_positive, want_rank
from netc.netspec.layers.window import Pair, extent, pair, window_label, window_problems
from netc.netspec.types import Constant, ParamSpec, Signature, TensorType, batched, he_normal


@dataclass(frozen=True)
class ConvTranspose2d(Layer):
    """y[s p + d a - lo, s q + d b - lo, o] += sum_c x[p, q, c] kernel[a, b, o', c]; then act(y + bias).

    x is [H, W, C], the kernel [kh, kw, features / groups, C]: the kernel [kh, kw, in, out] of the convolution
    features -> C whose adjoint this is; o' is o within its group, and c runs over that group's C / groups channels.
    s is the stride, d the dilation, lo the padding. Each side of y has (n - 1) s - 2 lo + d (k - 1) + 1 +
    output_padding pixels, as in torch.nn.ConvTranspose2d; `size` gives y's (H, W) in place of output_padding. Source:
    Zeiler et al. 2010; Dumoulin and Visin 2016, ch. 4.
    """

    kind: ClassVar[str] = "convTranspose2d"
    aliases: ClassVar[tuple[str, ...]] = ("conv2dTranspose", "deconv")
    features: int
    kernel: int | Pair = 2
    stride: int | Pair = 2
    padding: int | Pair = 0
    output_padding: int | Pair = 0
    size: Pair | None = None
    groups: int = 1
    dilation: int | Pair = 1
    bias: bool = True
    activation: ActivationWord = "identity"

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, groups=self.groups)
        yield from window_problems(self.kernel, self.stride, "valid", self.dilation)
        if self.groups >= 1 and self.features % self.groups:
            yield f"features wants a multiple of groups={self.groups}, got {self.features}"
        if min(pair(self.padding)) < 0:
            yield f"padding wants no negative numbers, got {self.padding}"
        if not all(0 <= more < max(s, 1) for more, s in zip(pair(self.output_padding), pair(self.stride), strict=True)):
            yield f"output_padding wants numbers from 0 to below the stride {self.stride}, got {self.output_padding}"
        if self.size is not None and pair(self.output_padding) != (0, 0):
            yield f"wants size or output_padding, got both: {self.size} and {self.output_padding}"
        yield from activation_problems(self.activation)

    @property
    def sides(self) -> tuple[Pair, Pair]:
        """The pixels that the convolution whose adjoint this is adds before and after (H, W)."""
        (top, left) = pair(self.padding)
        return ((top, top), (left, left))

    def output(self, x: TensorType) -> Pair:
        """(H, W) of y for one example `[H, W, C]`; raises LayerError where the image or `size` does not fit."""
        least = [
            (n - 1) * s - 2 * lo + extent(k, d)
            for n, s, (lo, _), k, d in zip(
                x.shape, pair(self.stride), self.sides, pair(self.kernel), pair(self.dilation), strict=False
            )
        ]
        more = pair(self.output_padding)
        if self.size is not None:
            more = (self.size[0] - least[0], self.size[1] - least[1])
            if not all(0 <= m < s for m, s in zip(more, pair(self.stride), strict=True)):
                most = [n + s - 1 for n, s in zip(least, pair(self.stride), strict=True)]
                raise LayerError(
                    f"wants a size from {least[0]}x{least[1]} to {most[0]}x{most[1]} for {batched(x.shape)}, "
                    f"got {self.size[0]}x{self.size[1]}; change size, stride or padding"
                )
        out = (least[0] + more[0], least[1] + more[1])
        if min(out) < 1:
            raise LayerError(
                f"wants an image whose output has a pixel, got {batched(x.shape)} -> {out[0]}x{out[1]}; "
                "use less padding"
            )
        return out

    def signature(self, x: TensorType) -> Signature:
        """kernel [kh, kw, features / groups, C], bias [features]."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        channels = x.shape[2]
        out = TensorType((*self.output(x), self.features), x.dtype)
        if channels % self.groups:
            raise LayerError(
                f"wants a multiple of groups={self.groups} channels, got {batched(x.shape)}; change groups", out
            )
        (kh, kw), (sh, sw) = pair(self.kernel), pair(self.stride)
        fan_in = max(kh * kw * channels // (self.groups * sh * sw), 1)  # terms of one output pixel, on the average
        shape = (kh, kw, self.features // self.groups, channels)
        params = [ParamSpec("kernel", shape, he_normal(fan_in), output=2, groups=self.groups)]
        if self.bias:
            params.append(ParamSpec("bias", (self.features,), Constant(0.0), decay=False))
        return Signature(tuple(params), (), out)

    def label(self) -> str:
        """`convTranspose2d 64 2x2/2`."""
        groups = "" if self.groups == 1 else f" g{self.groups}"
        return f"convTranspose2d {self.features} {window_label(self.kernel, self.stride)}{groups}"
