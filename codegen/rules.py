"""How a layer is emitted: what a rule gets, what it gives, and how a rule is found."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.netspec.errors import UserError
from netc.netspec.groups import within
from netc.netspec.layer import Composite, Layer, expanded
from netc.netspec.layers.counted import INSTEAD
from netc.netspec.types import TensorType

Grads = dict[str, Value]
Pull = Callable[[Value], tuple[Value, Grads]]

AUXILIARY = "(loss)"  # among the states of an emission: a scalar that it adds to the loss of the step
CHOICES = "(choices)"  # another, [E]: the share of the step's choices that fell on each of its experts here; or [B, E]
BLOCK = re.compile(r"block\d+")  # the parts that are recomputed on request: the copies that stages are made of


def block_of(path: Sequence[str]) -> str | None:
    """The path of the outermost block that a path leads into."""
    end = next((n for n, part in enumerate(path) if BLOCK.fullmatch(part)), None)
    return None if end is None else ".".join(path[: end + 1])


def part_stream(stream: int, part: str) -> int:
    """The stream of a part of a layer: one 32-bit number for each path, which the reference can compute as well."""
    return (stream * 0x9E3779B1 + zlib.crc32(part.encode())) % 2**32


@dataclass(frozen=True)
class Decoding:
    """A sequence that is written token by token (codegen/sampler.py). What layers keep of earlier ones is their state.

    `position` i32 [] is the place of the last token that is known. Where `whole`, the input holds the text from its
    begin, of which what comes after that place means nothing, and layers make their state, for `context` tokens; else
    it holds that one token.
    """

    position: Value
    whole: bool
    context: int


@dataclass(frozen=True)
class Scope:
    """What one layer may read: its parameters and states by name, and whether it is being trained.

    `key` is the step's key [2] ui32 where something draws; `stream` tells the layers apart that draw with it. With
    `remat`, blocks in it (or those within these paths) are computed a second time for their pullbacks. With `decoding`
    a sequence is written. Layers whose paths are in `frozen` run as in evaluation. `share` is the part of the step's
    batch that is here; 0 where there is no loss to add to, for a layer alone. Batch norm is over the examples of so
    many `replicas`. Where documents are kept apart, `begins` i32 [B, T] says where that of each token begins. Where
    `examples` is not 0, gates of experts tell what each of so many examples chose, in an evaluation.
    """

    params: Mapping[str, Value]
    state: Mapping[str, Value]
    training: bool
    prefix: str = ""
    key: Value | None = None
    stream: int = 0
    remat: bool | tuple[str, ...] = False
    decoding: Decoding | None = None
    frozen: Collection[str] = ()
    share: float = 0.0
    replicas: int = 1
    begins: Value | None = None
    examples: int = 0

    def param(self, name: str) -> Value:
        """The parameter of that name in this layer."""
        return self.params[self.prefix + name]

    def running(self, name: str) -> Value:
        """The state of that name in this layer."""
        return self.state[self.prefix + name]

    def inside(self, part: str) -> Scope:
        """The scope of a part."""
        remat = False if self.recomputes(part) else self.remat  # inside a block nothing is recomputed once more
        stream = part_stream(self.stream, part)
        prefix = f"{self.prefix}{part}."
        trained = self.training and prefix[:-1] not in self.frozen
        return replace(self, training=trained, prefix=prefix, stream=stream, remat=remat)

    def recomputes(self, part: str) -> bool:
        """Whether the pullback of that part begins with its forward program: a block, outermost, that is trained."""
        if not self.training or BLOCK.fullmatch(part) is None:
            return False
        return self.remat if isinstance(self.remat, bool) else within(f"{self.prefix}{part}", self.remat)


@dataclass(frozen=True)
class Emitted:
    """The output, the pullback `dy -> (dx, dparams)`, and the states that the step replaces.

    Names in `dparams` and `state` are relative to the layer, as in its signature. A state AUXILIARY is none: it is a
    scalar that is added to the loss, with the layer's share of the batch in it, and whose gradient `pull` adds to dx.
    Nor is CHOICES, which is told and has no gradient.
    """

    y: Value
    pull: Pull
    state: Mapping[str, Value] = field(default_factory=dict)


Rule = Callable[[Builder, Any, Scope, Value], Emitted]
RULES: dict[type[Layer], Rule] = {}
DECODING: dict[type[Layer], Rule] = {}
APART: set[type[Layer]] = set()  # what may stand in a net whose documents are kept apart


def rule(cls: type[Layer], *, each_token: bool = False, apart: bool = False) -> Callable[[Rule], Rule]:
    """Register the rule of a layer class. `each_token`: it treats every token of [B, T, ..] by itself, and alike.

    `apart`: it does not, but heeds `begins` of its scope.
    """

    def register(function: Rule) -> Rule:
        RULES[cls] = function
        if each_token:
            DECODING[cls] = function
        if each_token or apart:
            APART.add(cls)
        return function

    return register


def decoding_rule(cls: type[Layer], *, apart: bool = False) -> Callable[[Rule], Rule]:
    """Register how a layer goes on with a sequence, where it looks at earlier tokens; its pullback is never called.

    `apart` as in `rule`, for a layer that has no rule of its own.
    """

    def register(function: Rule) -> Rule:
        DECODING[cls] = function
        if apart:
            APART.add(cls)
        return function

    return register


def no_pull(dy: Value) -> tuple[Value, Grads]:
    """The pullback of what is emitted to decode."""
    raise AssertionError("a sampler has no backward program")


def example(x: Value) -> TensorType:
    """The type of one example of a batch."""
    return TensorType(x.shape[1:], x.type.dtype)


def emit(b: Builder, layer: Layer, scope: Scope, x: Value) -> Emitted:
    """Emit a layer. A composite is emitted as the expression that it stands for.

    Raises UserError if the layer can be counted but has no rule yet.
    """
    rules = DECODING if scope.decoding else RULES
    if isinstance(layer, Composite) and type(layer) not in rules:
        return emit(b, expanded(layer, example(x)), scope, x)
    found = rules.get(type(layer))
    if found is None and scope.decoding and type(layer) in RULES:
        raise UserError(
            f"a sampler wants layers that can process a sequence token by token, got {layer.kind} "
            f"({scope.prefix.rstrip('.') or layer.kind}), which needs all of it; give a causal language model"
        )
    if found is None:
        do = INSTEAD.get(type(layer), f"write its rule under @rule({type(layer).__name__}), or use a net without it")
        raise UserError(f"{layer.kind} cannot be emitted yet, only shown and counted; {do}")
    if scope.begins is not None and type(layer) not in APART:
        raise UserError(
            f"`document_mask` wants a net that mixes tokens by causal attention alone, got {layer.kind} "
            f"({scope.prefix.rstrip('.') or layer.kind}); leave `document_mask` out"
        )
    return found(b, layer, scope, x)


def emit_part(b: Builder, name: str, layer: Layer, scope: Scope, x: Value) -> Emitted:
    """Emit a part of a combinator under its own name, in the forward program and in the pullback."""
    inner = scope.inside(name)
    with b.at(name):
        part = emit(b, layer, inner, x)

    def pull(dy: Value) -> tuple[Value, Grads]:
        found = part
        if scope.recomputes(name):
            with b.at(name, "remat"):
                found, dy = _again(b, layer, inner, x, dy)
        with b.at(name, "vjp"):
            dx, grads = found.pull(dy)
        return dx, {f"{name}.{k}": g for k, g in grads.items()}

    return Emitted(part.y, pull, {f"{name}.{k}": s for k, s in part.state.items()})


def _again(b: Builder, layer: Layer, scope: Scope, x: Value, dy: Value) -> tuple[Emitted, Value]:
    """The layer emitted a second time, on x and dy behind barriers, and that dy (Chen et al. 2016, section 4).

    Nothing that the pullback reads of x or of what is drawn is then there before dy is, and no pass can take the second
    computation for the first. What is drawn is drawn again with the same key: the same bits. The new states are the
    first emission's; these are not read, and dropped.
    """
    own = [name for name in scope.params if name.startswith(scope.prefix)]
    x, dy, *others = (b.op("barrier", v) for v in (x, dy, *(scope.params[name] for name in own)))
    params = {**scope.params, **dict(zip(own, others, strict=True))}  # what a form makes of a kernel, too
    key = scope.key and _key_waiting(b, scope.key, dy)
    return emit(b, layer, replace(scope, params=params, key=key), _waiting(b, x, dy)), dy


def _waiting(b: Builder, x: Value, dy: Value) -> Value:
    """x + 0 dy[0, ..]: x again, which no scheduler can have before dy.

    A barrier on one value orders nothing, and XLA drops those on several before it orders the work; then every block
    would be computed again at once, as soon as its x is there, and all of it held. No compiler leaves this sum out, for
    0 dy is not 0 where dy is not finite.
    """
    return b.add(x, b.broadcast(b.convert(b.mul(_first_of(b, dy), 0), x.type.dtype), x, ()))


def _key_waiting(b: Builder, key: Value, dy: Value) -> Value:
    """key + (dy[0, ..] != dy[0, ..]): the key again, but for a dy that is no number. Masks depend on nothing else.

    IREE 3.12 cannot compile its compute barrier on a key.
    """
    first = _first_of(b, dy)
    return b.add(key, b.broadcast(b.convert(b.compare("NE", first, first), key.type.dtype), key, ()))


def _first_of(b: Builder, dy: Value) -> Value:
    """dy[0, ..], a scalar."""
    rank = len(dy.shape)
    return b.reshape(b.slice(dy, (0,) * rank, (1,) * rank), ())


def then(first: Emitted, second: Emitted) -> Emitted:
    """second after first: (g . f)* = f* . g*. For steps of one layer, whose parameter names do not meet."""

    def pull(dy: Value) -> tuple[Value, Grads]:
        dmid, later = second.pull(dy)
        dx, sooner = first.pull(dmid)
        return dx, {**sooner, **later}

    return Emitted(second.y, pull, {**first.state, **second.state})
