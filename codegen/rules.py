"""How a layer is emitted: what a rule gets, what it gives, and how a rule is found."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.netspec.errors import UserError
from netc.netspec.layer import Composite, Layer, expanded
from netc.netspec.types import TensorType

Grads = dict[str, Value]
Pull = Callable[[Value], tuple[Value, Grads]]


def part_stream(stream: int, part: str) -> int:
    """The stream of a part of a layer: one 32-bit number for each path, which the reference can compute as well."""
    return (stream * 0x9E3779B1 + zlib.crc32(part.encode())) % 2**32


@dataclass(frozen=True)
class Scope:
    """What one layer may read: its parameters and states by name, and whether it is being trained.

    `key` is the step's key [2] ui32 where something draws; `stream` tells the layers apart that draw with it.
    """

    params: Mapping[str, Value]
    state: Mapping[str, Value]
    training: bool
    prefix: str = ""
    key: Value | None = None
    stream: int = 0

    def param(self, name: str) -> Value:
        """The parameter of that name in this layer."""
        return self.params[self.prefix + name]

    def running(self, name: str) -> Value:
        """The state of that name in this layer."""
        return self.state[self.prefix + name]

    def inside(self, part: str) -> Scope:
        """The scope of a part."""
        return Scope(
            self.params, self.state, self.training, f"{self.prefix}{part}.", self.key, part_stream(self.stream, part)
        )


@dataclass(frozen=True)
class Emitted:
    """The output, the pullback `dy -> (dx, dparams)`, and the states that the step replaces.

    Names in `dparams` and `state` are relative to the layer, as in its signature.
    """

    y: Value
    pull: Pull
    state: Mapping[str, Value] = field(default_factory=dict)


Rule = Callable[[Builder, Any, Scope, Value], Emitted]
RULES: dict[type[Layer], Rule] = {}


def rule(cls: type[Layer]) -> Callable[[Rule], Rule]:
    """Register the rule of a layer class."""

    def register(function: Rule) -> Rule:
        RULES[cls] = function
        return function

    return register


def example(x: Value) -> TensorType:
    """The type of one example of a batch."""
    return TensorType(x.shape[1:], x.type.dtype)


def emit(b: Builder, layer: Layer, scope: Scope, x: Value) -> Emitted:
    """Emit a layer. A composite is emitted as the expression that it stands for.

    Raises UserError if the layer can be counted but has no rule yet.
    """
    if isinstance(layer, Composite):
        return emit(b, expanded(layer, example(x)), scope, x)
    found = RULES.get(type(layer))
    if found is None:
        raise UserError(f"{layer.kind} can be shown and counted, but not trained yet; use a net without it")
    return found(b, layer, scope, x)


def emit_part(b: Builder, name: str, layer: Layer, scope: Scope, x: Value) -> Emitted:
    """Emit a part of a combinator under its own name, in the forward program and in the pullback."""
    with b.at(name):
        part = emit(b, layer, scope.inside(name), x)

    def pull(dy: Value) -> tuple[Value, Grads]:
        with b.at(name, "vjp"):
            dx, grads = part.pull(dy)
        return dx, {f"{name}.{k}": g for k, g in grads.items()}

    return Emitted(part.y, pull, {f"{name}.{k}": s for k, s in part.state.items()})


def then(first: Emitted, second: Emitted) -> Emitted:
    """second after first: (g . f)* = f* . g*. For steps of one layer, whose parameter names do not meet."""

    def pull(dy: Value) -> tuple[Value, Grads]:
        dmid, later = second.pull(dy)
        dx, sooner = first.pull(dmid)
        return dx, {**sooner, **later}

    return Emitted(second.y, pull, {**first.state, **second.state})
