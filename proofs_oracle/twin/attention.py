"""Attention. Tiles are a way to compute it and no other function, so the script has the plain form for both."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import CrossAttend, SelfAttention
from netc.netspec.layers.attention import ROPE_BASE
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.stochastic import dropping
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "heads_first": '''
def heads_first(x, heads, groups=1):
    """[B, G T, H d] -> [B G, H, T, d]."""
    return x.reshape(x.shape[0] * groups, x.shape[1] // groups, heads, -1).swapaxes(1, 2)
''',
    "heads_last": '''
def heads_last(x, groups=1):
    """[B G, H, T, d] -> [B, G T, H d]."""
    n, heads, tokens, width = x.shape
    return x.swapaxes(1, 2).reshape(n // groups, groups * tokens, heads * width)
''',
    "attention": '''
def attention(q, k, v, bias=None, causal=False, drop=None, window=None):
    """softmax(q k^T / sqrt d + bias) v for q [N, H, T, d], k and v [N, H, S, d]; `drop` is applied to the softmax."""
    scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[3])
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = jnp.where(jnp.tri(*scores.shape[2:], dtype=bool), scores, -jnp.inf)
    if window is not None:
        scores = jnp.where(jnp.tri(*scores.shape[2:], -window, dtype=bool), -jnp.inf, scores)
    weights = jax.nn.softmax(scores)
    return (weights if drop is None else drop(weights)) @ v
''',
    "rope": '''
def rope(x, base=10000.0, scaling=()):
    """Turns the plane (i, i + d/2) of x [N, H, T, d] by the angle t / base^(2i / d) at place t, scaled."""
    tokens, width = x.shape[2:]
    speeds = 1 / base ** (jnp.arange(0, width, 2) / width)
    if len(scaling) == 1:
        speeds = speeds / scaling[0]
    elif scaling:  # Llama 3's
        factor, low, high, context = scaling
        kept = jnp.clip((context * speeds / (2 * math.pi) - low) / (high - low), 0, 1)
        speeds = kept * speeds + (1 - kept) * speeds / factor
    angles = jnp.arange(tokens)[:, None] * speeds
    u, w = jnp.split(x, 2, -1)
    return jnp.concatenate([u * jnp.cos(angles) - w * jnp.sin(angles), w * jnp.cos(angles) + u * jnp.sin(angles)], -1)
''',
    "rope_of_places": '''
def rope_of_places(x, rows, columns, base=10000.0):
    """The same where the last rows x columns tokens are an image: half the planes by the row, half by the column."""
    places, width = jnp.arange(rows * columns), x.shape[3]
    speeds = base ** (-4 * jnp.arange(width // 4) / width)
    angles = jnp.concatenate([place[:, None] * speeds for place in (places // columns, places % columns)], -1)
    angles = jnp.pad(angles, ((x.shape[2] - rows * columns, 0), (0, 0)))
    u, w = jnp.split(x, 2, -1)
    return jnp.concatenate([u * jnp.cos(angles) - w * jnp.sin(angles), w * jnp.cos(angles) + u * jnp.sin(angles)], -1)
''',
    "self_attention": '''
def self_attention(x, heads, causal=False, turn=None, groups=1, drop=None, kv_heads=None, norm=False, window=None):
    """x [B, T, (H + 2 K) d]: queries of H heads, keys and values of K; `groups` equal runs see themselves alone."""
    few = kv_heads or heads
    width = x.shape[-1] // (heads + 2 * few)
    q, k, v = jnp.split(x, (heads * width, (heads + few) * width), -1)
    q, k, v = heads_first(q, heads, groups), heads_first(k, few, groups), heads_first(v, few, groups)
    if norm:
        q, k = (part * jax.lax.rsqrt(jnp.mean(part * part, -1, keepdims=True) + 1e-6) for part in (q, k))
    if turn is not None:
        q, k = turn(q), turn(k)
    k, v = (jnp.repeat(part, heads // few, 1) for part in (k, v))
    return heads_last(attention(q, k, v, causal=causal, drop=drop, window=window), groups)
''',
    "cross_attention": '''
def cross_attention(x, heads, queries, drop=None):
    """x [B, Q + 2 S, H d]: Q queries, then S keys, then S values."""
    parts = jnp.split(x, (queries, (queries + x.shape[1]) // 2), 1)
    return heads_last(attention(*(heads_first(part, heads) for part in parts), drop=drop))
''',
}


def _turn(w: Writer, layer: SelfAttention) -> str | None:
    """The function that turns queries and keys, if any does."""
    if not layer.rope:
        return None
    function = "rope" if layer.rope_grid is None else "rope_of_places"
    w.used.add(function)
    more: list[object] = [*(layer.rope_grid or ())]
    if layer.rope_base != ROPE_BASE or layer.rope_scaling:
        more.append(layer.rope_base)
    if layer.rope_scaling:
        more.append(layer.rope_scaling)
    return f"lambda x: {function}({', '.join(map(str, ['x', *more]))})" if more else function


def _self_attention(w: Writer, layer: SelfAttention, path: str, x: TensorType) -> list[str]:
    options = {
        "causal": layer.causal, "turn": _turn(w, layer),
        "kv_heads": layer.kv_heads, "norm": layer.qk_norm, "window": layer.window or None,
        "groups": layer.groups if layer.groups > 1 else None, "drop": dropping(w, layer.dropout, path),
    }  # fmt: skip
    return [w.call("self_attention", "{}", layer.heads, **options)]


def _cross_attend(w: Writer, layer: CrossAttend, path: str, x: TensorType) -> list[str]:
    return [w.call("cross_attention", "{}", layer.heads, layer.queries, drop=dropping(w, layer.dropout, path))]


LEAVES: dict[type[Layer], LeafText] = {SelfAttention: _self_attention, CrossAttend: _cross_attend}
