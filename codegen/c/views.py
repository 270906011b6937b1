"""Views: how a value is read out of the memory of another one, so that movement of data costs nothing.

A view is an offset and a stride for each axis, in elements, of a root: the value whose memory is read. The root None
stands for counting: the element is its own address. Reshapes that no strides can say are None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from netc.codegen.ir import Op, Value

Ints = tuple[int, ...]
VARIABLES = "ijklmnopqr"  # of loops, the outermost first


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Element (i, j, ..) is at offset + i strides[0] + j strides[1] + .. of the root's memory."""

    root: Value | None
    shape: Ints
    strides: Ints
    offset: int = 0

    @property
    def whole(self) -> bool:
        """Whether it reads the root in order, each element once."""
        return self.root is not None and self.contiguous and math.prod(self.shape) == self.root.type.size

    @property
    def contiguous(self) -> bool:
        """Whether its elements lie in order, one after the other, from the root's first."""
        own = row_major(self.shape)
        return self.offset == 0 and all(n == 1 or s == o for n, s, o in zip(self.shape, self.strides, own, strict=True))

    @property
    def dense(self) -> bool:
        """Whether its elements lie in order, one after the other, from anywhere."""
        own = row_major(self.shape)
        return all(n == 1 or s == o for n, s, o in zip(self.shape, self.strides, own, strict=True))


@dataclass(frozen=True, slots=True)
class Uniform:
    """One number everywhere."""

    value: float | int | bool


Source = View | Uniform


def row_major(shape: Ints) -> Ints:
    """The strides of a tensor that lies in order."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def of_root(v: Value) -> View:
    """A value as it lies in its own memory."""
    return View(v, v.shape, row_major(v.shape))


def broadcast(x: View, op: Op) -> View:
    """Axes that repeat do not move."""
    strides = [0] * len(op.result.shape)
    for axis, size, stride in zip(op.attr("dims"), x.shape, x.strides, strict=True):
        strides[axis] = stride if size > 1 else 0
    return View(x.root, op.result.shape, tuple(strides), x.offset)


def transpose(x: View, op: Op) -> View:
    """The axes in another order."""
    return View(x.root, op.result.shape, tuple(x.strides[p] for p in op.attr("perm")), x.offset)


def slice_(x: View, op: Op) -> View:
    """From another element, with longer strides."""
    start, step = op.attr("start"), op.attr("stride")
    offset = x.offset + sum(a * s for a, s in zip(start, x.strides, strict=True))
    return View(x.root, op.result.shape, tuple(s * t for s, t in zip(x.strides, step, strict=True)), offset)


def reverse(x: View, op: Op) -> View:
    """From the last element, backwards."""
    dims = op.attr("dims")
    offset = x.offset + sum((x.shape[d] - 1) * x.strides[d] for d in dims)
    return View(x.root, x.shape, tuple(-s if d in dims else s for d, s in enumerate(x.strides)), offset)


def reshape(x: View, op: Op) -> View | None:
    """Other axes over the same elements; None where no strides say that."""
    strides = _reshaped(x, op.result.shape)
    return None if strides is None else View(x.root, op.result.shape, strides, x.offset)


def _reshaped(x: View, shape: Ints) -> Ints | None:
    """Axes are split and joined in groups of equal size; an axis of size 1 has any stride."""
    old = [(n, s) for n, s in zip(x.shape, x.strides, strict=True) if n != 1]
    new = [n for n in shape if n != 1]
    if 0 in shape:
        return row_major(shape)
    found: list[int] = []
    while old or new:
        group, wanted = [old.pop(0)], [new.pop(0)]
        while math.prod(n for n, _ in group) != math.prod(wanted):
            if math.prod(n for n, _ in group) < math.prod(wanted):
                group.append(old.pop(0))
            else:
                wanted.append(new.pop(0))
        if any(s != t * m for (_, s), (m, t) in pairwise(group)):
            return None
        found += [s * group[-1][1] for s in row_major(tuple(wanted))]
    rest = iter(found)
    return tuple(0 if n == 1 else next(rest) for n in shape)


def same(x: View, op: Op) -> View:
    """The operand itself."""
    return x


# op -> the view that its result is of its operand
VIEWS = {
    "broadcast": broadcast, "transpose": transpose, "slice": slice_, "reverse": reverse, "reshape": reshape,
    "barrier": same,
}  # fmt: skip


def sources(op: Op, found: dict[Value, Source]) -> bool:
    """Add where the results of an op are read; True if it only moves or fills, and there is nothing to compute."""
    if op.kind == "constant" and not hasattr(op.attr("value"), "data") and not isinstance(op.attr("value"), tuple):
        found[op.result] = Uniform(op.attr("value"))
        return True
    if op.kind == "iota":
        found[op.result] = View(
            None, op.result.shape, tuple(int(d == op.attr("dim")) for d in range(op.result.type.rank))
        )
        return True
    if op.kind == "joint_barrier":
        found.update({v: found[x] for v, x in zip(op.results, op.operands, strict=True)})
        return True
    if op.kind == "loop":
        found[op.result] = Uniform(op.attr("trips"))
        found.update({v: of_root(v) for v in op.extra_results})
        return False
    if op.kind not in VIEWS:
        found.update({v: of_root(v) for v in op.results})
        return False
    operand = found[op.operands[0]]
    moved = operand if isinstance(operand, Uniform) else VIEWS[op.kind](operand, op)
    if moved is None:
        found[op.result] = of_root(op.result)
        return False
    found[op.result] = moved
    return True


def index_of(strides: Sequence[int], offset: int = 0) -> str:
    """`64 + i * 10 + j`."""
    terms = [v if s == 1 else f"{v} * {s}" for v, s in zip(VARIABLES, strides, strict=False) if s > 0]
    text = " + ".join(([str(offset)] if offset or not terms else []) + terms)
    for v, s in zip(VARIABLES, strides, strict=False):
        text += "" if s >= 0 else f" - {v}" if s == -1 else f" - {v} * {-s}"
    return text
