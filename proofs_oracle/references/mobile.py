"""The blocks of mobile networks in JAX, written out convolution by convolution from the papers' tables.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from netc.netspec.layers import FusedMbConv, InvertedResidual, MbConv, MbConvV3, SeparableConv, Uib
from netc.proofs_oracle.reference import BadCase, Case, Reference, under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.norm import batch_norm
from netc.proofs_oracle.references.squeeze import squeeze_excite
from netc.proofs_oracle.references.stochastic import drop_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax import Array

    from netc.netspec.layers.mobile import MobileBlock, MobileStage
    from netc.netspec.layers.window import Padding
    from netc.proofs_oracle.reference import Applied, Tensors

    Inside = Callable[[Any, "_Block", Array, int], Array]  # (layer, tensors of one block, x, stride) -> f(x)


@dataclass
class _Block:
    """One block's tensors by name, and the running statistics that its convolutions leave."""

    layer: MobileBlock
    params: Tensors
    state: Tensors
    training: bool
    new: dict[str, Array] = field(default_factory=dict)

    def conv(self, name: str, x: Array, *, act: str = "identity", stride: int = 1, depthwise: bool = False) -> Array:
        """act(bn(conv(x))); the kernel says its own size, and same-symmetric is k // 2 pixels on every side."""
        kernel = self.params[f"{name}.conv.kernel"]
        k = kernel.shape[0] // 2
        padding: Padding = ((k, k), (k, k)) if self.layer.padding == "same-symmetric" else "same"
        y = convolve(x, kernel, stride, padding, groups=x.shape[-1] if depthwise else 1)
        norm = f"{name}.norm"
        y, new = batch_norm(
            y, under(self.params, norm), under(self.state, norm),
            training=self.training, epsilon=self.layer.epsilon, momentum=self.layer.momentum,
        )  # fmt: skip
        self.new |= within(norm, new)
        return activate(act, y)

    def squeeze(self, x: Array, activation: str, gate: str = "sigmoid") -> Array:
        """Squeeze-excitation, whose width is that of its parameters."""
        return squeeze_excite(x, self.params, "squeeze.body", activation=activation, gate=gate)


def _stage(inside: Inside) -> Callable[[MobileStage, Tensors, Tensors, Array, bool], Applied]:
    """n blocks; one that keeps its input's shape adds its input, after drop-path at a rate linear in its index."""

    def stage(layer: MobileStage, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
        first, last = layer.drop_path if isinstance(layer.drop_path, tuple) else (layer.drop_path,) * 2
        new: dict[str, Array] = {}
        for index in range(layer.blocks):
            stride = layer.stride if index == 0 else 1
            keeps = stride == 1 and x.shape[-1] == layer.features
            path = f"block{index}.body" if keeps else f"block{index}"
            block = _Block(layer, under(params, path), under(state, path), training)
            y = inside(layer, block, x, stride)
            if keeps:
                rate = first if layer.blocks == 1 else first + (last - first) * index / (layer.blocks - 1)
                y = x + drop_path(under(state, f"{path}.drop"), y, rate, training)
            x = y
            new |= within(path, block.new)
        return x, new

    return stage


def _separable_conv(layer: SeparableConv, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block = _Block(layer, params, state, training)
    y = block.conv("depthwise", x, act=layer.activation, stride=layer.stride, depthwise=True)
    return block.conv("project", y, act=layer.activation), block.new


def _inverted_residual(layer: InvertedResidual, block: _Block, x: Array, stride: int) -> Array:
    act = layer.activation
    y = x if layer.expansion == 1 else block.conv("expand", x, act=act)
    y = block.conv("depthwise", y, act=act, stride=stride, depthwise=True)
    return block.conv("project", y)


def _mb_conv(layer: MbConv, block: _Block, x: Array, stride: int) -> Array:
    act = layer.activation
    y = x if layer.expansion == 1 else block.conv("expand", x, act=act)
    y = block.conv("depthwise", y, act=act, stride=stride, depthwise=True)
    if layer.squeeze:
        y = block.squeeze(y, act)
    return block.conv("project", y)


def _mb_conv_v3(layer: MbConvV3, block: _Block, x: Array, stride: int) -> Array:
    act = layer.activation
    y = x if layer.hidden == x.shape[-1] else block.conv("expand", x, act=act)
    y = block.conv("depthwise", y, act=act, stride=stride, depthwise=True)
    if layer.squeeze:
        y = block.squeeze(y, "relu", "h-sigmoid")
    return block.conv("project", y)


def _fused_mb_conv(layer: FusedMbConv, block: _Block, x: Array, stride: int) -> Array:
    act, wide = layer.activation, layer.expansion != 1
    y = block.conv("expand", x, act=act, stride=stride) if wide else x
    if layer.squeeze:
        y = block.squeeze(y, act)
    return block.conv("project", y) if wide else block.conv("project", y, act=act, stride=stride)


def _uib(layer: Uib, block: _Block, x: Array, stride: int) -> Array:
    start, middle, act = layer.start_kernel, layer.middle_kernel, layer.activation
    y = block.conv("start", x, stride=1 if middle else stride, depthwise=True) if start else x
    y = block.conv("expand", y, act=act)
    y = block.conv("middle", y, act=act, stride=stride, depthwise=True) if middle else y
    return block.conv("project", y)


REFERENCES = (
    Reference(
        "separableConv",
        _separable_conv,
        (
            Case("plain", SeparableConv(4), (4, 3, 3)),
            Case("strided", SeparableConv(3, 2), (6, 4, 2)),
            Case("strided-same", SeparableConv(3, 2, padding="same"), (6, 4, 2)),
            Case("strided-odd-5x5", SeparableConv(2, 2, 5), (5, 7, 2)),
            Case("one-pixel", SeparableConv(2), (1, 1, 2), batch=3),
            Case("batch-1", SeparableConv(3, momentum=0.3), (3, 4, 2), batch=1),
            Case("dead-channels", SeparableConv(4), (3, 3, 2), draw="kinks"),
            Case("evaluation", SeparableConv(3, activation="h-swish", epsilon=1e-3), (4, 4, 2), training=False),
        ),
        (
            BadCase(SeparableConv(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(SeparableConv(4, 0), (4, 4, 3), "stride wants a positive integer, got 0"),
            BadCase(SeparableConv(4, 1, 2), (4, 4, 3), "kernel wants an odd positive integer, got 2"),
            BadCase(SeparableConv(4, padding="valid"), (4, 4, 3), "padding wants one of same, same-symmetric"),  # type: ignore[arg-type]
            BadCase(SeparableConv(4, activation="mish"), (4, 4, 3), "activation wants one of identity, relu"),
            BadCase(SeparableConv(4), (16,), "wants [batch, H, W, C], got [batch, 16]; give an image"),
        ),
    ),
    Reference(
        "invertedResidual",
        _stage(_inverted_residual),
        (
            Case("plain", InvertedResidual(3, 2), (4, 3, 3)),
            Case("widening", InvertedResidual(4, 2), (3, 3, 2)),
            Case("expansion-1", InvertedResidual(2, 1), (3, 4, 2)),
            Case("fraction", InvertedResidual(3, 1.5), (3, 3, 3)),
            Case("stage", InvertedResidual(3, 2, stride=2, blocks=2), (6, 4, 2)),
            Case("strided-same-5x5", InvertedResidual(2, 2, 5, stride=2, padding="same"), (6, 6, 2)),
            Case("batch-1", InvertedResidual(2, 2), (3, 4, 2), batch=1),
            Case("norm", InvertedResidual(2, 2, epsilon=0.1, momentum=0.3), (3, 3, 2)),
            Case("dead-channels", InvertedResidual(2, 2, activation="relu"), (3, 3, 2), draw="kinks"),
            Case("drop-path", InvertedResidual(2, 2, blocks=3, drop_path=(0.1, 0.7)), (3, 3, 2), batch=4),
            Case("evaluation", InvertedResidual(2, 2, blocks=2, drop_path=0.5), (3, 3, 2), training=False),
        ),
        (
            BadCase(InvertedResidual(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(InvertedResidual(4, 0), (4, 4, 3), "expansion wants a positive number up to 10000, got 0"),
            BadCase(InvertedResidual(4, blocks=0), (4, 4, 3), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(InvertedResidual(4, drop_path=1.0), (4, 4, 3), "drop_path wants numbers in [0, 1), got 1.0"),
            BadCase(InvertedResidual(4, epsilon=0.0), (4, 4, 3), "epsilon wants a positive number, got 0.0"),
            BadCase(InvertedResidual(4), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
    Reference(
        "mbConv",
        _stage(_mb_conv),
        (
            Case("plain", MbConv(4, 2), (3, 4, 4)),
            Case("widening-5x5", MbConv(3, 4, 5), (4, 3, 2)),
            Case("expansion-1", MbConv(4, 1), (3, 3, 4)),
            Case("stage", MbConv(4, 2, stride=2, blocks=2), (6, 5, 3)),
            Case("unsqueezed-relu6", MbConv(3, 2, squeeze=0.0, activation="relu6"), (3, 3, 3)),
            Case("squeeze-half", MbConv(4, 2, squeeze=0.5), (3, 3, 4)),
            Case("batch-1", MbConv(3, 2), (3, 4, 3), batch=1),
            Case("strided-same-norm", MbConv(3, 2, stride=2, padding="same", epsilon=0.1, momentum=0.3), (4, 4, 2)),
            Case("drop-path", MbConv(4, 1, drop_path=0.5), (2, 2, 4), batch=4),
            Case("evaluation", MbConv(2, 2, momentum=0.01), (3, 3, 2), training=False),
        ),
        (
            BadCase(MbConv(0), (4, 4, 3), "features wants a positive integer, got 0"),
            BadCase(MbConv(4, 6, 4), (4, 4, 3), "kernel wants an odd positive integer, got 4"),
            BadCase(MbConv(4, squeeze=1.5), (4, 4, 3), "squeeze wants a number in [0, 1]"),
            BadCase(MbConv(4), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
    Reference(
        "mbConvV3",
        _stage(_mb_conv_v3),
        (
            Case("plain", MbConvV3(3, 6), (3, 4, 3)),
            Case("squeeze-h-swish", MbConvV3(3, 8, squeeze=True, activation="h-swish"), (3, 3, 3)),
            Case("hidden-as-input", MbConvV3(3, 4, squeeze=True), (3, 3, 4)),
            Case("stage-5x5", MbConvV3(3, 4, 5, True, stride=2, blocks=2), (6, 4, 2)),
            Case("batch-1", MbConvV3(3, 4, squeeze=True), (3, 4, 3), batch=1),
            Case("strided-same-norm", MbConvV3(2, 4, stride=2, padding="same", epsilon=0.1, momentum=0.3), (4, 4, 2)),
            Case("drop-path", MbConvV3(2, 4, blocks=2, drop_path=(0.2, 0.5)), (3, 3, 2), batch=4),
            Case("dead-channels", MbConvV3(2, 4, squeeze=True), (3, 3, 2), draw="kinks"),
            Case("evaluation", MbConvV3(2, 4, squeeze=True), (3, 3, 2), training=False),
        ),
        (
            BadCase(MbConvV3(4, 0), (4, 4, 3), "hidden wants a positive integer, got 0"),
            BadCase(MbConvV3(4, 8, 2), (4, 4, 3), "kernel wants an odd positive integer, got 2"),
            BadCase(MbConvV3(4, 8), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
    Reference(
        "fusedMbConv",
        _stage(_fused_mb_conv),
        (
            Case("plain", FusedMbConv(2, 4), (3, 4, 2)),
            Case("expansion-1", FusedMbConv(3, 1), (4, 3, 3)),
            Case("expansion-1-squeeze", FusedMbConv(4, 1, squeeze=0.5), (3, 3, 4)),
            Case("stage", FusedMbConv(3, 4, stride=2, blocks=2), (6, 5, 2)),
            Case("squeeze-relu", FusedMbConv(3, 2, squeeze=0.25, activation="relu"), (3, 3, 3)),
            Case("batch-1", FusedMbConv(2, 2), (3, 4, 2), batch=1),
            Case(
                "strided-same-norm",
                FusedMbConv(2, 1, 5, stride=2, padding="same", epsilon=0.1, momentum=0.3),
                (6, 4, 2),
            ),
            Case("drop-path", FusedMbConv(2, 1, blocks=2, drop_path=(0.0, 0.5)), (3, 3, 2), batch=4),
            Case("evaluation", FusedMbConv(2, 4), (3, 3, 2), training=False),
        ),
        (
            BadCase(FusedMbConv(4, -1), (4, 4, 3), "expansion wants a positive number up to 10000, got -1"),
            BadCase(FusedMbConv(4, squeeze=-0.1), (4, 4, 3), "squeeze wants a number in [0, 1]"),
            BadCase(FusedMbConv(4), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
    Reference(
        "uib",
        _stage(_uib),
        (
            Case("extra-dw", Uib(3, 2, 3, 5), (4, 3, 3)),
            Case("ib", Uib(3, 2), (3, 4, 3)),
            Case("convnext-like", Uib(3, 2, 5, 0), (4, 4, 3)),
            Case("ffn", Uib(3, 2, 0, 0), (3, 3, 3)),
            Case("stage-extra-dw", Uib(3, 2, 3, 3, stride=2, blocks=2), (6, 4, 2)),
            Case("strided-convnext-like", Uib(3, 2, 3, 0, stride=2), (6, 5, 2)),
            Case("batch-1", Uib(2, 2), (3, 4, 2), batch=1),
            Case("strided-same-norm", Uib(2, 2, stride=2, padding="same", epsilon=0.1, momentum=0.3), (4, 4, 2)),
            Case("dead-channels", Uib(2, 2, 3, 3), (3, 3, 2), draw="kinks"),
            Case("drop-path", Uib(2, 2, 0, 0, drop_path=0.5), (2, 2, 2), batch=4),
            Case("evaluation", Uib(2, 2, 3, 3, activation="gelu"), (3, 3, 2), training=False),
        ),
        (
            BadCase(Uib(4, 0), (4, 4, 3), "expansion wants a positive number up to 10000, got 0"),
            BadCase(Uib(4, 4, 2), (4, 4, 3), "start_kernel wants an odd positive integer, got 2"),
            BadCase(Uib(4, 4, 0, -3), (4, 4, 3), "middle_kernel wants an odd positive integer, got -3"),
            BadCase(Uib(4, 4, 0, 0, stride=2), (4, 4, 3), "stride wants 1 without a depthwise convolution, got 2"),
            BadCase(Uib(4), (16,), "wants [batch, H, W, C], got [batch, 16]"),
        ),
    ),
)
