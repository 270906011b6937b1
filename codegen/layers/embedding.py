"""Token ids in, logits over tokens out, and encodings of positions."""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.documents import places
from netc.codegen.ir import Value
from netc.codegen.layers.tokens import rows_of_places, tokens_from
from netc.codegen.rules import Emitted, Grads, Scope, decoding_rule, emit, emit_part, example, no_pull, rule
from netc.netspec.errors import UserError
from netc.netspec.layer import expanded
from netc.netspec.layers.embedding import (
    ClassEmbed,
    LMHead,
    PositionalEncoding,
    SinusoidalPositions,
    TiedHead,
    TokenPositionEmbed,
)
from netc.netspec.types import DType, TensorType


@rule(TokenPositionEmbed, apart=True)
def emit_token_position_embed(b: Builder, layer: TokenPositionEmbed, scope: Scope, x: Value) -> Emitted:
    """y[n, t] = tokens[x[n, t]] + positions[t] + bias."""
    y = b.op("take", scope.param("tokens"), x)
    at = places(b, scope) if layer.positions and scope.begins is not None else None
    if at is not None:
        y = b.add(y, b.op("take", scope.param("positions"), at))
    elif layer.positions:
        y = b.add(y, b.broadcast(scope.param("positions"), y))
    if layer.bias:
        y = b.add(y, b.broadcast(scope.param("bias"), y))

    def embed_pull(dy: Value) -> tuple[Value, Grads]:
        grads = {"tokens": b.op("take_grad", x, dy, rows=layer.vocabulary)}  # dtokens[v] = sum of dy where x = v
        if at is not None:
            grads["positions"] = b.op("take_grad", at, dy, rows=x.shape[1])  # the sum of dy where the place is t
        elif layer.positions:
            grads["positions"] = b.sum(dy, (0,))  # dpositions[t] = sum over n of dy[n, t]
        if layer.bias:
            grads["bias"] = b.sum(dy, (0, 1))  # dbias = sum over n and t of dy[n, t]
        return b.constant(0.0, TensorType(x.shape, dy.type.dtype)), grads  # an integer has no gradient

    return Emitted(y, embed_pull)


@rule(ClassEmbed)
def emit_class_embed(b: Builder, layer: ClassEmbed, scope: Scope, x: Value) -> Emitted:
    """y[n] = table[round(x[n, 0])]."""
    within = b.minimum(b.maximum(x, 0.0), layer.rows - 1.0)  # so that every backend can make an integer of it
    ids = b.reshape(b.convert(b.add(within, 0.5), "i32"), x.shape[:1])

    def class_pull(dy: Value) -> tuple[Value, Grads]:
        dtable = b.op("take_grad", ids, dy, rows=layer.rows)  # dtable[v] = sum of dy where the id is v
        return b.constant(0.0, x.type), {"table": dtable}  # a step function has no gradient

    return Emitted(b.op("take", scope.param("table"), ids), class_pull)


@decoding_rule(TokenPositionEmbed)
def decode_token_position_embed(b: Builder, layer: TokenPositionEmbed, scope: Scope, x: Value) -> Emitted:
    """The same, of the first tokens, or of one token at its own place."""
    if not layer.positions:
        return emit_token_position_embed(b, layer, scope, x)
    y = b.op("take", scope.param("tokens"), x)
    y = b.add(y, b.broadcast(rows_of_places(b, scope, x), y))
    return Emitted(b.add(y, b.broadcast(scope.param("bias"), y)) if layer.bias else y, no_pull)


@rule(TiedHead, apart=True)
def emit_tied_head(b: Builder, layer: TiedHead, scope: Scope, x: Value) -> Emitted:
    """logits = h Eᵀ, h = body(embed(x)), E the embedding's matrix."""
    embed = emit_part(b, "embed", layer.embed, scope, x)
    body = emit_part(b, "body", layer.body, scope, embed.y)
    matrix = scope.param("embed.tokens")
    h = b.reshape(body.y, (body.y.type.size // body.y.shape[-1], body.y.shape[-1]))
    logits = b.reshape(b.dot(h, matrix, (1, 1)), (*body.y.shape[:-1], matrix.shape[0]))

    def tied_head_pull(dy: Value) -> tuple[Value, Grads]:
        d = b.reshape(dy, (h.shape[0], matrix.shape[0]))
        dh, body_grads = body.pull(b.reshape(b.dot(d, matrix, (1, 0)), body.y.shape))  # dh = dy E
        dx, embed_grads = embed.pull(dh)
        both = b.add(embed_grads["embed.tokens"], b.dot(d, h, (0, 0)))  # dE = embed*(..) + dyᵀ h
        return dx, {**body_grads, **embed_grads, "embed.tokens": both}

    return Emitted(logits, tied_head_pull, {**embed.state, **body.state})


@decoding_rule(TiedHead)
def decode_tied_head(b: Builder, layer: TiedHead, scope: Scope, x: Value) -> Emitted:
    """The logits of the last known token alone, [B, 1, vocabulary]: of a long context the others would cost most."""
    assert scope.decoding is not None
    embed = emit_part(b, "embed", layer.embed, scope, x)
    body = emit_part(b, "body", layer.body, scope, embed.y)
    h = tokens_from(b, body.y, scope.decoding.position, 1) if scope.decoding.whole else body.y
    matrix = scope.param("embed.tokens")
    logits = b.dot(b.reshape(h, (h.shape[0], h.shape[2])), matrix, (1, 1))
    return Emitted(b.reshape(logits, (h.shape[0], 1, matrix.shape[0])), no_pull, {**embed.state, **body.state})


@decoding_rule(LMHead, apart=True)
def decode_lm_head(b: Builder, layer: LMHead, scope: Scope, x: Value) -> Emitted:
    """The logits of the last known token alone, as of a tied head."""
    assert scope.decoding is not None
    h = tokens_from(b, x, scope.decoding.position, 1) if scope.decoding.whole else x
    return emit(b, expanded(layer, example(h)), scope, h)


@rule(SinusoidalPositions, apart=True)
def emit_sinusoidal_positions(b: Builder, layer: SinusoidalPositions, scope: Scope, x: Value) -> Emitted:
    """y = x + p with p made in the program: a table of T D literals would be longer than all else."""
    p = _places(b, layer, x)
    if scope.begins is not None:
        p = b.op("take", p, places(b, scope))
    return Emitted(b.add(x, b.broadcast(p, x)), lambda dy: (dy, {}))  # p is a constant: dx = dy


def _places(b: Builder, layer: SinusoidalPositions, x: Value) -> Value:
    """p [T, D] for x [B, T, D]."""
    tokens, width = x.shape[1:]
    if not layer.columns:
        return _waves(b, layer, (tokens, width), x.type.dtype)
    shape = TensorType((tokens // layer.columns, layer.columns, width // 2), x.type.dtype)
    halves = [
        b.broadcast(_waves(b, layer, (shape.shape[axis], width // 2), x.type.dtype), shape, (axis, 2))
        for axis in (0, 1)
    ]
    return b.reshape(b.concatenate(halves, 2), (tokens, width))


def _waves(
    b: Builder, layer: SinusoidalPositions, shape: tuple[int, ...], dtype: DType, place: Value | None = None
) -> Value:
    """p [T, D], or [1, D] at a place i32 []."""
    channel = b.iota(1, shape)
    even = b.op("xor", channel, b.op("and", channel, b.constant(1, channel.type)))  # 2i for channels 2i and 2i + 1
    exponent = b.mul(b.convert(even, dtype), -math.log(layer.base) / shape[1])
    places = b.iota(0, shape, dtype) if place is None else b.broadcast(b.convert(place, dtype), exponent, ())
    angle = b.mul(places, b.unary("exp", exponent))
    return b.select(b.compare("EQ", channel, even), b.unary("sin", angle), b.unary("cos", angle))


@decoding_rule(SinusoidalPositions)
def decode_sinusoidal_positions(b: Builder, layer: SinusoidalPositions, scope: Scope, x: Value) -> Emitted:
    """The same, of one token at its own place."""
    assert scope.decoding is not None
    if layer.columns:
        raise UserError(
            f"a sampler wants positions along a line, got {layer.kind} with columns ({scope.prefix.rstrip('.')}); "
            "leave columns out"
        )
    if scope.decoding.whole:
        return emit_sinusoidal_positions(b, layer, scope, x)
    if scope.begins is not None:
        whole = _waves(b, layer, (scope.decoding.context, x.shape[2]), x.type.dtype)
        return Emitted(b.add(x, b.op("take", whole, places(b, scope))), no_pull)
    p = _waves(b, layer, x.shape[1:], x.type.dtype, scope.decoding.position)
    return Emitted(b.add(x, b.broadcast(p, x)), no_pull)


@rule(PositionalEncoding)
def emit_positional_encoding(b: Builder, layer: PositionalEncoding, scope: Scope, x: Value) -> Emitted:
    """y = (sin w x, cos w x) for each frequency w = 2^l π."""
    rank, wide = len(x.shape), TensorType((*x.shape, layer.levels), x.type.dtype)
    octaves = tuple(math.pi * 2.0**level for level in range(layer.levels))
    w = b.broadcast(b.constant(octaves, TensorType((layer.levels,), x.type.dtype)), wide)
    angle = b.mul(b.broadcast(x, wide, tuple(range(rank))), w)
    s, c = b.unary("sin", angle), b.unary("cos", angle)
    pair = (*wide.shape, 1)
    y = b.concatenate([b.reshape(s, pair), b.reshape(c, pair)], rank + 1)

    def encoding_pull(dy: Value) -> tuple[Value, Grads]:
        d = b.reshape(dy, y.shape)
        zeros = (0,) * (rank + 1)
        ds, dc = (b.reshape(b.slice(d, (*zeros, i), (*wide.shape, i + 1)), wide.shape) for i in (0, 1))
        # dx = sum over w of w (ds cos(w x) - dc sin(w x))
        return b.sum(b.mul(w, b.sub(b.mul(ds, c), b.mul(dc, s))), (rank,)), {}

    return Emitted(b.reshape(y, (*x.shape[:-1], 2 * x.shape[-1] * layer.levels)), encoding_pull)
