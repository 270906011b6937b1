"""A layer in one file: what it is, its rule and its reference."""

from dataclasses import dataclass
from typing import ClassVar

from netc.codegen.rules import Emitted, rule
from netc.netspec.layer import Layer, want_finite
from netc.netspec.layers import add_kind
from netc.netspec.plugins import for_oracle
from netc.netspec.types import Constant, ParamSpec, Signature


@add_kind
@dataclass(frozen=True)
class Scale(Layer):
    """y = g x + offset, g [C] one for each channel."""

    kind: ClassVar[str] = "scale"
    offset: float = 0.0

    def problems(self):
        yield from want_finite(offset=self.offset)

    def signature(self, x):
        return Signature((ParamSpec("gain", x.shape[-1:], Constant(1.0), decay=False),), (), x)


@rule(Scale)
def emit_scale(b, layer, scope, x):
    gain = b.broadcast(scope.param("gain"), x, (len(x.shape) - 1,))

    def pull(dy):
        dgain = b.sum(b.mul(dy, x), tuple(range(len(x.shape) - 1)))
        return b.mul(dy, gain), {"gain": dgain}  # dx = g dy; dg = sum of x dy over all but C

    return Emitted(b.add(b.mul(x, gain), layer.offset), pull)


@for_oracle
def reference() -> None:
    from netc.proofs_oracle.reference import BadCase, Case, Reference, register

    register(Reference(
        "scale",
        lambda layer, params, state, x, training: (x * params["gain"] + layer.offset, {}),
        (Case("image", Scale(0.5), (3, 2, 4)), Case("vector", Scale(), (5,))),
        (BadCase(Scale(float("nan")), (3,), "offset wants a finite number"),),
    ))  # fmt: skip
