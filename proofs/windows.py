"""Meanings: convolution, its gradients, pooling: sums over all pixels and taps of those that belong together."""

from __future__ import annotations

from collections.abc import Callable

from netc.codegen.ir import Op
from netc.proofs.axes import UnreadError, windowed
from netc.proofs.exported import Exported, Field, Indices, bound, one_index
from netc.proofs.terms import Term, fresh, mul, sums


def _tap(op: Op, axis: int, pixel: Term, tap: Term, out: Term) -> Term:
    """1 where the tap of the window at `out` sees the pixel: pixel + low = stride out + dilation tap."""
    stride, (low, _) = op.attr("stride")[axis], op.attr("padding")[axis]
    dilation = dict(op.attrs).get("dilation", (1, 1))[axis]
    if low < 0:
        raise UnreadError(op.loc, f"{op.kind} with negative padding")

    def scaled(index: Term, by: int) -> Term:
        return index if by == 1 else ("times", index, ("n", by))

    left = pixel if low == 0 else ("plus", pixel, ("n", low))
    return ("ind", ("equal", left, ("plus", scaled(out, stride), scaled(tap, dilation))))


def conv(e: Exported, op: Op, at: Indices) -> Term:
    """The sum over all pixels, taps and channels that belong together, of one of x, w and y that is not the result.

    y[n, p, q, g o] = sum of x[n, h, w, g i] k[a, b, i, g o] where h + low = stride p + dilation a, and so for w.
    """
    attrs = dict(op.attrs)
    if attrs.get("swap") or attrs.get("spread", (1, 1)) != (1, 1):
        raise UnreadError(op.loc, "conv of a rewritten form")
    values = windowed(op)
    which = values.index(op.result)
    made: list[dict[int, tuple[Term, ...]]] = [{}, {}, {}]
    made[which] = dict(enumerate(at))
    added: list[tuple[str, str]] = []

    def index(value: int, axis: int) -> tuple[Term, ...]:
        if axis not in made[value]:
            new, more = bound(e, values[value], (axis,))
            made[value].update(new)
            added.extend(more)
        return made[value][axis]

    X, W, Y = 0, 1, 2
    # batch and features are shared; channels of x are (group, channel of w), features (group, feature of it)
    _share(made, (X, 0), (Y, 0), index)
    if which != X:
        _share(made, (W, 3), (Y, 3), index)
    group = len(e.axes.names(values[X])[3]) - len(e.axes.names(values[W])[2])  # its factors
    if which == X:
        made[W][2] = at[3][group:]
        new, more = bound(e, values[W], (3,))
        features = (*at[3][:group], *new[3][group:])
        added.extend(more[group:])
    else:
        features = index(W, 3)
        made[X][3] = (*features[:group], *index(W, 2))
    made[W][3] = made[Y][3] = features
    for axis in (1, 2):
        for value, a in ((X, axis), (W, axis - 1), (Y, axis)):
            index(value, a)
    factors = []
    for axis in (1, 2):
        places = ((X, axis), (W, axis - 1), (Y, axis))
        factors.append(_tap(op, axis - 1, *(one_index(e, values[v], a, made[v][a]) for v, a in places)))
    read = [e.at(v, [made[n][a] for a in range(4)]) for n, v in enumerate(values) if n != which]
    return sums(tuple(added), mul(*factors, *read))


def max_pool(e: Exported, op: Op, at: Indices) -> Term:
    """y[n, p, q, c] = sum of x[n, h, w, c] where the window (p, q) takes its maximum from the pixel (h, w).

    Which pixel that is, is given: a truth value of the point for each window and pixel, for a pool and its gradient.
    """
    x = op.operands[0]
    y = op.result if op.kind == "max_pool" else op.operands[1]
    name = "P.chosen_" + e.names[y] if y in e.names else f"P.chosen_v{len(e.definitions)}"
    if op.kind == "max_pool_grad" and (name not in e.fields or e.chosen[name] != (x, op.attrs)):
        raise UnreadError(op.loc, "max_pool_grad of another pool than that of the forward pass")
    e.chosen[name] = (x, op.attrs)
    names = e.axes.names(y), e.axes.names(x)
    pixel_sizes = (*names[1][1], *names[1][2])
    sizes = (*e.axes.flat(y), *pixel_sizes)
    e.fields[name] = Field(name, sizes, "B", False, "whether a window takes its maximum from a pixel")
    if op.kind == "max_pool":
        new, made = bound(e, x, (1, 2))
        choice = ("ref", name, tuple(i for axis in (*at, new[1], new[2]) for i in axis))
        return sums(tuple(made), mul(("ind", choice), e.at(x, [at[0], new[1], new[2], at[3]])))
    new, made = bound(e, y, (1, 2))
    window = [at[0], new[1], new[2], at[3]]
    choice = ("ref", name, tuple(i for axis in (*window, at[1], at[2]) for i in axis))
    return sums(tuple(made), mul(("ind", choice), e.at(op.operands[2], window)))


def sum_pool(e: Exported, op: Op, at: Indices) -> Term:
    """y[n, p, q, c] = sum of x[n, h, w, c] over taps (a, b) and pixels: h + low = stride p + a, and so for w."""
    read = op.operands[0]
    new, made = bound(e, read, (1, 2))
    factors = []
    for axis in (1, 2):
        tap = fresh()
        made.append((tap, e.offset(op.attr("kernel")[axis - 1])[1]))
        here, there = one_index(e, op.result, axis, at[axis]), one_index(e, read, axis, new[axis])
        pixel, out = (there, here) if op.kind == "sum_pool" else (here, there)
        factors.append(_tap(op, axis - 1, pixel, ("i", tap), out))
    return sums(tuple(made), mul(*factors, e.at(read, [at[0], new[1], new[2], at[3]])))


def _share(
    made: list[dict[int, tuple[Term, ...]]],
    first: tuple[int, int],
    second: tuple[int, int],
    index: Callable[[int, int], tuple[Term, ...]],
) -> None:
    """Let two axes have one index, whichever has it first."""
    for (v, a), (w, c) in ((first, second), (second, first)):
        if a in made[v]:
            made[w][c] = made[v][a]
            return
    made[second[0]][second[1]] = index(*first)
