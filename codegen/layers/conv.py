"""Convolutions. The three products are operations of the IR; how each is computed is a target's choice."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.activation import activate
from netc.codegen.rules import Emitted, Grads, Scope, example, rule, then
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.window import pair


@rule(Conv2d)
def emit_conv2d(b: Builder, layer: Conv2d, scope: Scope, x: Value) -> Emitted:
    """y = x ⋆ w + bias; y is bilinear in (x, w), so each gradient is the adjoint in one argument."""
    w = scope.param("kernel")
    _, sides = layer.window(example(x))
    window = {
        "stride": pair(layer.stride), "padding": sides, "dilation": pair(layer.dilation), "groups": layer.groups,
    }  # fmt: skip
    y = b.op("conv", x, w, **window)
    if layer.bias:
        y = b.add(y, b.broadcast(scope.param("bias"), y))

    def conv2d_pull(dy: Value) -> tuple[Value, Grads]:
        dx = b.op("conv_input_grad", dy, w, size=x.shape[1:3], **window)  # <dy, dx ⋆ w> = <dx, adjoint>
        grads = {"kernel": b.op("conv_kernel_grad", x, dy, kernel=w.shape[:2], **window)}  # <dy, x ⋆ dw>
        if layer.bias:
            grads["bias"] = b.sum(dy, (0, 1, 2))  # dbias[o] = sum of dy[.., o]
        return dx, grads

    return then(Emitted(y, conv2d_pull), activate(b, layer.activation, y))
