"""What the forms of window operations share: the padded image, the pixels of one tap, and phases.

A tap (a, b) is one position of a window. Its pixels, for all windows at once, are a strided slice of the padded
image. The adjoint of that is written by phases: a pixel h of the image belongs to phase r = h mod s, and only the
taps with a d = r + lo (mod s) reach it, so that for each phase the gradient is a sum of plain shifts. Products have
one phase each, with no zeros in between (`input_by_phase`); loops have all phases at once (`by_shift`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

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
    def phases(self) -> Pair:
        """How many phases each axis has: as many as its stride, or as its pixels if those are fewer."""
        return min(self.stride[0], self.size[0]), min(self.stride[1], self.size[1])

    @property
    def blocks(self) -> Pair:
        """How many pixels of one phase the image has, with those that would complete the last stride."""
        return -(-self.size[0] // self.stride[0]), -(-self.size[1] // self.stride[1])

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


def shifted(b: Builder, y: Value, by: Pair, size: Pair) -> Value:
    """z[i, j] = y[i + by0, j + by1] for i, j below `size`; 0 outside y."""
    low, high, start = [0, 0], [0, 0], [0, 0]
    for axis in (0, 1):
        n = y.shape[axis + 1]
        low[axis] = max(-by[axis], 0)
        high[axis] = max(by[axis] + size[axis] - n, 0)
        start[axis] = by[axis] + low[axis]
    wide = b.pad(y, (0, *low, 0), (0, *high, 0))
    limit = (y.shape[0], start[0] + size[0], start[1] + size[1], y.shape[3])
    return b.slice(wide, (0, *start, 0), limit)


def by_shift(b: Builder, w: Window, seen: Sequence[Value], term: Callable[[Pair, list[Value]], Value]) -> Value:
    """The gradient of an image [N, H, W, C] in one loop over its pixels, for terms computed element by element.

    Pixel s i + r sees output i + t through tap r + lo - s t, where there is one. So for each pair of shifts t, `seen`
    (tensors like the output) is read at (i + t, j + u) for all phases (r, q) at once. `term(first, values)` makes
    [N, i, r, j, q, C] of these: phase (r, q) sees tap `first` + (r, q), if that is one, counted in pixels.
    Outside the output `values` are 0, and so must the term be; so it must for what is no tap.

    Each tensor is padded once: padded for each tap, IREE writes as many images as there are taps. The barrier keeps
    the tap that sees the tensor itself out of the loop that computes it, as in `forward_depthwise`.
    """
    (n, _, _, channels), phases, blocks = seen[0].shape, w.phases, w.blocks
    shifts = [sorted({t for r in range(phases[axis]) for _, t in _phase_taps(w, axis, r)}) for axis in (0, 1)]
    low = [max([0, *(-t for t in found)]) for found in shifts]
    high = [max([0, *(t + blocks[axis] - w.out[axis] for t in found)]) for axis, found in enumerate(shifts)]
    wide = [b.op("barrier", b.pad(y, (0, *low, 0), (0, *high, 0))) for y in seen]
    total: Value | None = None
    for t, u in product(*shifts):
        start, shape = (t + low[0], u + low[1]), (n, blocks[0], phases[0], blocks[1], phases[1], channels)
        limit = (n, start[0] + blocks[0], start[1] + blocks[1], channels)
        values = [
            b.broadcast(b.slice(y, (0, *start, 0), limit), TensorType(shape, y.type.dtype), (0, 1, 3, 5)) for y in wide
        ]
        one = term((w.padding[0][0] - w.stride[0] * t, w.padding[1][0] - w.stride[1] * u), values)
        total = one if total is None else b.add(total, one)
    if total is None:  # no tap sees a pixel
        return b.constant(0.0, TensorType((n, *w.size, channels), seen[-1].type.dtype))
    whole = b.reshape(total, (n, blocks[0] * phases[0], blocks[1] * phases[1], channels))
    return b.slice(whole, (0, 0, 0, 0), (n, *w.size, channels))


LONE = 8  # so many neighbouring phases that no tap reaches are written out one by one


def _phases(w: Window, axis: int) -> list[tuple[range, bool]]:
    """The phases of one axis in order, each with whether a tap reaches it; a long run of unreached ones is one.

    Where the stride is longer than the image there is a phase for each pixel.
    """
    count = w.phases[axis]
    lo, s, d = w.padding[axis][0], w.stride[axis], w.dilation[axis]
    reached = sorted({r for a in range(w.kernel[axis]) if (r := (a * d - lo) % s) < count})
    found: list[tuple[range, bool]] = []
    for before, r in zip((-1, *reached), (*reached, count), strict=True):
        gap = range(before + 1, r)
        found += [(gap, False)] if len(gap) > LONE else [(range(i, i + 1), False) for i in gap]
        if r < count:
            found.append((range(r, r + 1), True))
    return found


def input_by_phase(
    b: Builder, op: Op, dy: Value, w: Value, make: Callable[[list[tuple[Pair, Pair]], Pair], Value]
) -> Value:
    """The result of `conv_input_grad` [N, H, W, C], phase by phase.

    `make(taps with their shifts, size)` gives one phase [N, h, w, C]. The operations are as many as the phases that
    taps reach, whatever the stride is.
    """
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    if win.stride == (1, 1):
        return make([((a, c), (i, j)) for a, i in _phase_taps(win, 0, 0) for c, j in _phase_taps(win, 1, 0)], win.size)
    n, channels, dtype = dy.shape[0], op.result.shape[3], op.result.type.dtype
    size = win.blocks
    rows, columns = _phases(win, 0), _phases(win, 1)
    down, across = rows[-1][0].stop, columns[-1][0].stop

    def nothing(h: int, v: int) -> Value:
        return b.constant(0.0, TensorType((n, size[0], h, size[1], v, channels), dtype))

    lines = []
    for r, row_reached in rows:
        if len(r) > 1:
            lines.append(nothing(len(r), across))
            continue
        pieces = []
        for q, reached in columns:
            if row_reached and reached:
                pairs = [((a, c), (i, j)) for a, i in _phase_taps(win, 0, r[0]) for c, j in _phase_taps(win, 1, q[0])]
                pieces.append(b.reshape(make(pairs, size), (n, size[0], 1, size[1], 1, channels)))
            else:
                pieces.append(nothing(1, len(q)))
        lines.append(b.concatenate(pieces, 4))
    whole = b.reshape(b.concatenate(lines, 2), (n, size[0] * down, size[1] * across, channels))
    return b.slice(whole, (0, 0, 0, 0), (n, *win.size, channels))
