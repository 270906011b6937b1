"""The inception module in JAX: Szegedy et al. 2015, fig. 2b, with batch norm in each convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from netc.netspec.layers import InceptionModule
from netc.proofs_oracle.reference import BadCase, Case, Reference
from netc.proofs_oracle.references.blocks import ONE, Block, around
from netc.proofs_oracle.references.window import Window

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _inception_module(layer: InceptionModule, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, act = Block(params, state, training, layer.epsilon), layer.activation
    first = block.conv_bn("branch1", x, act)
    second = block.conv_bn("branch2.conv", block.conv_bn("branch2.reduce", x, act), act, 1, ONE)
    third = block.conv_bn("branch3.conv", block.conv_bn("branch3.reduce", x, act), act, 1, around(layer.kernel))
    pixels = Window((3, 3), (1, 1), ((1, 1), (1, 1))).pixels(x, -np.inf)
    largest = jnp.argmax(pixels, axis=0, keepdims=True)
    fourth = block.conv_bn("branch4.conv", jnp.take_along_axis(pixels, largest, axis=0)[0], act)
    return jnp.concatenate([first, second, third, fourth], axis=-1), block.new


REFERENCES = (
    Reference(
        "inceptionModule",
        _inception_module,
        (
            Case("five", InceptionModule(1, 2, 3, 1, 2, 1), (4, 5, 2)),
            Case("three", InceptionModule(2, 1, 2, 2, 1, 2, 3), (3, 4, 2)),
            Case("one", InceptionModule(1, 1, 1, 1, 1, 1, 1), (3, 3, 2)),
            Case("one-pixel", InceptionModule(1, 1, 1, 1, 1, 1), (1, 1, 2), batch=4),
            Case("swish-epsilon", InceptionModule(1, 1, 1, 1, 1, 1, 3, "swish", 0.1), (3, 3, 2)),
            Case("batch-1", InceptionModule(1, 2, 1, 1, 1, 1), (4, 3, 2), batch=1),
            Case("ties", InceptionModule(1, 1, 1, 1, 1, 1, 3, "tanh"), (4, 4, 2), draw="ties"),
            Case("dead-channels", InceptionModule(2, 1, 2, 1, 2, 2, 3), (3, 3, 1), draw="kinks"),
            Case("evaluation", InceptionModule(1, 2, 1, 2, 1, 1), (3, 3, 2), training=False),
        ),
        (
            BadCase(InceptionModule(0, 1, 1, 1, 1, 1), (4, 4, 2), "b1 wants a positive integer, got 0"),
            BadCase(InceptionModule(1, 0, 1, 1, 1, 1), (4, 4, 2), "b2_reduce wants a positive integer, got 0"),
            BadCase(InceptionModule(1, 1, 1, 1, 1, 1, 4), (4, 4, 2), "kernel wants a positive odd integer, got 4"),
            BadCase(InceptionModule(1, 1, 1, 1, 1, 1, epsilon=0.0), (4, 4, 2), "epsilon wants a positive number"),
            BadCase(InceptionModule(1, 1, 1, 1, 1, 1), (4,), "wants [batch, H, W, C], got [batch, 4]"),
        ),
    ),
)
