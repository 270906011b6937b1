"""The combinator that gives each branch its own part of the channels."""

from __future__ import annotations

from collections.abc import Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, emit_part, rule
from netc.netspec.layer import part_names
from netc.netspec.layers.split import Split


def _cut(b: Builder, x: Value, widths: Sequence[int]) -> list[Value]:
    """Parts of these widths, side by side on the last axis."""
    axis, parts, start = len(x.shape) - 1, [], 0
    for width in widths:
        parts.append(b.slice(x, (0,) * axis + (start,), (*x.shape[:axis], start + width)))
        start += width
    return parts


@rule(Split, each_token=True)
def emit_split(b: Builder, layer: Split, scope: Scope, x: Value) -> Emitted:
    """y = the branches of x's parts side by side."""
    axis = len(x.shape) - 1
    pieces = _cut(b, x, layer.parts(x.shape[axis]))
    named = zip(part_names(layer.branches), layer.branches, pieces, strict=True)
    parts = [emit_part(b, name, branch, scope, piece) for name, branch, piece in named]

    def split_pull(dy: Value) -> tuple[Value, Grads]:
        pulled = [part.pull(own) for part, own in zip(parts, _cut(b, dy, [p.y.shape[-1] for p in parts]), strict=True)]
        grads = {name: g for _, own in pulled for name, g in own.items()}
        return b.concatenate([dx for dx, _ in pulled], axis), grads  # dx_i = branch_i*(dy_i)

    y = b.concatenate([p.y for p in parts], len(parts[0].y.shape) - 1)
    return Emitted(y, split_pull, {name: s for part in parts for name, s in part.state.items()})
