"""What the forms of window operations share: the padded image, the pixels of one tap, and phases.

A tap (a, b) is one position of a window. Its pixels, for all windows at once, are a strided slice of the padded
image. The adjoint of that is written by phases: a pixel h of the image belongs to phase r = h mod s, and only the
taps with a d = r + lo (mod s) reach it, so that for each phase the gradient is a sum of plain shifts, with no zeros
in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Op, Value
from netc.codegen.ops.window import Pair, Sides, tap_bounds, taps
from netc.netspec.types import TensorType


@dataclass(frozen=True)
class Window:
    """The geometry of one op: image and output sizes, kernel, stride, padding, dilation."""

    size: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair

    @property
    def positions(self) -> list[Pair]:
        """The taps in row-major order."""
        return list(taps(self.kernel))

    @property
    def plain(self) -> bool:
        """Whether a 1x1 window looks at every pixel once."""
        return self.kernel == self.stride == (1, 1) and self.padding == ((0, 0), (0, 0))


def window_of(op: Op, size: tuple[int, ...], out: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """The geometry of `op`, whose image and output have these (H, W)."""
    dilation = dict(op.attrs).get("dilation", (1, 1))
    return Window(
        (size[0], size[1]), (out[0], out[1]), (kernel[0], kernel[1]), op.attr("stride"), op.attr("padding"), dilation
    )


def padded(b: Builder, x: Value, w: Window, value: float = 0.0) -> Value:
    """[N, H, W, C] with the padding around it."""
    (t, bottom), (left, r) = w.padding
    return b.pad(x, (0, t, left, 0), (0, bottom, r, 0), value=value)


def view(b: Builder, image: Value, w: Window, tap: Pair) -> Value:
    """The pixels of one tap in the padded image: [N, P, Q, C]."""
    (a, c), (e, f) = tap_bounds(tap, w.out, w.stride, w.dilation)
    n, _, _, channels = image.shape
    return b.slice(image, (0, a, c, 0), (n, e, f, channels), (1, *w.stride, 1))


def place(b: Builder, piece: Value, w: Window, tap: Pair) -> Value:
    """The adjoint of `padded` then `view`: [N, P, Q, C] -> [N, H, W, C], zero where the tap sees nothing."""
    start, limit = tap_bounds(tap, w.out, w.stride, w.dilation)
    low = [s - lo for s, (lo, _) in zip(start, w.padding, strict=True)]
    high = [n + lo - e for n, (lo, _), e in zip(w.size, w.padding, limit, strict=True)]
    return b.pad(piece, (0, *low, 0), (0, *high, 0), (0, w.stride[0] - 1, w.stride[1] - 1, 0))


def _phase_taps(w: Window, axis: int, r: int) -> Iterator[tuple[int, int]]:
    """(tap, shift) along one axis for the pixels of phase r: pixel s i + r sees output i + shift through the tap."""
    lo, s, d = w.padding[axis][0], w.stride[axis], w.dilation[axis]
    for a in range(w.kernel[axis]):
        if (r + lo - a * d) % s == 0:
            yield a, (r + lo - a * d) // s


def shifted(b: Builder, y: Value, by: Pair, size: Pair, value: float = 0.0) -> Value:
    """z[i, j] = y[i + by0, j + by1] for i, j below `size`; `value` outside y."""
    low, high, start = [0, 0], [0, 0], [0, 0]
    for axis in (0, 1):
        n = y.shape[axis + 1]
        low[axis] = max(-by[axis], 0)
        high[axis] = max(by[axis] + size[axis] - n, 0)
        start[axis] = by[axis] + low[axis]
    wide = b.pad(y, (0, *low, 0), (0, *high, 0), value=value)
    limit = (y.shape[0], start[0] + size[0], start[1] + size[1], y.shape[3])
    return b.slice(wide, (0, *start, 0), limit)


def by_phase(b: Builder, w: Window, zero: Value, make: Callable[[list[tuple[Pair, Pair]], Pair], Value]) -> Value:
    """The gradient of an image [N, H, W, C], phase by phase.

    `make(taps with their shifts, size)` gives one phase [N, h, w, C]; `zero` is that of a phase which no tap reaches.
    """
    (sh, sw), (height, width) = w.stride, w.size
    size = (-(-height // sh), -(-width // sw))
    rows = []
    for r in range(sh):
        columns = []
        for q in range(sw):
            pairs = [((a, c), (i, j)) for a, i in _phase_taps(w, 0, r) for c, j in _phase_taps(w, 1, q)]
            columns.append(make(pairs, size) if pairs else zero)
        rows.append(columns)
    if w.stride == (1, 1):
        return rows[0][0]
    n, _, _, c = zero.shape
    one = (n, size[0], 1, size[1], 1, c)
    lines = [b.concatenate([b.reshape(p, one) for p in columns], 4) for columns in rows]
    whole = b.reshape(b.concatenate(lines, 2), (n, size[0] * sh, size[1] * sw, c))
    return b.slice(whole, (0, 0, 0, 0), (n, height, width, c))


def input_by_phase(
    b: Builder, op: Op, dy: Value, w: Value, make: Callable[[list[tuple[Pair, Pair]], Pair], Value]
) -> Value:
    """The result of `conv_input_grad` [N, H, W, C], phase by phase; `make` as for by_phase."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    size = tuple(-(-n // s) for n, s in zip(win.size, win.stride, strict=True))
    zero = b.constant(0.0, TensorType((dy.shape[0], *size, op.result.shape[3]), op.result.type.dtype))
    return by_phase(b, win, zero, make)
