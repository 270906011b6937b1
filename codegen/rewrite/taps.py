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


def surrounded(b: Builder, y: Value, w: Window, value: float = 0.0) -> Callable[[Pair, Pair], Value]:
    """`shifted` for every tap of every phase, of one image: y is padded once as far as the farthest tap asks.

    For loops that read a pixel of each tap. Padded for each tap, IREE writes as many images as there are taps. The
    barrier keeps the tap that sees y itself out of the loop that computes y, as in `forward_depthwise`.
    """
    low, high = [0, 0], [0, 0]
    for axis in (0, 1):
        count = min(w.stride[axis], w.size[axis])
        shifts = [i for r in range(count) for _, i in _phase_taps(w, axis, r)]
        size = -(-w.size[axis] // w.stride[axis])
        low[axis] = max([0, *(-i for i in shifts)])
        high[axis] = max([0, *(i + size - y.shape[axis + 1] for i in shifts)])
    wide = b.op("barrier", b.pad(y, (0, *low, 0), (0, *high, 0), value=value))

    def at(by: Pair, size: Pair) -> Value:
        start = (by[0] + low[0], by[1] + low[1])
        return b.slice(wide, (0, *start, 0), (y.shape[0], start[0] + size[0], start[1] + size[1], y.shape[3]))

    return at


LONE = 8  # so many neighbouring phases that no tap reaches are written out one by one


def _phases(w: Window, axis: int) -> list[tuple[range, bool]]:
    """The phases of one axis in order, each with whether a tap reaches it; a long run of unreached ones is one.

    Where the stride is longer than the image there is a phase for each pixel.
    """
    count = min(w.stride[axis], w.size[axis])
    lo, s, d = w.padding[axis][0], w.stride[axis], w.dilation[axis]
    reached = sorted({r for a in range(w.kernel[axis]) if (r := (a * d - lo) % s) < count})
    found: list[tuple[range, bool]] = []
    for before, r in zip((-1, *reached), (*reached, count), strict=True):
        gap = range(before + 1, r)
        found += [(gap, False)] if len(gap) > LONE else [(range(i, i + 1), False) for i in gap]
        if r < count:
            found.append((range(r, r + 1), True))
    return found


def by_phase(b: Builder, w: Window, zero: Value, make: Callable[[list[tuple[Pair, Pair]], Pair], Value]) -> Value:
    """The gradient of an image [N, H, W, C], phase by phase.

    `make(taps with their shifts, size)` gives one phase [N, h, w, C]; `zero` is that of a phase which no tap reaches.
    The operations are as many as the phases that taps reach, whatever the stride is.
    """
    if w.stride == (1, 1):
        return make([((a, c), (i, j)) for a, i in _phase_taps(w, 0, 0) for c, j in _phase_taps(w, 1, 0)], w.size)
    height, width = w.size
    n, *size, channels = zero.shape
    rows, columns = _phases(w, 0), _phases(w, 1)
    down, across = rows[-1][0].stop, columns[-1][0].stop

    def nothing(h: int, v: int) -> Value:
        return b.constant(0.0, TensorType((n, size[0], h, size[1], v, channels), zero.type.dtype))

    lines = []
    for r, row_reached in rows:
        if len(r) > 1:
            lines.append(nothing(len(r), across))
            continue
        pieces = []
        for q, reached in columns:
            if len(q) > 1:
                pieces.append(nothing(1, len(q)))
                continue
            one = zero
            if row_reached and reached:
                pairs = [((a, c), (i, j)) for a, i in _phase_taps(w, 0, r[0]) for c, j in _phase_taps(w, 1, q[0])]
                one = make(pairs, (size[0], size[1]))
            pieces.append(b.reshape(one, (n, size[0], 1, size[1], 1, channels)))
        lines.append(b.concatenate(pieces, 4))
    whole = b.reshape(b.concatenate(lines, 2), (n, size[0] * down, size[1] * across, channels))
    return b.slice(whole, (0, 0, 0, 0), (n, height, width, channels))


def input_by_phase(
    b: Builder, op: Op, dy: Value, w: Value, make: Callable[[list[tuple[Pair, Pair]], Pair], Value]
) -> Value:
    """The result of `conv_input_grad` [N, H, W, C], phase by phase; `make` as for by_phase."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    size = tuple(-(-n // s) for n, s in zip(win.size, win.stride, strict=True))
    zero = b.constant(0.0, TensorType((dy.shape[0], *size, op.result.shape[3]), op.result.type.dtype))
    return by_phase(b, win, zero, make)
