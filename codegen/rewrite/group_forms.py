"""Forms of grouped convolutions as one product a tap, the groups its batch axis.

For GPU targets: IREE 3.12 computes a `stablehlo.convolution` with `feature_group_count` wrong on Vulkan (see
docs/upstream-issues/grouped-convolution-vulkan.md), which `netc oracle --target vulkan` found.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.taps import input_by_phase, padded, shifted, view, window_of


def _split(b: Builder, x: Value, groups: int) -> Value:
    """[.., G C] -> [rows, G, C]."""
    channels = x.shape[-1] // groups
    return b.reshape(x, (x.type.size // x.shape[-1], groups, channels))


def _tap(b: Builder, w: Value, tap: Pair, groups: int) -> Value:
    """[kh, kw, I, G O] -> [I, G, O]."""
    a, c = tap
    one = b.slice(w, (a, c, 0, 0), (a + 1, c + 1, *w.shape[2:]))
    return b.reshape(one, (w.shape[2], groups, w.shape[3] // groups))


def _joined(b: Builder, y: Value, shape: tuple[int, ...]) -> Value:
    """[G, rows, C] -> [.., G C]."""
    return b.reshape(b.transpose(y, (1, 0, 2)), shape)


def forward_grouped(b: Builder, op: Op, x: Value, w: Value) -> Value:
    """y[r, g o] = sum over taps of x[tap][r, g, i] w[tap][i, g, o]."""
    win, groups = window_of(op, x.shape[1:3], op.result.shape[1:3], w.shape[:2]), op.attr("groups")
    image, y = padded(b, x, win), None
    for tap in win.positions:
        rows = _split(b, view(b, image, win, tap), groups)
        term = b.dot(rows, _tap(b, w, tap, groups), ((2,), (0,)), ((1,), (1,)))
        y = term if y is None else b.add(y, term)
    assert y is not None  # a window has at least one tap
    return _joined(b, y, op.result.shape)


def input_grouped(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """For each phase dx[r, g i] = sum over its taps of dy[shifted][r, g, o] w[tap][i, g, o]."""
    groups, channels = op.attr("groups"), op.result.shape[3]

    def phase(pairs: list[tuple[Pair, Pair]], size: Pair) -> Value:
        total: Value | None = None
        for tap, shift in pairs:
            rows = _split(b, shifted(b, dy, shift, size), groups)
            term = b.dot(rows, _tap(b, w, tap, groups), ((2,), (2,)), ((1,), (1,)))
            total = term if total is None else b.add(total, term)
        assert total is not None  # input_by_phase asks only for phases that a tap reaches
        return _joined(b, total, (dy.shape[0], *size, channels))

    return input_by_phase(b, op, dy, w, phase)
