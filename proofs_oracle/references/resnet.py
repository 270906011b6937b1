"""The stages of residual networks in JAX: He et al. 2016, fig. 5, written out block by block.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netc.netspec.layers import BottleneckBlock, ResidualBlock
from netc.proofs_oracle.reference import BadCase, Case, Reference, under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.norm import batch_norm
from netc.proofs_oracle.references.stochastic import drop_path

if TYPE_CHECKING:
    from jax import Array

    from netc.netspec.layers.window import Padding
    from netc.proofs_oracle.reference import Applied, Tensors

ONE: Padding = ((1, 1), (1, 1))  # torchvision: a 3x3 convolution has one pixel of padding on every side
NONE: Padding = ((0, 0), (0, 0))


class _Stage:
    """One stage's tensors; convolutions with batch norm by name, and the running statistics that they leave."""

    def __init__(self, params: Tensors, state: Tensors, training: bool) -> None:
        self.params, self.state, self.training = params, state, training
        self.new: dict[str, Array] = {}

    def conv_bn(self, name: str, x: Array, stride: int, padding: Padding, *, groups: int = 1) -> Array:
        y = convolve(x, self.params[f"{name}.conv.kernel"], stride, padding, groups=groups)
        norm = f"{name}.norm"
        y, new = batch_norm(y, under(self.params, norm), under(self.state, norm), training=self.training)
        self.new |= within(norm, new)
        return y

    def dropped(self, layer: ResidualBlock | BottleneckBlock, index: int, h: Array) -> Array:
        """Drop-path, its rate the same in all blocks or linear from the first to the last."""
        first, last = layer.drop_path if isinstance(layer.drop_path, tuple) else (layer.drop_path,) * 2
        rate = first if layer.blocks == 1 else first + (last - first) * index / (layer.blocks - 1)
        return drop_path(under(self.state, f"block{index}.residual.body.droppath"), h, rate, self.training)

    def shortcut(self, block: str, x: Array, features: int, stride: int) -> Array:
        """Option B: a projection where the shape changes, else the identity."""
        if stride == 1 and x.shape[-1] == features:
            return x
        return self.conv_bn(f"{block}.residual.shortcut", x, stride, NONE)


def _residual_block(layer: ResidualBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    stage = _Stage(params, state, training)
    for index in range(layer.blocks):
        stride, block = layer.stride if index == 0 else 1, f"block{index}"
        body = f"{block}.residual.body"
        h = activate(layer.activation, stage.conv_bn(f"{body}.conv1", x, stride, ONE))
        h = stage.dropped(layer, index, stage.conv_bn(f"{body}.conv2", h, 1, ONE))
        x = activate(layer.activation, h + stage.shortcut(block, x, layer.features, stride))
    return x, stage.new


def _bottleneck_block(layer: BottleneckBlock, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    stage = _Stage(params, state, training)
    for index in range(layer.blocks):
        stride, block = layer.stride if index == 0 else 1, f"block{index}"
        body = f"{block}.residual.body"
        h = activate(layer.activation, stage.conv_bn(f"{body}.conv1", x, 1, NONE))
        h = activate(layer.activation, stage.conv_bn(f"{body}.conv2", h, stride, ONE, groups=layer.groups))
        h = stage.dropped(layer, index, stage.conv_bn(f"{body}.conv3", h, 1, NONE))
        x = activate(layer.activation, h + stage.shortcut(block, x, layer.features, stride))
    return x, stage.new


REFERENCES = (
    Reference(
        "residualBlock",
        _residual_block,
        (
            Case("plain", ResidualBlock(3), (4, 4, 3)),
            Case("widening", ResidualBlock(4), (4, 3, 2)),
            Case("strided", ResidualBlock(4, stride=2), (6, 6, 2)),
            Case("strided-odd", ResidualBlock(3, stride=2), (5, 7, 2)),
            Case("strided-same-width", ResidualBlock(2, stride=2), (4, 4, 2)),
            Case("two-blocks", ResidualBlock(3, 2, 2), (4, 4, 2)),
            Case("one-pixel", ResidualBlock(2), (1, 1, 2), batch=3),
            Case("batch-1", ResidualBlock(2), (3, 3, 2), batch=1),
            Case("h-swish", ResidualBlock(3, stride=2, activation="h-swish"), (4, 4, 2)),
            Case("dead-channels", ResidualBlock(4), (3, 3, 4), draw="kinks"),
            Case("evaluation", ResidualBlock(3, 2, 2), (4, 4, 2), training=False),
            Case("drop-path", ResidualBlock(2, 2, drop_path=(0.0, 0.5)), (3, 3, 2), batch=4),
            Case("drop-path-evaluation", ResidualBlock(2, drop_path=0.5), (3, 3, 2), training=False),
        ),
        (
            BadCase(ResidualBlock(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(ResidualBlock(4, 0), (4, 4, 3), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(ResidualBlock(4, stride=0), (4, 4, 3), "stride wants a positive integer, got 0"),
            BadCase(ResidualBlock(4, activation="mish"), (4, 4, 3), "activation wants one of identity, relu"),
            BadCase(ResidualBlock(4, drop_path=1.0), (4, 4, 3), "drop_path wants numbers in [0, 1), got 1.0"),
            BadCase(ResidualBlock(4), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
    Reference(
        "bottleneckBlock",
        _bottleneck_block,
        (
            Case("plain", BottleneckBlock(8), (3, 4, 8)),
            Case("widening", BottleneckBlock(8), (3, 3, 4)),
            Case("strided", BottleneckBlock(8, stride=2), (6, 4, 4)),
            Case("two-blocks", BottleneckBlock(8, 2, 2), (4, 4, 3)),
            Case("wide", BottleneckBlock(4, width=3), (3, 3, 2)),
            Case("groups", BottleneckBlock(8, width=4, groups=2, stride=2), (4, 4, 2)),
            Case("gelu", BottleneckBlock(8, stride=2, activation="gelu"), (4, 4, 4)),
            Case("batch-1", BottleneckBlock(8), (4, 5, 8), batch=1),
            Case("dead-channels", BottleneckBlock(8), (3, 3, 2), draw="kinks"),
            Case("evaluation", BottleneckBlock(8, 2), (3, 3, 4), training=False),
            Case("drop-path", BottleneckBlock(8, 3, drop_path=(0.2, 0.6)), (3, 3, 4), batch=5),
        ),
        (
            BadCase(BottleneckBlock(3), (4, 4, 3), "width wants a positive integer, got 0"),
            BadCase(BottleneckBlock(8, groups=0), (4, 4, 3), "groups wants a positive integer, got 0"),
            BadCase(BottleneckBlock(8, width=3, groups=2), (4, 4, 3), "features wants a multiple of groups=2, got 3"),
            BadCase(BottleneckBlock(8, activation="mish"), (4, 4, 3), "activation wants one of identity, relu"),
            BadCase(BottleneckBlock(8), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
)
