"""Normalisations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_finite, want_positive
from netc.netspec.types import Constant, ParamSpec, Signature, StateSpec, TensorType, batched


def epsilon_problems(epsilon: float) -> Iterator[str]:
    """Yield a sentence if what is added to a variance is not positive and finite."""
    if not 0 < epsilon < math.inf:
        yield f"epsilon wants a positive number, got {epsilon}"
    elif not 1e-37 < epsilon < 1e37:
        yield f"epsilon wants a number that float32 can hold, between 1e-37 and 1e37, got {epsilon}"


def channels_of(x: TensorType) -> int:
    """The size of the last axis of an example; raises LayerError if it has no axis."""
    if x.rank == 0:
        raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
    return x.shape[-1]


def affine_params(channels: int, scale: bool = True, bias: bool = True) -> tuple[ParamSpec, ...]:
    """scale [C], which starts at 1, and bias [C], which starts at 0; decay touches neither."""
    scales = (ParamSpec("scale", (channels,), Constant(1.0), decay=False),) if scale else ()
    biases = (ParamSpec("bias", (channels,), Constant(0.0), decay=False),) if bias else ()
    return scales + biases


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = scale (x - mean) / sqrt(var + epsilon) + bias, for each channel c (the last axis).

    In training mean and var are those of the batch over all other axes (var divided by the count n). The running
    statistics, which evaluation uses, move by `running <- (1 - momentum) running + momentum batch`, with the
    variance divided by n - 1 (n = 1: by 1). Source: Ioffe and Szegedy 2015; conventions of torch.nn.BatchNorm2d.
    """

    kind: ClassVar[str] = "batchNorm"
    aliases: ClassVar[tuple[str, ...]] = ("batchNorm2d", "bn")
    epsilon: float = 1e-5
    momentum: float = 0.1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from epsilon_problems(self.epsilon)
        if not 0 <= self.momentum <= 1:
            yield f"momentum wants a number from 0 to 1, got {self.momentum}"

    def signature(self, x: TensorType) -> Signature:
        """scale [C], bias [C]; states mean [C], var [C]."""
        shape = (channels_of(x),)
        return Signature(
            affine_params(shape[0]),
            (StateSpec("mean", shape, Constant(0.0)), StateSpec("var", shape, Constant(1.0))),
            x,
        )


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = scale (x - mean) / sqrt(var + epsilon) + bias, mean and var over the last axis, for each place alone.

    var is divided by the count; scale [C] and bias [C] are left out where the option says so. Training and
    evaluation are the same. Source: Ba et al. 2016, eq. 4; conventions of torch.nn.LayerNorm over one axis.
    """

    kind: ClassVar[str] = "layerNorm"
    epsilon: float = 1e-5
    scale: bool = True
    bias: bool = True

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from epsilon_problems(self.epsilon)

    def signature(self, x: TensorType) -> Signature:
        """scale [C], bias [C]."""
        return Signature(affine_params(channels_of(x), self.scale, self.bias), (), x)


@dataclass(frozen=True)
class RMSNorm(Layer):
    """y = scale x / sqrt(mean of x² + epsilon), the mean over the last axis, for each place alone.

    `scale=False` leaves scale [C] out. Source: Zhang and Sennrich 2019, eq. 4; epsilon inside the root as in
    torch.nn.RMSNorm, its size as in LLaMA.
    """

    kind: ClassVar[str] = "rmsNorm"
    epsilon: float = 1e-6
    scale: bool = True

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from epsilon_problems(self.epsilon)

    def signature(self, x: TensorType) -> Signature:
        """scale [C]."""
        return Signature(affine_params(channels_of(x), self.scale, bias=False), (), x)


@dataclass(frozen=True)
class GroupNorm(Layer):
    """y = scale (x - mean) / sqrt(var + epsilon) + bias, mean and var for each example and group of channels.

    Group g holds the channels from g C / groups on; its statistics go over its channels and all axes between batch
    and channels, var divided by the count. One group is layer norm over the whole example, C groups are instance
    norm. `affine=False` leaves scale [C] and bias [C] out. Source: Wu and He 2018, eq. 7; torch.nn.GroupNorm.
    """

    kind: ClassVar[str] = "groupNorm"
    groups: int = 32
    epsilon: float = 1e-5
    affine: bool = True

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(groups=self.groups)
        yield from epsilon_problems(self.epsilon)

    def signature(self, x: TensorType) -> Signature:
        """scale [C], bias [C]."""
        channels = channels_of(x)
        if channels % self.groups:
            raise LayerError(
                f"wants a multiple of groups={self.groups} channels, got {batched(x.shape)}; change groups", x
            )
        return Signature(affine_params(channels, self.affine, self.affine), (), x)

    def label(self) -> str:
        """`groupNorm g32`."""
        return f"groupNorm g{self.groups}"


@dataclass(frozen=True)
class InstanceNorm(Layer):
    """y = (x - mean) / sqrt(var + epsilon), mean and var for each example and channel over the axes between.

    var is divided by the count. `affine=True` adds scale [C] and bias [C] as in batch norm. There are no running
    statistics. Source: Ulyanov et al. 2016, eq. 3; defaults of torch.nn.InstanceNorm2d.
    """

    kind: ClassVar[str] = "instanceNorm"
    epsilon: float = 1e-5
    affine: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from epsilon_problems(self.epsilon)

    def signature(self, x: TensorType) -> Signature:
        """scale [C], bias [C] where affine."""
        if x.rank < 2:
            raise LayerError(
                f"wants [batch, .., channels] with an axis between, got {batched(x.shape)}; use layerNorm", x
            )
        return Signature(affine_params(x.shape[-1], self.affine, self.affine), (), x)


@dataclass(frozen=True)
class LayerScale(Layer):
    """y = gamma x, one gamma for each channel (the last axis), or `shared` by all, which starts at `start`.

    Put last in a residual's body, a small start makes each block begin near the identity. Weight decay does not
    touch gamma (the ConvNeXt and CaiT recipes leave all tensors of one axis out). Source: Touvron et al. 2021, eq. 1.
    """

    kind: ClassVar[str] = "layerScale"
    start: float = 1e-6
    shared: bool = False

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_finite(start=self.start)

    def signature(self, x: TensorType) -> Signature:
        """gamma [C], or [1] where it is shared."""
        count = 1 if self.shared else channels_of(x)
        return Signature((ParamSpec("gamma", (count,), Constant(self.start), decay=False),), (), x)

    def label(self) -> str:
        """`layerScale 1e-06`."""
        return f"layerScale {self.start:g}"
