"""A layer of your own in one file: what it is, how it and its backward are emitted, and what judges them.

As a program it trains with the layer; `netc --plugin examples/own_layer.py oracle squash` judges the layer alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import netc
from netc import layers as nn
from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Scope, rule
from netc.netspec.layer import Layer, want_finite
from netc.netspec.layers import add_kind
from netc.netspec.plugins import for_oracle
from netc.netspec.types import Constant, ParamSpec, Signature, TensorType


@add_kind
@dataclass(frozen=True)
class Squash(Layer):
    """y = tanh(g x), g [C] one for each channel, `gain` at first."""

    kind: ClassVar[str] = "squash"
    gain: float = 1.0

    def problems(self) -> Iterator[str]:
        yield from want_finite(gain=self.gain)

    def signature(self, x: TensorType) -> Signature:
        return Signature((ParamSpec("gain", x.shape[-1:], Constant(self.gain), decay=False),), (), x)


@rule(Squash)
def emit_squash(b: Builder, layer: Squash, scope: Scope, x: Value) -> Emitted:
    channels = len(x.shape) - 1
    gain = b.broadcast(scope.param("gain"), x, (channels,))
    y = b.unary("tanh", b.mul(gain, x))

    def pull(dy: Value) -> tuple[Value, dict[str, Value]]:
        inner = b.mul(dy, b.sub(1.0, b.mul(y, y)))  # dz = dy (1 - y^2), z = g x
        return b.mul(inner, gain), {"gain": b.sum(b.mul(inner, x), tuple(range(channels)))}  # dx = g dz, dg = sum x dz

    return Emitted(y, pull)


@for_oracle
def reference() -> None:
    import jax.numpy as jnp

    from netc.proofs_oracle.reference import BadCase, Case, Reference, register

    def squash(layer: Any, params: Any, state: Any, x: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        return jnp.tanh(params["gain"] * x), {}

    cases = (Case("image", Squash(0.5), (3, 2, 4)), Case("vector", Squash(), (5,)))
    register(Reference("squash", squash, cases, (BadCase(Squash(float("inf")), (3,), "gain wants a finite number"),)))


def main(target: str = "cpu", epochs: int = 6) -> None:
    for result in netc.oracle("squash"):
        print(f"{result.case}: {'agrees with JAX' if result.passed else result.verdict()}")
    net = netc.NetSpec(
        "squashed", (8, 8, 1), (nn.ConvBn(32), Squash(), nn.ConvBn(64), nn.GlobalAvgPool(), nn.Dense(10))
    )
    print(f"{netc.train(net, 'digits', lr=0.01, epochs=epochs, target=target).accuracy:.1%} of the test digits")


if __name__ == "__main__":
    main()
