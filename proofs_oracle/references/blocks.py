"""The pieces that blocks are written in: layers applied to the tensors that carry a given name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netc.proofs_oracle.reference import under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.norm import batch_norm

if TYPE_CHECKING:
    from jax import Array

    from netc.netspec.layers.window import Padding, Pair
    from netc.proofs_oracle.reference import Tensors

NONE: Padding = ((0, 0), (0, 0))
ONE: Padding = ((1, 1), (1, 1))


def around(kernel: int, dilation: int = 1) -> Padding:
    """As many pixels on each side as keep the image's size under an odd kernel."""
    side = dilation * (kernel - 1) // 2
    return ((side, side), (side, side))


class Block:
    """One block's tensors, and in `new` the running statistics that its normalisations leave."""

    def __init__(self, params: Tensors, state: Tensors, training: bool, epsilon: float = 1e-5) -> None:
        self.params, self.state, self.training, self.epsilon = params, state, training, epsilon
        self.new: dict[str, Array] = {}

    def conv(
        self, name: str, x: Array, stride: int = 1, padding: Padding = NONE, *,
        groups: int = 1, dilation: int | Pair = 1,
    ) -> Array:  # fmt: skip
        """The convolution of that name, with its bias where it has one."""
        kernel, bias = self.params[f"{name}.kernel"], self.params.get(f"{name}.bias")
        y = convolve(x, kernel, stride, padding, groups=groups, dilation=dilation)
        return y if bias is None else y + bias

    def norm(self, name: str, x: Array) -> Array:
        """The batch norm of that name."""
        own, held = under(self.params, name), under(self.state, name)
        y, new = batch_norm(x, own, held, training=self.training, epsilon=self.epsilon)
        self.new |= within(name, new)
        return y

    def conv_bn(
        self, name: str, x: Array, function: str, stride: int = 1, padding: Padding = NONE, *,
        groups: int = 1, dilation: int = 1, slope: float = 0.01,
    ) -> Array:  # fmt: skip
        """act(bn(conv(x)))."""
        y = self.conv(f"{name}.conv", x, stride, padding, groups=groups, dilation=dilation)
        return activate(function, self.norm(f"{name}.norm", y), slope)
