"""The parts of ConvNeXt in JAX: Liu et al. 2022, fig. 4, written out block by block.

Nothing here looks at how netspec expands these layers, except that parameters carry the names of that expansion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netc.netspec.layers import ConvNextDownsample, ConvNextStage, ConvNextStem
from netc.proofs_oracle.reference import BadCase, Case, Reference, under, within
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.references.norm import batch_norm, layer_norm
from netc.proofs_oracle.references.stochastic import drop_path

if TYPE_CHECKING:
    from jax import Array

    from netc.netspec.layers.window import Padding
    from netc.proofs_oracle.reference import Applied, Tensors

NONE: Padding = ((0, 0), (0, 0))


class _Net:
    """The tensors of one layer, and the running statistics that its batch norms leave."""

    def __init__(self, norm: str, params: Tensors, state: Tensors, training: bool) -> None:
        self.kind, self.params, self.state, self.training = norm, params, state, training
        self.new: dict[str, Array] = {}

    def conv(self, name: str, x: Array, stride: int, padding: Padding, *, groups: int = 1) -> Array:
        """The convolution, and the bias where there is one."""
        y = convolve(x, self.params[f"{name}.kernel"], stride, padding, groups=groups)
        return y + self.params.get(f"{name}.bias", 0.0)

    def norm(self, name: str, x: Array) -> Array:
        if self.kind == "layer":
            return layer_norm(x, under(self.params, name), epsilon=1e-6)
        y, new = batch_norm(x, under(self.params, name), under(self.state, name), training=self.training)
        self.new |= within(name, new)
        return y


def _stem(layer: ConvNextStem, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    net = _Net(layer.norm, params, state, training)
    return net.norm("norm", net.conv("conv", x, layer.patch, NONE)), net.new


def _downsample(layer: ConvNextDownsample, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    net = _Net(layer.norm, params, state, training)
    return net.conv("conv", net.norm("norm", x), 2, NONE), net.new


def _stage(layer: ConvNextStage, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    net = _Net(layer.norm, params, state, training)
    around = layer.kernel // 2
    first, last = layer.drop_path if isinstance(layer.drop_path, tuple) else (layer.drop_path,) * 2
    for index in range(layer.blocks):
        body = f"block{index}.body"
        h = net.conv(f"{body}.depthwise", x, 1, ((around, around), (around, around)), groups=x.shape[-1])
        h = net.norm(f"{body}.norm", h)
        h = activate(layer.activation, net.conv(f"{body}.expand", h, 1, NONE))
        h = net.conv(f"{body}.project", h, 1, NONE)
        rate = first if layer.blocks == 1 else first + (last - first) * index / (layer.blocks - 1)
        x = x + drop_path(under(state, f"{body}.drop"), params[f"{body}.scale.gamma"] * h, rate, training)
    return x, net.new


NO_IMAGE = "wants [batch, H, W, C], got [batch, 16]"

REFERENCES = (
    Reference(
        "convNextStem",
        _stem,
        (
            Case("patch-4", ConvNextStem(3), (8, 4, 2)),
            Case("patch-2", ConvNextStem(4, 2), (4, 4, 2)),
            Case("rest", ConvNextStem(3, 2), (5, 3, 2)),
            Case("one-patch", ConvNextStem(3), (4, 4, 1), batch=1),
            Case("batch-norm", ConvNextStem(3, 2, "batch"), (4, 4, 2)),
            Case("batch-norm-evaluation", ConvNextStem(3, 2, "batch"), (4, 4, 2), training=False),
        ),
        (
            BadCase(ConvNextStem(0), (8, 8, 3), "features wants a positive integer, got 0"),
            BadCase(ConvNextStem(4, 0), (8, 8, 3), "patch wants a positive integer, got 0"),
            BadCase(ConvNextStem(4, norm="group"), (8, 8, 3), "norm wants one of layer, batch, got 'group'"),  # type: ignore[arg-type]
            BadCase(ConvNextStem(4), (16,), NO_IMAGE),
        ),
    ),
    Reference(
        "convNextDownsample",
        _downsample,
        (
            Case("even", ConvNextDownsample(4), (4, 6, 3)),
            Case("odd", ConvNextDownsample(3), (5, 3, 2)),
            Case("one-pixel-out", ConvNextDownsample(2), (2, 2, 3), batch=1),
            Case("batch-norm", ConvNextDownsample(3, "batch"), (4, 4, 2)),
            Case("batch-norm-evaluation", ConvNextDownsample(3, "batch"), (4, 4, 2), training=False),
        ),
        (
            BadCase(ConvNextDownsample(0), (8, 8, 3), "features wants a positive integer, got 0"),
            BadCase(ConvNextDownsample(4, "group"), (8, 8, 3), "norm wants one of layer, batch, got 'group'"),  # type: ignore[arg-type]
            BadCase(ConvNextDownsample(4), (16,), NO_IMAGE),
        ),
    ),
    Reference(
        "convNextStage",
        _stage,
        (
            Case("plain", ConvNextStage(), (4, 3, 3)),
            Case("two-blocks", ConvNextStage(2), (3, 3, 2)),
            Case("kernel-and-expansion", ConvNextStage(kernel=3, expansion=2), (4, 5, 2)),
            Case("scale", ConvNextStage(scale=1.0, kernel=1), (2, 2, 3), batch=1),
            Case("one-pixel", ConvNextStage(kernel=3), (1, 1, 3)),
            Case("dead-channels", ConvNextStage(activation="relu", kernel=3), (3, 3, 3), draw="kinks"),
            Case("batch-norm", ConvNextStage(norm="batch", activation="relu", kernel=3), (3, 3, 2)),
            Case("evaluation", ConvNextStage(norm="batch", kernel=3), (3, 3, 2), training=False),
            Case("drop-path", ConvNextStage(1, kernel=3, scale=1.0, drop_path=0.5), (3, 2, 2), batch=4),
            Case("drop-path-pair", ConvNextStage(2, kernel=1, scale=1.0, drop_path=(0.0, 0.4)), (2, 2, 2), batch=4),
            Case("drop-path-evaluation", ConvNextStage(2, kernel=3, drop_path=(0.1, 0.4)), (3, 3, 2), training=False),
        ),
        (
            BadCase(ConvNextStage(0), (8, 8, 3), "blocks wants an integer from 1 to 10000, got 0"),
            BadCase(ConvNextStage(norm="group"), (8, 8, 3), "norm wants one of layer, batch, got 'group'"),  # type: ignore[arg-type]
            BadCase(ConvNextStage(activation="mish"), (8, 8, 3), "activation wants one of identity, relu"),
            BadCase(ConvNextStage(kernel=4), (8, 8, 3), "kernel wants an odd positive integer, got 4"),
            BadCase(ConvNextStage(expansion=0), (8, 8, 3), "expansion wants a positive integer, got 0"),
            BadCase(ConvNextStage(scale=float("nan")), (8, 8, 3), "start wants a finite number, got nan"),
            BadCase(
                ConvNextStage(drop_path=(0.0, 1.0)), (8, 8, 3), "drop_path wants numbers in [0, 1), got (0.0, 1.0)"
            ),
            BadCase(ConvNextStage(), (16,), NO_IMAGE),
        ),
    ),
)
