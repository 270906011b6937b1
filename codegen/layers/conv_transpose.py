"""Transposed convolution: the three products of convolution, each in another role."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.layers.activation import activate
from netc.codegen.rules import Emitted, Grads, Scope, example, rule, then
from netc.netspec.layers.conv_transpose import ConvTranspose2d
from netc.netspec.layers.window import pair


@rule(ConvTranspose2d)
def emit_conv_transpose2d(b: Builder, layer: ConvTranspose2d, scope: Scope, x: Value) -> Emitted:
    """y = (· ⋆ w)* x + bias: for every image u, <y, u> = <x, u ⋆ w>."""
    w = scope.param("kernel")
    window = {
        "stride": pair(layer.stride), "padding": layer.sides, "dilation": pair(layer.dilation), "groups": layer.groups,
    }  # fmt: skip
    y = b.op("conv_input_grad", x, w, size=layer.output(example(x)), **window)
    if layer.bias:
        y = b.add(y, b.broadcast(scope.param("bias"), y))

    def conv_transpose2d_pull(dy: Value) -> tuple[Value, Grads]:
        dx = b.op("conv", dy, w, **window)  # the adjoint of an adjoint: dx = dy ⋆ w
        # <dy, (· ⋆ dw)* x> = <x, dy ⋆ dw>: the kernel gradient of dy ⋆ w under the cotangent x
        grads = {"kernel": b.op("conv_kernel_grad", dy, x, kernel=w.shape[:2], **window)}
        if layer.bias:
            grads["bias"] = b.sum(dy, (0, 1, 2))  # dbias[o] = sum of dy[.., o]
        return dx, grads

    return then(Emitted(y, conv_transpose2d_pull), activate(b, layer.activation, y))
