"""The inception module of GoogLeNet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord
from netc.netspec.layer import Composite, Layer, want_positive
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import ConvBn
from netc.netspec.layers.pool import MaxPool
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class InceptionModule(Composite):
    """y = concat(c1(x), c3(c1'(x)), ck(c1''(x)), c1'''(maxpool3x3(x))), each c a convolution with batch norm.

    `b1`, `b2`, `b3` and `b4` are the channels that the branches give, `b2_reduce` and `b3_reduce` those between their
    two convolutions. `kernel` is the third branch's: 5 in the paper, 3 in torchvision. The paper has no batch norm;
    `epsilon` is the one of those who added it. Source: Szegedy et al. 2015, fig. 2b.
    """

    kind: ClassVar[str] = "inceptionModule"
    b1: int
    b2_reduce: int
    b2: int
    b3_reduce: int
    b3: int
    b4: int
    kernel: int = 5
    activation: ActivationWord = "relu"
    epsilon: float = 1e-3

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(
            b1=self.b1, b2_reduce=self.b2_reduce, b2=self.b2, b3_reduce=self.b3_reduce, b3=self.b3, b4=self.b4
        )
        if self.kernel < 1 or self.kernel % 2 == 0:
            yield f"kernel wants a positive odd integer, got {self.kernel}"
        yield from ConvBn(1, activation=self.activation, epsilon=self.epsilon).problems()

    def expand(self, x: TensorType) -> Layer:
        """A concat of four chains."""

        def conv(features: int, kernel: int, name: str) -> Layer:
            return ConvBn(
                features, kernel, padding="same-symmetric", activation=self.activation, epsilon=self.epsilon, name=name
            )

        return Concat((
            conv(self.b1, 1, "branch1"),
            Chain((conv(self.b2_reduce, 1, "reduce"), conv(self.b2, 3, "conv")), name="branch2"),
            Chain((conv(self.b3_reduce, 1, "reduce"), conv(self.b3, self.kernel, "conv")), name="branch3"),
            Chain((MaxPool(3, 1, ((1, 1), (1, 1)), name="pool"), conv(self.b4, 1, "conv")), name="branch4"),
        ))  # fmt: skip

    def label(self) -> str:
        """`inceptionModule 64+128+32+32`."""
        return f"inceptionModule {self.b1}+{self.b2}+{self.b3}+{self.b4}"
