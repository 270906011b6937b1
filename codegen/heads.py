"""A net of token ids in two: what gives a vector for each token, and the head, which makes logits of each by itself.

So the logits of some tokens can be had without those of the others (codegen/chunked_loss.py). How a layer comes apart
is a rule of its own, as its emission is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import DECODING, RULES, Emitted, Grads, Scope, emit_part, example, then
from netc.netspec.errors import UserError
from netc.netspec.layer import Combinator, Composite, Layer, expanded, part_names, signature_of
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.embedding import TiedHead
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Head:
    """What makes logits of each token of x [B, T, D] by itself; `params` are the names of what it reads."""

    emit: Callable[[Builder, Scope, Value], Emitted]
    params: tuple[str, ...]

    def inside(self, part: str) -> Head:
        """The head of a layer whose part has this one."""

        def emitted(b: Builder, scope: Scope, x: Value) -> Emitted:
            return _within(b, part, lambda: self.emit(b, scope.inside(part), x))

        return Head(emitted, tuple(f"{part}.{name}" for name in self.params))


Split = Callable[[Builder, Any, Scope, Value], tuple[Emitted, Head]]
SPLITS: dict[type[Layer], Split] = {}


def split_rule(cls: type[Layer]) -> Callable[[Split], Split]:
    """Register how a layer comes apart."""

    def register(function: Split) -> Split:
        SPLITS[cls] = function
        return function

    return register


def split(b: Builder, layer: Layer, scope: Scope, x: Value) -> tuple[Emitted, Head]:
    """The layer's vectors [B, T, D] as emitted, and its head, not yet emitted. Raises UserError if it has none."""
    if isinstance(layer, Composite) and type(layer) not in SPLITS:
        return split(b, expanded(layer, example(x)), scope, x)
    found = SPLITS.get(type(layer))
    if found is None:
        raise UserError(
            "`chunked_loss` wants a net that ends in a head, which makes the logits of each token separately, got one "
            f"that ends in {layer.label()}; end it in lmHead, dense or tiedHead, or leave `chunked_loss` out"
        )
    return found(b, layer, scope, x)


@split_rule(Chain)
def split_chain(b: Builder, layer: Chain, scope: Scope, x: Value) -> tuple[Emitted, Head]:
    """The head is the last layer that changes the width, and what comes after it; or that of the last but those.

    Where that one has none, as in a net whose width is its vocabulary, the head is what comes after it.
    """
    named = list(zip(part_names(layer.layers), layer.layers, strict=True))
    types, first = _begin(layer, example(x))
    name, part = named[first]
    before = _chained(b, named[:first], scope, x)
    if _each_token(part, types[first]):
        return before, _head_of(named[first:], types[first])
    trunk, own = _split_part(b, name, part, scope, before.y)
    return then(before, trunk), _after(own, _head_of(named[first + 1 :], types[first + 1]))


def _begin(layer: Chain, x: TensorType) -> tuple[list[TensorType], int]:
    """The types before, between and after the layers of a chain, and the layer that is or has the head's first."""
    types = [x]
    for part in layer.layers:
        types.append(signature_of(part, types[-1]).out)
    end = first = len(layer.layers) - 1
    while first and _each_token(layer.layers[first], types[first]) and types[first] == types[first + 1]:
        first -= 1
    if _each_token(layer.layers[first], types[first]) or _has_head(layer.layers[first], types[first]):
        return types, first
    learns = any(signature_of(layer.layers[i], types[i]).params for i in range(first + 1, end + 1))
    return types, first + 1 if learns else first


def _has_head(layer: Layer, x: TensorType) -> bool:
    """Whether `split` finds a head in the layer."""
    if type(layer) is Chain:
        types, first = _begin(layer, x)
        part = layer.layers[first]
        return _each_token(part, types[first]) or _has_head(part, types[first])
    if isinstance(layer, Composite) and type(layer) not in SPLITS:
        return _has_head(expanded(layer, x), x)
    return type(layer) in SPLITS


@split_rule(TiedHead)
def split_tied_head(b: Builder, layer: TiedHead, scope: Scope, x: Value) -> tuple[Emitted, Head]:
    """The body's vectors, and the embedding's matrix as the head."""
    embed = emit_part(b, "embed", layer.embed, scope, x)
    body = emit_part(b, "body", layer.body, scope, embed.y)
    return then(embed, body), Head(_emit_tied_logits, ("embed.tokens",))


def _emit_tied_logits(b: Builder, scope: Scope, x: Value) -> Emitted:
    """logits = h Eᵀ."""
    matrix = scope.param("embed.tokens")
    h = b.reshape(x, (x.type.size // x.shape[-1], x.shape[-1]))
    logits = b.reshape(b.dot(h, matrix, (1, 1)), (*x.shape[:-1], matrix.shape[0]))

    def tied_logits_pull(dy: Value) -> tuple[Value, Grads]:
        d = b.reshape(dy, (h.shape[0], matrix.shape[0]))
        dh = b.reshape(b.dot(d, matrix, (1, 0)), x.shape)  # dh = dy E
        return dh, {"embed.tokens": b.dot(d, h, (0, 0))}  # dE = dyᵀ h

    return Emitted(logits, tied_logits_pull)


def _each_token(layer: Layer, x: TensorType) -> bool:
    """Whether the layer treats every token by itself, the same in training as else, and adds nothing to the loss."""
    own = signature_of(layer, x)
    rule = RULES.get(type(layer))
    leaf = rule is not None and not isinstance(layer, Composite | Combinator)
    return leaf and DECODING.get(type(layer)) is rule and not (own.draws or own.state or layer.adds_to_loss)


def _chained(b: Builder, named: list[tuple[str, Layer]], scope: Scope, x: Value) -> Emitted:
    whole = Emitted(x, lambda dy: (dy, {}))
    for name, layer in named:
        whole = then(whole, emit_part(b, name, layer, scope, whole.y))
    return whole


def _head_of(named: list[tuple[str, Layer]], x: TensorType) -> Head:
    names: list[str] = []
    for name, layer in named:
        own = signature_of(layer, x)
        names += (f"{name}.{p.name}" for p in own.params)
        x = own.out
    return Head(lambda b, scope, h: _chained(b, named, scope, h), tuple(names))


def _after(first: Head, second: Head) -> Head:
    def emitted(b: Builder, scope: Scope, x: Value) -> Emitted:
        z = first.emit(b, scope, x)
        return then(z, second.emit(b, scope, z.y))

    return Head(emitted, (*first.params, *second.params))


def _split_part(b: Builder, name: str, layer: Layer, scope: Scope, x: Value) -> tuple[Emitted, Head]:
    """A part of a layer in two, its names as the layer has them."""
    with b.at(name):
        trunk, head = split(b, layer, scope.inside(name), x)
    return _within(b, name, lambda: trunk), head.inside(name)


def _within(b: Builder, name: str, make: Callable[[], Emitted]) -> Emitted:
    """What a part is, at its own place and under its own names."""
    with b.at(name):
        part = make()

    def pull(dy: Value) -> tuple[Value, Grads]:
        with b.at(name, "vjp"):
            dx, grads = part.pull(dy)
        return dx, {f"{name}.{k}": g for k, g in grads.items()}

    return Emitted(part.y, pull, {f"{name}.{k}": s for k, s in part.state.items()})
