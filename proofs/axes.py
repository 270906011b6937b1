"""Sizes as variables: which axes of a program must be equally long, and which are products of others.

Axes that an operation joins are one class. A reshape that merges axes makes the class of the merged one a product, and
that is written as its factors, in row-major order, wherever it flows. So a reshape moves no number. An axis of size 1
is no axis. What is left, the factors that are no product, are the variables of a proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netc.codegen.ir import Function, Op, Value


class UnreadError(Exception):
    """An operation that has no meaning here yet: its place, a layer or a line, and what it is."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")


class CutError(Exception):
    """Two ways to cut one axis that have no common finer one."""


class Axis:
    """A class of axes: its size, and its factors where it is a product."""

    __slots__ = ("factors", "name", "parent", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.parent: Axis | None = None
        self.factors: list[Axis] | None = None
        self.name = ""

    def root(self) -> Axis:
        """What stands for the class; the way to it is one step from then on."""
        top = self
        while top.parent is not None:
            top = top.parent
        at = self
        while at.parent is not None:
            at.parent, at = top, at.parent
        return top

    def leaves(self) -> tuple[Axis, ...]:
        """The factors that are no product, outermost first; none for a size of 1."""
        top = self.root()
        if top.size == 1:
            return ()
        return (top,) if top.factors is None else tuple(x for f in top.factors for x in f.leaves())


def join(x: Axis, y: Axis) -> None:
    """Make two classes one."""
    x, y = x.root(), y.root()
    if x is y or x.size == y.size == 1:
        return
    if x.factors is not None and y.factors is not None:
        align(x.factors, y.factors)
    x.factors = x.factors or y.factors
    y.parent = x


def align(xs: Sequence[Axis], ys: Sequence[Axis]) -> None:
    """Let two products be the same, factor by factor; a factor is split where the other product has a boundary."""
    left, right = ([leaf for a in side for leaf in a.leaves()] for side in (xs, ys))
    while left and right:
        # what was split or joined meanwhile
        if len(left[0].leaves()) != 1:
            left = [*left[0].leaves(), *left[1:]]
            continue
        if len(right[0].leaves()) != 1:
            right = [*right[0].leaves(), *right[1:]]
            continue
        x, y = left[0].root(), right[0].root()
        if x.size == y.size:
            join(x, y)
            left, right = left[1:], right[1:]
        elif x.size % y.size == 0:
            x.factors = [Axis(y.size), Axis(x.size // y.size)]
        elif y.size % x.size == 0:
            y.factors = [Axis(x.size), Axis(y.size // x.size)]
        else:
            raise CutError(f"cuts an axis at {x.size} and at {y.size}, of which neither divides the other")


@contextmanager
def _at(place: str, kind: str) -> Iterator[None]:
    """Where an axis cannot be cut, the operation that would."""
    try:
        yield
    except CutError as error:
        raise UnreadError(place, f"{kind} {error}") from error


class Axes:
    """The axes of every value of a function; the values of each pair in `same` are of one shape.

    With `free` only axes of these sizes are variables, and any other is named by its number, as #3.
    """

    def __init__(
        self, function: Function, ops: Sequence[Op], same: Sequence[tuple[Value, Value]] = (),
        free: frozenset[int] | None = None,
    ) -> None:  # fmt: skip
        self._of: dict[Value, tuple[Axis, ...]] = {}
        self.convs: dict[tuple[Value, object], tuple[Value, Value, Value]] = {}
        for value in (*function.params, *(op.result for op in ops)):
            self._of[value] = tuple(Axis(n) for n in value.shape)
        for op in ops:
            with _at(op.loc, op.kind):
                JOINS.get(op.kind, _elementwise)(self, op)
        tables: dict[object, Value] = {}
        for op in ops:
            if op.kind == "constant" and isinstance(op.attr("value"), tuple):  # the same table is so in both passes
                first = tables.setdefault((op.attrs, op.loc.removesuffix(" (vjp)")), op.result)
                self._joined((first, op.result), op.loc, op.kind)
        makers = {op.result: op for op in ops}
        for pair in same:
            made = next((makers[v] for v in reversed(pair) if v in makers), None)
            self._joined(pair, made.loc if made else "a parameter", made.kind if made else "its gradient")
        while self._joined_places(ops):
            pass
        self.sizes: list[Axis] = []
        for value in (*function.params, *(op.result for op in ops)):
            for axis in self._of[value]:
                self._name(axis.leaves(), free)

    def _joined(self, pair: tuple[Value, Value], place: str, kind: str) -> None:
        """Make the axes of two values one."""
        with _at(place, kind):
            for a, b in zip(*(self._of[v] for v in pair), strict=True):
                join(a, b)

    def _name(self, leaves: Sequence[Axis], free: frozenset[int] | None) -> None:
        for leaf in leaves:
            if free is not None and leaf.size not in free:
                leaf.name = f"#{leaf.size}"
            elif not leaf.name:
                leaf.name = f"n{len(self.sizes)}"
                self.sizes.append(leaf)

    def _joined_places(self, ops: Sequence[Op]) -> bool:
        """Make one of the axes that are the same part of an axis; whether there were any."""
        seen: dict[object, Axis] = {}
        found = False
        for op in ops:
            for small, large, start, stride in cuts(self, op):
                for of, other in ((large, small), (small, large)):
                    if of.size > 1:
                        key = (of is large, tuple(map(id, of.leaves())), start, stride, other.size)
                        first = seen.setdefault(key, other)
                        found = found or first.leaves() != other.leaves()
                        with _at(op.loc, op.kind):
                            join(first, other)
        return found

    def of(self, value: Value) -> tuple[Axis, ...]:
        """The axes of a value."""
        return self._of[value]

    def names(self, value: Value) -> tuple[tuple[str, ...], ...]:
        """For each axis of a value the names of its factors."""
        return tuple(tuple(leaf.name for leaf in axis.leaves()) for axis in self._of[value])

    def flat(self, value: Value) -> tuple[str, ...]:
        """The names of the factors of all axes, in order: a value is a function of as many indices."""
        return tuple(name for names in self.names(value) for name in names)


def _elementwise(axes: Axes, op: Op) -> None:
    for x in op.operands:
        for a, b in zip(axes.of(x), axes.of(op.result), strict=True):
            join(a, b)


def _broadcast(axes: Axes, op: Op) -> None:
    out = axes.of(op.result)
    for a, dim in zip(axes.of(op.operands[0]), op.attr("dims"), strict=True):
        if a.size != 1:
            join(a, out[dim])


def _reshape(axes: Axes, op: Op) -> None:
    align(axes.of(op.operands[0]), axes.of(op.result))


def _transpose(axes: Axes, op: Op) -> None:
    for a, p in zip(axes.of(op.result), op.attr("perm"), strict=True):
        join(a, axes.of(op.operands[0])[p])


def _reduce(axes: Axes, op: Op) -> None:
    kept = [a for i, a in enumerate(axes.of(op.operands[0])) if i not in op.attr("dims")]
    for a, b in zip(kept, axes.of(op.result), strict=True):
        join(a, b)


def _dot(axes: Axes, op: Op) -> None:
    x, y = (axes.of(v) for v in op.operands)
    (cx, cy), (bx, by) = op.attr("contract"), op.attr("batch")
    for i, j in (*zip(cx, cy, strict=True), *zip(bx, by, strict=True)):
        join(x[i], y[j])
    free = [*(x[i] for i in bx), *(a for i, a in enumerate(x) if i not in (*cx, *bx))]
    for a, b in zip([*free, *(a for i, a in enumerate(y) if i not in (*cy, *by))], axes.of(op.result), strict=True):
        join(a, b)


def _cut(axes: Axes, op: Op) -> None:
    """Of a slice, a pad, a concatenation: the axes that are whole."""
    for x in op.operands:
        for i, (a, b) in enumerate(zip(axes.of(x), axes.of(op.result), strict=False)):
            if op.kind == "concatenate" and i != op.attr("dim"):
                join(a, b)
            if op.kind == "slice" and (op.attr("start")[i], op.attr("limit")[i]) == (0, a.size) and a.size == b.size:
                join(a, b)
            if op.kind == "pad" and not any(op.attr(w)[i] for w in ("low", "high", "interior")):
                join(a, b)


def cuts(axes: Axes, op: Op) -> list[tuple[Axis, Axis, int, int]]:
    """Of a slice, a pad, a concatenation: the axes that are part of another one, that one, where, and each how many."""
    if op.kind == "concatenate":
        dim, start, out = op.attr("dim"), 0, []
        for x in op.operands:
            out.append((axes.of(x)[dim], axes.of(op.result)[dim], start, 1))
            start += x.shape[dim]
        return out
    if op.kind not in ("slice", "pad"):
        return []
    small, large = (op.result, op.operands[0]) if op.kind == "slice" else (op.operands[0], op.result)
    starts = op.attr("start" if op.kind == "slice" else "low")
    strides = op.attr("stride") if op.kind == "slice" else [1 + i for i in op.attr("interior")]
    return [
        (a, b, start, stride)
        for a, b, start, stride in zip(axes.of(small), axes.of(large), starts, strides, strict=True)
        if a.root() is not b.root()
    ]


def _rows(axes: Axes, op: Op) -> None:
    """table [V, D], ids [..], rows [.., D], of which one is the result."""
    table, ids, rows = (
        (*op.operands, op.result) if op.kind == "take" else (op.result, *op.operands)
    )  # fmt: skip
    for a, b in zip((*axes.of(ids), axes.of(table)[1]), axes.of(rows), strict=True):
        join(a, b)


def _free(axes: Axes, op: Op) -> None:
    """Nothing is joined."""


def _conv(axes: Axes, op: Op) -> None:
    """x [N, H, W, G I], w [a, b, I, G O], y [N, P, Q, G O], of which one is the result."""
    x, w, y = (axes.of(v) for v in windowed(op))
    group = [Axis(op.attr("groups"))]
    join(x[0], y[0])
    align([x[3]], [*group, w[2]])
    if group[0].size > 1:
        align([w[3]], [*group, Axis(w[3].size // group[0].size)])
    join(y[3], w[3])
    # the image, the kernel and the output of a convolution are those of its gradients
    values = windowed(op)
    form = (*(v.shape for v in values), *(dict(op.attrs).get(a) for a in ("stride", "padding", "dilation", "groups")))
    for place in (0, 1):
        if values[place] is not op.result:
            for v, same in zip(values, axes.convs.setdefault((values[place], form), values), strict=True):
                for a, b in zip(axes.of(v), axes.of(same), strict=True):
                    join(a, b)


def windowed(op: Op) -> tuple[Value, Value, Value]:
    """Image, kernel and output of a convolution or of one of its gradients."""
    first, second = op.operands[:2]
    return {
        "conv": (first, second, op.result),
        "conv_input_grad": (op.result, second, first),
        "conv_kernel_grad": (first, op.result, second),
    }[op.kind]


def _pool(axes: Axes, op: Op) -> None:
    """Batch and channels are the same; x and y of a gradient are of one class with dx and dy."""
    *images, dy = (*op.operands, op.result)
    for v in images:
        join(axes.of(v)[0], axes.of(dy)[0])
        join(axes.of(v)[3], axes.of(dy)[3])
    if op.kind == "max_pool_grad":
        for a, b in zip(axes.of(op.operands[1]), axes.of(op.operands[2]), strict=True):
            join(a, b)
        for a, b in zip(axes.of(op.operands[0]), axes.of(op.result), strict=True):
            join(a, b)


JOINS = {
    **dict.fromkeys(("slice", "pad", "concatenate"), _cut), **dict.fromkeys(("take", "take_grad"), _rows),
    "broadcast": _broadcast, "reshape": _reshape, "transpose": _transpose, "dot": _dot,
    **dict.fromkeys(("constant", "iota"), _free),
    **dict.fromkeys(("reduce_sum", "reduce_max"), _reduce),
    **dict.fromkeys(("conv", "conv_input_grad", "conv_kernel_grad"), _conv),
    **dict.fromkeys(("max_pool", "max_pool_grad", "sum_pool", "sum_pool_grad"), _pool),
}  # fmt: skip
