"""Sequences of tokens in JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import (
    BatchNorm,
    Chain,
    ChannelsToTokens,
    Dense,
    Dropout,
    GlobalAvgPool,
    LearnedPositions,
    LearnedTokens,
    OnTokens,
    PreviousToken,
    SelectToken,
    SpatialFlatten,
    SpatialUnflatten,
    TakeTokens,
    TokenPositionEmbed,
)
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within
from netc.proofs_oracle.references.documents import places

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _spatial_flatten(layer: SpatialFlatten, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return jnp.concatenate([x[:, row] for row in range(x.shape[1])], axis=1), {}


def _spatial_unflatten(layer: SpatialUnflatten, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return jnp.stack(jnp.split(x, layer.height, axis=1), axis=1), {}


def _learned_tokens(layer: LearnedTokens, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    own = jnp.stack([params["tokens"]] * x.shape[0])
    return jnp.concatenate([own, x], axis=1), {}


def _learned_positions(layer: LearnedPositions, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return x + jnp.asarray(params["positions"])[places(state, x.shape[1])], {}


def _take_tokens(layer: TakeTokens, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return x[:, layer.start : layer.start + layer.count], {}


def _select_token(layer: SelectToken, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return x[:, layer.index], {}


def _previous_token(layer: PreviousToken, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    first = places(state, x.shape[1]) == 0
    before = jnp.roll(x, 1, axis=1)
    return jnp.where(jnp.broadcast_to(first, x.shape[:2])[..., None], 0.0, before), {}


def _channels_to_tokens(layer: ChannelsToTokens, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    return jnp.concatenate(jnp.split(x, layer.parts, axis=2), axis=1), {}


def _on_tokens(layer: OnTokens, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    first, others = x[:, : layer.count], x[:, layer.count :]
    seen = x if layer.whole else first
    body, new = apply(layer.body, under(params, "body"), under(state, "body"), seen, training)
    rest, own = apply(layer.rest, under(params, "rest"), under(state, "rest"), others, training)
    return jnp.concatenate([body, rest], axis=1), within("body", new) | within("rest", own)


REFERENCES = (
    Reference(
        "spatialFlatten",
        _spatial_flatten,
        (
            Case("image", SpatialFlatten(), (2, 3, 4)),
            Case("one-pixel", SpatialFlatten(), (1, 1, 3), batch=1),
            Case("one-channel", SpatialFlatten(), (3, 2, 1)),
        ),
        (BadCase(SpatialFlatten(), (4, 3), "wants [batch, H, W, C], got [batch, 4, 3]"),),
    ),
    Reference(
        "spatialUnflatten",
        _spatial_unflatten,
        (
            Case("image", SpatialUnflatten(2, 3), (6, 4)),
            Case("one-pixel", SpatialUnflatten(1, 1), (1, 3), batch=1),
            Case("there-and-back", Chain((SpatialFlatten(), SpatialUnflatten(3, 2))), (3, 2, 2)),
        ),
        (
            BadCase(SpatialUnflatten(2, 2), (6, 4), "wants 4 tokens, got [batch, 6, 4]"),
            BadCase(SpatialUnflatten(0, 2), (6, 4), "height wants a positive integer, got 0"),
        ),
    ),
    Reference(
        "learnedTokens",
        _learned_tokens,
        (
            Case("one", LearnedTokens(), (3, 4)),
            Case("more-than-given", LearnedTokens(5), (2, 3), batch=3),
            Case("batch-1", LearnedTokens(2), (1, 1), batch=1),
        ),
        (
            BadCase(LearnedTokens(0), (3, 4), "count wants a positive integer, got 0"),
            BadCase(LearnedTokens(std=1e30), (3, 4), "std wants a number of at most 1e+09, got 1e+30"),
            BadCase(LearnedTokens(std=-1.0), (3, 4), "std wants a finite number of at least 0, got -1.0"),
            BadCase(LearnedTokens(), (3, 4, 2), "wants [batch, T, D], got [batch, 3, 4, 2]; put spatialFlatten"),
        ),
    ),
    Reference(
        "learnedPositions",
        _learned_positions,
        (
            Case("sequence", LearnedPositions(), (4, 3)),
            Case("one-token", LearnedPositions(1.0), (1, 5), batch=1),
        ),
        (
            BadCase(LearnedPositions(), (4,), "wants [batch, T, D], got [batch, 4]"),
            BadCase(LearnedPositions(float("nan")), (4, 3), "std wants a finite number of at least 0, got nan"),
        ),
    ),
    Reference(
        "takeTokens",
        _take_tokens,
        (
            Case("some", TakeTokens(2), (5, 3)),
            Case("all", TakeTokens(3), (3, 2), batch=1),
            Case("from-the-second-on", TakeTokens(4, 1), (5, 3)),
            Case("in-the-middle", TakeTokens(2, 2), (6, 3)),
            Case("ids", Chain((TakeTokens(3, 1), TokenPositionEmbed(5, 2))), (5,), ids=5),
        ),
        (
            BadCase(TakeTokens(0), (3, 4), "count wants a positive integer, got 0"),
            BadCase(TakeTokens(4), (3, 4), "wants at least 4 tokens, got [batch, 3, 4]"),
            BadCase(TakeTokens(3, 1), (3, 4), "wants at least 4 tokens, got [batch, 3, 4]; lower count or start"),
            BadCase(TakeTokens(3), (2,), "wants at least 3 tokens, got [batch, 2]", "i32"),
            BadCase(TakeTokens(2, -1), (3, 4), "start wants an integer of at least 0, got -1"),
        ),
    ),
    Reference(
        "previousToken",
        _previous_token,
        (
            Case("sequence", PreviousToken(), (4, 3)),
            Case("one-token", PreviousToken(), (1, 5), batch=1),
            Case("two-back", Chain((PreviousToken(name="one"), Dense(3), PreviousToken(name="two"))), (5, 3)),
        ),
        (BadCase(PreviousToken(), (4,), "wants [batch, T, D], got [batch, 4]"),),
    ),
    Reference(
        "selectToken",
        _select_token,
        (
            Case("first", SelectToken(), (4, 3)),
            Case("middle", SelectToken(2), (4, 3)),
            Case("last", SelectToken(-1), (4, 3)),
            Case("only", SelectToken(-1), (1, 3), batch=1),
            Case("mean-instead", GlobalAvgPool(), (4, 3)),
        ),
        (
            BadCase(SelectToken(4), (4, 3), "wants index from -4 to 3, got 4"),
            BadCase(SelectToken(), (4,), "wants [batch, T, D], got [batch, 4]"),
        ),
    ),
    Reference(
        "channelsToTokens",
        _channels_to_tokens,
        (
            Case("two", ChannelsToTokens(), (3, 4)),
            Case("three", ChannelsToTokens(3), (2, 6)),
            Case("one", ChannelsToTokens(1), (3, 2), batch=1),
        ),
        (
            BadCase(ChannelsToTokens(0), (3, 4), "parts wants a positive integer, got 0"),
            BadCase(ChannelsToTokens(3), (3, 4), "wants a multiple of parts=3 channels, got [batch, 3, 4]"),
        ),
    ),
    Reference(
        "onTokens",
        _on_tokens,
        (
            Case("first", OnTokens(2, Dense(3, activation="tanh")), (5, 3)),
            Case("both", OnTokens(2, Dense(2), Dense(2, activation="swish")), (3, 4)),
            Case("whole", OnTokens(1, Dense(3), whole=True), (4, 3)),
            Case("whole-then-fewer", OnTokens(2, Chain((Dense(4), TakeTokens(2))), whole=True), (5, 4)),
            Case("with-state", OnTokens(2, BatchNorm(), BatchNorm()), (5, 3), batch=3),
            Case("drawing", OnTokens(1, Dropout(0.5), Dropout(0.5)), (5, 3)),
            Case("evaluation", OnTokens(2, BatchNorm(), Dropout(0.5)), (3, 2), training=False),
        ),
        (
            BadCase(OnTokens(0, Dense(3)), (4, 3), "count wants a positive integer, got 0"),
            BadCase(OnTokens(4, Dense(3)), (4, 3), "wants more than 4 tokens, got [batch, 4, 3]"),
            BadCase(OnTokens(2, Dense(5)), (4, 3), "wants body and rest to give tokens of one width"),
        ),
    ),
)
