"""Sequences of tokens: movements, whose pullbacks are the inverse movements, and learned tokens."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.documents import places
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, decoding_rule, emit_part, no_pull, rule
from netc.netspec.layers.tokens import (
    ChannelsToTokens,
    LearnedPositions,
    LearnedTokens,
    OnTokens,
    PreviousToken,
    SelectToken,
    SpatialFlatten,
    SpatialUnflatten,
    TakeTokens,
)
from netc.netspec.types import TensorType


def some_tokens(b: Builder, x: Value, start: int, stop: int) -> Value:
    """Tokens start to before stop of [B, T, D], or of ids [B, T]."""
    return b.slice(x, (0, start, *(0,) * (len(x.shape) - 2)), (x.shape[0], stop, *x.shape[2:]))


def _among_zeros(b: Builder, part: Value, x: Value, start: int) -> Value:
    """The adjoint of some_tokens: zeros of x's shape, with `part` from token `start` on."""
    behind = (0,) * (len(x.shape) - 2)
    return b.pad(part, (0, start, *behind), (0, x.shape[1] - start - part.shape[1], *behind))


def tokens_from(b: Builder, x: Value, first: Value, count: int) -> Value:
    """`count` tokens of [B, T, ..] from `first` on, i32 [], which is known when it runs."""
    batch, tokens = x.shape[:2]
    rows = b.reshape(x, (batch * tokens, x.type.size // (batch * tokens)))
    start = b.mul(b.iota(0, (batch, count)), tokens)
    places = b.add(b.add(start, b.iota(1, (batch, count))), b.broadcast(first, start, ()))
    return b.reshape(b.op("take", rows, places), (batch, count, *x.shape[2:]))


def row_at(b: Builder, table: Value, place: Value) -> Value:
    """Row `place`, i32 [], of a table [rows, D]: [1, D]."""
    return b.op("take", table, b.reshape(place, (1,)))


def rows_of_places(b: Builder, scope: Scope, x: Value) -> Value:
    """The learned positions of the tokens of x while a sequence is written: [tokens, D], or [B, tokens, D]."""
    at, table = scope.decoding, scope.param("positions")
    assert at is not None
    if scope.begins is not None:
        return b.op("take", table, places(b, scope))
    return b.slice(table, (0, 0), (x.shape[1], table.shape[1])) if at.whole else row_at(b, table, at.position)


@rule(SpatialFlatten)
def emit_spatial_flatten(b: Builder, layer: SpatialFlatten, scope: Scope, x: Value) -> Emitted:
    """[B, H, W, C] -> [B, H W, C]."""
    n, height, width, channels = x.shape
    y = b.reshape(x, (n, height * width, channels))
    return Emitted(y, lambda dy: (b.reshape(dy, x.shape), {}))  # dx = dy, in x's shape


@rule(SpatialUnflatten)
def emit_spatial_unflatten(b: Builder, layer: SpatialUnflatten, scope: Scope, x: Value) -> Emitted:
    """[B, H W, C] -> [B, H, W, C]."""
    y = b.reshape(x, (x.shape[0], layer.height, layer.width, x.shape[2]))
    return Emitted(y, lambda dy: (b.reshape(dy, x.shape), {}))  # dx = dy, in x's shape


@rule(LearnedTokens)
def emit_learned_tokens(b: Builder, layer: LearnedTokens, scope: Scope, x: Value) -> Emitted:
    """y = tokens, then x."""
    batch, count, width = x.shape[0], layer.count, x.shape[2]
    own = scope.param("tokens")
    first = b.op("broadcast", own, shape=(batch, count, width), dims=(1, 2))

    def learned_tokens_pull(dy: Value) -> tuple[Value, Grads]:
        dtokens = b.sum(some_tokens(b, dy, 0, count), (0,))  # one tensor for all examples: the sum over them
        return some_tokens(b, dy, count, dy.shape[1]), {"tokens": dtokens}

    return Emitted(b.concatenate([first, x], 1), learned_tokens_pull)


@rule(LearnedPositions, apart=True)
def emit_learned_positions(b: Builder, layer: LearnedPositions, scope: Scope, x: Value) -> Emitted:
    """y = x + positions."""
    table = scope.param("positions")
    if scope.begins is not None:
        at = places(b, scope)
        y = b.add(x, b.op("take", table, at))
        return Emitted(y, lambda dy: (dy, {"positions": b.op("take_grad", at, dy, rows=table.shape[0])}))
    y = b.add(x, b.broadcast(table, x))
    return Emitted(y, lambda dy: (dy, {"positions": b.sum(dy, (0,))}))  # dpositions = sum of dy over the examples


@decoding_rule(LearnedPositions)
def decode_learned_positions(b: Builder, layer: LearnedPositions, scope: Scope, x: Value) -> Emitted:
    """The same, of the first tokens, or of one token at its own place."""
    return Emitted(b.add(x, b.broadcast(rows_of_places(b, scope, x), x)), no_pull)


@rule(TakeTokens)
def emit_take_tokens(b: Builder, layer: TakeTokens, scope: Scope, x: Value) -> Emitted:
    """y = some tokens of x."""
    y = some_tokens(b, x, layer.start, layer.start + layer.count)
    return Emitted(y, lambda dy: (_among_zeros(b, dy, x, layer.start), {}))  # dx = dy, 0 for the others


@rule(PreviousToken, apart=True)
def emit_previous_token(b: Builder, layer: PreviousToken, scope: Scope, x: Value) -> Emitted:
    """y[t] = x[t - 1], 0 where a sequence or a document begins."""
    tokens = x.shape[1]

    def begun(v: Value) -> Value:
        return v if scope.begins is None else b.select(_inside(b, scope, x), v, 0.0)

    def previous_token_pull(dy: Value) -> tuple[Value, Grads]:
        return _among_zeros(b, some_tokens(b, begun(dy), 1, tokens), x, 0), {}  # dx[t] = dy[t + 1]

    if tokens == 1:
        return Emitted(b.constant(0, x.type), lambda dy: (b.constant(0, x.type), {}))
    return Emitted(begun(_among_zeros(b, some_tokens(b, x, 0, tokens - 1), x, 1)), previous_token_pull)


def _inside(b: Builder, scope: Scope, x: Value) -> Value:
    """Whether a token of x is not the first of its document, i1 [B, T, D]."""
    at = places(b, scope)
    return b.compare("NE", b.broadcast(at, TensorType(x.shape, "i32"), (0, 1)), 0)


@decoding_rule(PreviousToken, apart=True)
def decode_previous_token(b: Builder, layer: PreviousToken, scope: Scope, x: Value) -> Emitted:
    """The same, with the last known token [B, 1, D] as state."""
    at = scope.decoding
    assert at is not None
    if at.whole:
        y = emit_previous_token(b, layer, scope, x).y
        return Emitted(y, no_pull, {"last": tokens_from(b, x, at.position, 1)})
    y = scope.running("last")
    return Emitted(y if scope.begins is None else b.select(_inside(b, scope, x), y, 0.0), no_pull, {"last": x})


@rule(SelectToken)
def emit_select_token(b: Builder, layer: SelectToken, scope: Scope, x: Value) -> Emitted:
    """y = x[index]."""
    batch, tokens, width = x.shape
    at = layer.index % tokens
    y = b.reshape(some_tokens(b, x, at, at + 1), (batch, width))

    def select_token_pull(dy: Value) -> tuple[Value, Grads]:
        return _among_zeros(b, b.reshape(dy, (batch, 1, width)), x, at), {}  # dx[index] = dy, 0 for the others

    return Emitted(y, select_token_pull)


@rule(ChannelsToTokens)
def emit_channels_to_tokens(b: Builder, layer: ChannelsToTokens, scope: Scope, x: Value) -> Emitted:
    """[B, T, P C] -> [B, P T, C]."""
    batch, tokens, width = x.shape
    parts, channels = layer.parts, width // layer.parts
    apart = b.transpose(b.reshape(x, (batch, tokens, parts, channels)), (0, 2, 1, 3))

    def channels_to_tokens_pull(dy: Value) -> tuple[Value, Grads]:
        back = b.transpose(b.reshape(dy, (batch, parts, tokens, channels)), (0, 2, 1, 3))
        return b.reshape(back, x.shape), {}  # dx = dy, moved back

    return Emitted(b.reshape(apart, (batch, parts * tokens, channels)), channels_to_tokens_pull)


@rule(OnTokens)
def emit_on_tokens(b: Builder, layer: OnTokens, scope: Scope, x: Value) -> Emitted:
    """y = body(the first tokens, or all), then rest(the others)."""
    tokens, count = x.shape[1], layer.count
    body = emit_part(b, "body", layer.body, scope, x if layer.whole else some_tokens(b, x, 0, count))
    rest = emit_part(b, "rest", layer.rest, scope, some_tokens(b, x, count, tokens))
    cut = body.y.shape[1]

    def on_tokens_pull(dy: Value) -> tuple[Value, Grads]:
        dbody, body_grads = body.pull(some_tokens(b, dy, 0, cut))
        drest, rest_grads = rest.pull(some_tokens(b, dy, cut, dy.shape[1]))
        grads = {**body_grads, **rest_grads}
        if layer.whole:
            return b.add(dbody, _among_zeros(b, drest, x, count)), grads  # dx = body*(dy_0) + rest*(dy_1) where it saw
        return b.concatenate([dbody, drest], 1), grads  # dx = body*(dy_0), then rest*(dy_1)

    return Emitted(b.concatenate([body.y, rest.y], 1), on_tokens_pull, {**body.state, **rest.state})
