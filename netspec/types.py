"""Tensor types and parameter declarations: the nouns that every room shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

DType = Literal["f64", "f32", "bf16", "i32", "i64", "ui32", "ui8", "i1"]

LARGEST_NUMBER = 1e9  # of an option; float32 ends at 3.4e38, and a net is lost long before
SMALLEST_NUMBER = 1e-37  # of one that must be above 0; float32 has no full precision below 1.2e-38

BYTES: dict[str, int] = {"f64": 8, "f32": 4, "bf16": 2, "i32": 4, "i64": 8, "ui32": 4, "ui8": 1, "i1": 1}


class TensorType(NamedTuple):
    """The shape and element type of a tensor.

    In netspec a shape is that of ONE example, without the batch axis: `(H, W, C)` for images, `(D,)` for
    vectors. In codegen the batch axis is the first. A named tuple, because emission hashes and compares types all the
    time, and those of tuples are ten times as fast as a dataclass's.
    """

    shape: tuple[int, ...]
    dtype: DType = "f32"

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.size * BYTES[self.dtype]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def batched(shape: tuple[int, ...]) -> str:
    """An example's shape as messages print it, the batch axis first: `[batch, 7, 7, 512]`."""
    return "[" + ", ".join(("batch", *map(str, shape))) + "]"


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element starts at `value`."""

    value: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Elements start near a normal distribution of mean 0 and standard deviation `std`.

    The draw is a sum of eight 16-bit uniforms (Irwin-Hall), not a Box-Muller transform: integer sums and one
    multiplication are exact on every backend, a logarithm is not. Its tails end at 4.9 standard deviations.
    """

    std: float


@dataclass(frozen=True, slots=True)
class Uniform:
    """Elements start uniform in `[-bound, bound)`."""

    bound: float


Initializer = Constant | Normal | Uniform


def he_normal(fan_in: int) -> Normal:
    """He et al. 2015, eq. 10: standard deviation sqrt(2 / fan_in), for layers that a ReLU follows."""
    return Normal(math.sqrt(2.0 / fan_in))


def lecun_uniform(fan_in: int) -> Uniform:
    """Uniform in ±1/sqrt(fan_in), what torch.nn gives to dense and convolution biases and kernels."""
    return Uniform(1.0 / math.sqrt(fan_in))


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One trained tensor: its name inside the layer (dotted path), shape, start and whether decay applies.

    `decay` is False for biases and the scales of normalisations: a recipe may leave these out of weight decay.
    `output` is the axis of a kernel that counts outputs. With `groups` above 1 the last axis, of inputs, is in so many
    equal groups, each with outputs of its own.
    """

    name: str
    shape: tuple[int, ...]
    init: Initializer
    decay: bool = True
    output: int = -1
    groups: int = 1

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def units(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shape with the groups as an axis of their own, and the axes in it that count outputs.

        A vector is one unit: no axis of it counts outputs.
        """
        rank = len(self.shape)
        if rank < 2:
            return self.shape, ()
        if self.groups == 1:
            return self.shape, (self.output % rank,)
        shape = (*self.shape[:-1], self.groups, self.shape[-1] // self.groups)
        return shape, (self.output % rank, rank - 1)


@dataclass(frozen=True, slots=True)
class StateSpec:
    """One tensor that training updates without a gradient, such as a running mean."""

    name: str
    shape: tuple[int, ...]
    init: Constant


@dataclass(frozen=True, slots=True)
class Signature:
    """What a layer holds and gives for one input type: parameters, states, output type (per example).

    `draws`: in training it needs random numbers, and so the step's key. `layers`: it and its parts, and theirs.
    """

    params: tuple[ParamSpec, ...]
    state: tuple[StateSpec, ...]
    out: TensorType
    draws: bool = False
    layers: int = 1

    @property
    def count(self) -> int:
        """The number of trained scalars."""
        return sum(p.size for p in self.params)
