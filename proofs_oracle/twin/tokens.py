"""Layers of sequences: embeddings, positions, movements of tokens, and the selective scan."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    ChannelsToTokens,
    ClassEmbed,
    LearnedPositions,
    LearnedTokens,
    PositionalEncoding,
    PreviousToken,
    SelectiveScan,
    SelectToken,
    SinusoidalPositions,
    SpatialFlatten,
    SpatialUnflatten,
    TakeTokens,
    TimeFeatures,
    TokenPositionEmbed,
)
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import tensor
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "sinusoidal_positions": '''
def sinusoidal_positions(x, base):
    """x [B, T, D] plus sin(t / base^(2i / D)) on channel 2i and the cosine on channel 2i + 1."""
    channel = jnp.arange(x.shape[2])
    angles = jnp.arange(x.shape[1])[:, None] / base ** ((channel - channel % 2) / x.shape[2])
    return x + jnp.where(channel % 2 == 0, jnp.sin(angles), jnp.cos(angles))
''',
    "image_positions": '''
def image_positions(x, base, columns):
    """x [B, T, D] plus the waves of the row on the first half of the channels, of the column on the other."""
    t = jnp.arange(x.shape[1])
    channel = jnp.arange(x.shape[2] // 2)
    speeds = base ** (-2 * (channel - channel % 2) / x.shape[2])
    angles = [place[:, None] * speeds for place in (t // columns, t % columns)]
    return x + jnp.concatenate([jnp.where(channel % 2 == 0, jnp.sin(a), jnp.cos(a)) for a in angles], -1)
''',
    "positional_encoding": '''
def positional_encoding(x, levels):
    """(sin(2^l pi x), cos(2^l pi x)) for each channel and each l below levels."""
    angles = x[..., None] * math.pi * 2.0 ** jnp.arange(levels)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(*x.shape[:-1], -1)
''',
    "time_features": '''
def time_features(t, count):
    """t [.., 1] -> sin(t w_i), then cos(t w_i), w_i = 10000^(-i / (count - 1))."""
    angles = t * 10000.0 ** (-jnp.arange(count) / max(count - 1, 1))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
''',
    "selective_scan": '''
def selective_scan(x, log_rate, step_bias, skip):
    """x [B, T, 2 E + 2 N] holds u, step, B and C: h <- exp(delta A) h + delta B u, y = C h + skip u, step by step."""
    inner, states = log_rate.shape
    u, step, b, c = jnp.split(x, (inner, 2 * inner, 2 * inner + states), -1)
    delta = jax.nn.softplus(step + step_bias)

    def advance(h, now):
        u, delta, b, c = now
        h = jnp.exp(delta[..., None] * -jnp.exp(log_rate)) * h + (delta * u)[..., None] * b[:, None]
        return h, jnp.einsum("ben,bn->be", h, c)

    start = jnp.zeros((len(x), inner, states), x.dtype)
    _, y = lax.scan(advance, start, [v.swapaxes(0, 1) for v in (u, delta, b, c)])
    return y.swapaxes(0, 1) + skip * u
''',
}


def _embed(w: Writer, layer: TokenPositionEmbed, path: str, x: TensorType) -> list[str]:
    positions = f" + {tensor(path, 'positions')}" if layer.positions else ""
    bias = f" + {tensor(path, 'bias')}" if layer.bias else ""
    return [f'jnp.take({tensor(path, "tokens")}, {{}}, axis=0, mode="clip"){positions}{bias}']


def _learned_tokens(w: Writer, layer: LearnedTokens, path: str, x: TensorType) -> list[str]:
    shape = f"({{}}.shape[0], {layer.count}, {x.shape[1]})"
    return [f"jnp.concatenate([jnp.broadcast_to({tensor(path, 'tokens')}, {shape}), {{}}], 1)"]


def _unflatten(w: Writer, layer: SpatialUnflatten, path: str, x: TensorType) -> list[str]:
    return [f"{{}}.reshape({{}}.shape[0], {layer.height}, {layer.width}, -1)"]


def _selective_scan(w: Writer, layer: SelectiveScan, path: str, x: TensorType) -> list[str]:
    return [w.call("selective_scan", "{}", *(tensor(path, name) for name in ("log_rate", "step_bias", "skip")))]


def _sinusoidal(w: Writer, layer: SinusoidalPositions, path: str, x: TensorType) -> list[str]:
    if layer.columns:
        return [w.call("image_positions", "{}", layer.base, layer.columns)]
    return [w.call("sinusoidal_positions", "{}", layer.base)]


def _class_embed(w: Writer, layer: ClassEmbed, path: str, x: TensorType) -> list[str]:
    ids = f"jnp.floor(jnp.clip({{}}[:, 0], 0, {layer.rows - 1}) + 0.5).astype(int)"
    return [f"{tensor(path, 'table')}[{ids}]"]


def _time_features(w: Writer, layer: TimeFeatures, path: str, x: TensorType) -> list[str]:
    scaled = "{}" if layer.scale == 1 else f"{layer.scale!r} * {{}}"
    return [w.call("time_features", scaled, layer.frequencies)]


LEAVES: dict[type[Layer], LeafText] = {
    TokenPositionEmbed: _embed,
    SinusoidalPositions: _sinusoidal,
    ClassEmbed: _class_embed,
    PositionalEncoding: lambda w, layer, path, x: [w.call("positional_encoding", "{}", layer.levels)],
    TimeFeatures: _time_features,
    SpatialFlatten: lambda w, layer, path, x: [f"{{}}.reshape({{}}.shape[0], -1, {x.shape[2]})"],
    SpatialUnflatten: _unflatten,
    LearnedTokens: _learned_tokens,
    LearnedPositions: lambda w, layer, path, x: [f"{{}} + {tensor(path, 'positions')}"],
    TakeTokens: lambda w, layer, path, x: [f"{{}}[:, {layer.start or ''}:{layer.start + layer.count}]"],
    PreviousToken: lambda w, layer, path, x: ["jnp.concatenate([jnp.zeros_like({}[:, :1]), {}[:, :-1]], 1)"],
    SelectToken: lambda w, layer, path, x: [f"{{}}[:, {layer.index}]"],
    ChannelsToTokens: lambda w, layer, path, x: [f"jnp.concatenate(jnp.split({{}}, {layer.parts}, -1), 1)"],
    SelectiveScan: _selective_scan,
}
