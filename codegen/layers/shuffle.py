"""Channel shuffle."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Scope, rule
from netc.netspec.layers.shuffle import ChannelShuffle


def _transposed(b: Builder, x: Value, rows: int) -> Value:
    """The last axis read as [rows, columns] and written as [columns, rows]."""
    axis, columns = len(x.shape) - 1, x.shape[-1] // rows
    split = b.reshape(x, (*x.shape[:-1], rows, columns))
    return b.reshape(b.transpose(split, (*range(axis), axis + 1, axis)), x.shape)


@rule(ChannelShuffle)
def emit_channel_shuffle(b: Builder, layer: ChannelShuffle, scope: Scope, x: Value) -> Emitted:
    """y = x with its channels, [G, C / G], as [C / G, G]."""
    y = _transposed(b, x, layer.groups)
    # dx = dy with its channels, [C / G, G], as [G, C / G]
    return Emitted(y, lambda dy: (_transposed(b, dy, x.shape[-1] // layer.groups), {}))
