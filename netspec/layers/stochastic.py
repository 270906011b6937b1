"""Layers that draw: in training they leave out elements or whole branches; in evaluation they are the identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer
from netc.netspec.types import Signature, TensorType

Rates = float | tuple[float, float]  # of all blocks, or of the first and the last with equal steps between


@dataclass(frozen=True)
class _Dropping(Layer):
    rate: float = 0.5

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if not 0 <= self.rate < 1:
            yield f"rate wants a number in [0, 1), got {self.rate}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; draws unless the rate is 0."""
        return Signature((), (), x, draws=self.rate > 0)

    def label(self) -> str:
        """`dropout 0.5`."""
        return f"{self.kind} {self.rate:g}"


@dataclass(frozen=True)
class Dropout(_Dropping):
    """y_i = m_i x_i / (1 - rate), m_i = 1 with probability 1 - rate, else 0; each element by itself.

    The mask is drawn in the program from the step's key and the layer's path (Threefry-2x32), the same on every
    backend. In evaluation y = x. Source: Srivastava et al. 2014, in the inverted form of torch.nn.Dropout.
    """

    kind: ClassVar[str] = "dropout"


@dataclass(frozen=True)
class DropPath(_Dropping):
    """y = m x / (1 - rate), m = 1 with probability 1 - rate, else 0; one draw for each example.

    It stands at the end of a residual's body. In evaluation y = x. Source: Huang et al. 2016 (stochastic depth), in
    the form of timm's DropPath and torchvision's StochasticDepth(mode="row").
    """

    kind: ClassVar[str] = "dropPath"


def paths_problems(drop_path: Rates) -> Iterator[str]:
    """Yield a sentence if a rate of drop-path is not in [0, 1)."""
    ends = drop_path if isinstance(drop_path, tuple) else (drop_path,)
    if not all(0 <= rate < 1 for rate in ends):
        yield f"drop_path wants numbers in [0, 1), got {drop_path}"


def path_rates(drop_path: Rates, count: int) -> tuple[float, ...]:
    """The rate of each of `count` blocks, evenly from the first rate to the last."""
    first, last = drop_path if isinstance(drop_path, tuple) else (drop_path, drop_path)
    return tuple(first + (last - first) * i / max(count - 1, 1) for i in range(count))


def paths_dropped(drop_path: Rates, index: int, count: int) -> tuple[Layer, ...]:
    """The drop-path of block `index` of `count`, or nothing where its rate is 0."""
    rate = path_rates(drop_path, count)[index]
    return (DropPath(rate, name="droppath"),) if rate else ()
