"""Windows of an image as runs of tokens, and attention inside them."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import WindowAttention, WindowMerge, WindowPartition
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import tensor
from netc.proofs_oracle.twin.stochastic import dropping
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "to_windows": '''
def to_windows(x, w, shift=(0, 0), across=False):
    """x [B, H, W, C] -> [B, n w w, C]: filled up with zeros, moved up and left by `shift`, window by window.

    With `across` place by place: the first pixel of every window, then the next of every window.
    """
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % w), (0, -x.shape[2] % w), (0, 0)))
    batch, height, width, channels = x.shape
    x = jnp.roll(x, (-shift[0], -shift[1]), (1, 2)).reshape(batch, height // w, w, width // w, w, channels)
    return x.transpose((0, 2, 4, 1, 3, 5) if across else (0, 1, 3, 2, 4, 5)).reshape(batch, -1, channels)
''',
    "from_windows": '''
def from_windows(x, height, width, w, shift=(0, 0), across=False):
    """The way back: [B, n w w, C] -> [B, H, W, C]."""
    down, along = -(-height // w), -(-width // w)
    x = x.reshape(len(x), *((w, w, down, along) if across else (down, along, w, w)), -1)
    x = x.transpose((0, 3, 1, 4, 2, 5) if across else (0, 1, 3, 2, 4, 5)).reshape(len(x), down * w, along * w, -1)
    return jnp.roll(x, shift, (1, 2))[:, :height, :width]
''',
    "window_attention": '''
def window_attention(x, table, heads, w, rows, columns, shift=(0, 0), drop=None):
    """x [B, rows columns w w, 3 H d]; table [(2 w - 1)^2, H] has a bias for each difference of two places.

    Pixels that the shift brought together do not see each other: their scores have 100 less.
    """
    windows = rows * columns
    apart = np.arange(w)[:, None] - np.arange(w) + w - 1
    index = apart[:, None, :, None] * (2 * w - 1) + apart[None, :, None, :]
    bias = table[index.reshape(w * w, w * w)].transpose(2, 0, 1)
    if any(shift):
        top, left = (np.arange(n * w) >= n * w - s for n, s in zip((rows, columns), shift))
        region = (top[:, None] + 2 * left).reshape(rows, w, columns, w).transpose(0, 2, 1, 3).reshape(windows, w * w)
        mask = np.where(region[:, :, None] == region[:, None], 0.0, -100.0)
        bias = jnp.tile(bias + mask[:, None], (len(x), 1, 1, 1))
    q, k, v = (heads_first(part, heads, windows) for part in jnp.split(x, 3, -1))
    return heads_last(attention(q, k, v, bias, drop=drop), windows)
''',
}


def _shift(layer: WindowPartition | WindowMerge | WindowAttention) -> tuple[int, int] | None:
    return pair(layer.shift) if any(pair(layer.shift)) else None


def _partition(w: Writer, layer: WindowPartition, path: str, x: TensorType) -> list[str]:
    return [w.call("to_windows", "{}", layer.window, shift=_shift(layer), across=layer.across)]


def _merge(w: Writer, layer: WindowMerge, path: str, x: TensorType) -> list[str]:
    size = (layer.height, layer.width)
    return [w.call("from_windows", "{}", *size, layer.window, shift=_shift(layer), across=layer.across)]


def _attention(w: Writer, layer: WindowAttention, path: str, x: TensorType) -> list[str]:
    sizes = (layer.heads, layer.window, layer.rows, layer.columns)
    drop = dropping(w, layer.dropout, path)
    return [w.call("window_attention", "{}", tensor(path, "table"), *sizes, shift=_shift(layer), drop=drop)]


LEAVES: dict[type[Layer], LeafText] = {WindowPartition: _partition, WindowMerge: _merge, WindowAttention: _attention}
