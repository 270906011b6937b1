"""Products of which an operand is larger than what a processor's last cache holds, in pieces that fit.

IREE's CPU backend walks one operand whole for each tile of the other. An operand of more than about 64 MiB then comes
from memory again and again: the head of GPT-2 ran at 80 to 120 GFLOP/s where the same product with a shorter axis runs
at 200 (docs/known-limits.md). The longest axis is cut:

    a free axis:    x y = concatenate(x1 y, x2 y, ..)
    a summed axis:  x y = x1 y1 + x2 y2 + ..

The first leaves every number as it is. The second adds in blocks, which is no worse in float32.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.types import TensorType

LARGE, PIECE = 64 << 20, 16 << 20  # bytes of an operand: above the first it is cut into pieces of about the second
NARROW = 64  # with an axis shorter than that, the product waits for memory whatever its order
MOST = 1024  # pieces of a product: one of more is left whole, for its text would not end
TILE = 16  # widths of pieces are multiples of what the backend packs together

Ints = tuple[int, ...]


def cut_long_products(module: Module, large: int = LARGE, piece: int = PIECE) -> Module:
    """The module with products of operands of more than `large` bytes as several of about `piece` bytes."""

    def change(function: Function) -> Function:
        def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
            x, y = operands
            if any(op.attr("batch")) or not _worth(x, y, op.attr("contract"), large):
                return None
            if _count(x.type, y.type, op.attr("contract"), large, piece) > MOST:
                return None
            return _product(b, x, y, op.attr("contract"), large, piece)

        return rewrite(function, visit, ("dot",))

    return each_function(module, change)


def _worth(x: Value, y: Value, contract: tuple[Ints, Ints], large: int) -> bool:
    summed = x.type.size // (free := _free(x, contract[0]))
    return max(x.type.bytes, y.type.bytes) > large and min(free, _free(y, contract[1]), summed) >= NARROW


def _free(v: Value, joined: Ints) -> int:
    size = v.type.size
    for axis in joined:
        size //= v.shape[axis]
    return size


def _cut(
    x: TensorType, y: TensorType, contract: tuple[Ints, Ints], large: int, piece: int
) -> tuple[int, int, list[tuple[int, int]]]:
    """The larger operand, 0 or 1, its longest axis, and where the pieces of that begin and end; one where it fits."""
    side = int(y.bytes > x.bytes)
    cut = (x, y)[side]
    axis = max(range(len(cut.shape)), key=cut.shape.__getitem__)
    length = cut.shape[axis]
    return side, axis, _spans(length, -(-cut.bytes // piece)) if cut.bytes > large else [(0, length)]


def _joined(side: int, axis: int, contract: tuple[Ints, Ints]) -> tuple[int | None, int | None]:
    """The axis of each operand that is cut with an axis of one."""
    if axis not in contract[side]:
        return (axis, None) if side == 0 else (None, axis)
    place = contract[side].index(axis)
    return contract[0][place], contract[1][place]


def _count(x: TensorType, y: TensorType, contract: tuple[Ints, Ints], large: int, piece: int) -> int:
    """How many products a product becomes."""
    count = 1
    while True:
        side, axis, spans = _cut(x, y, contract, large, piece)
        if len(spans) == 1:
            return count
        count *= len(spans)
        first = spans[0][1]
        x, y = (
            t if a is None else t._replace(shape=(*t.shape[:a], first, *t.shape[a + 1 :]))
            for t, a in zip((x, y), _joined(side, axis, contract), strict=True)
        )


def _product(b: Builder, x: Value, y: Value, contract: tuple[Ints, Ints], large: int, piece: int) -> Value:
    """x y with the longest axis of the larger operand cut, until no operand is large or no axis can be cut."""
    side, axis, spans = _cut(x.type, y.type, contract, large, piece)
    if len(spans) == 1:
        return b.dot(x, y, contract)
    axes = _joined(side, axis, contract)
    parts = []
    for span in spans:
        u, v = (w if a is None else _slice(b, w, a, *span) for w, a in zip((x, y), axes, strict=True))
        parts.append(_product(b, u, v, contract, large, piece))
    if None not in axes:
        return reduce(b.add, parts)
    before = sum(a not in contract[side] for a in range(axis))
    return b.concatenate(parts, before + side * (len(x.shape) - len(contract[0])))


def _spans(length: int, pieces: int) -> list[tuple[int, int]]:
    """Where the pieces of an axis begin and end."""
    width = -(-length // (pieces * TILE)) * TILE
    return [*pairwise([*range(0, length, width), length])]


def _slice(b: Builder, v: Value, axis: int, start: int, limit: int) -> Value:
    """A piece of v. One that is not contiguous is made before it is read: joined with its product, IREE refuses it."""
    low = tuple(start if a == axis else 0 for a in range(len(v.shape)))
    high = tuple(limit if a == axis else n for a, n in enumerate(v.shape))
    piece = b.slice(v, low, high)
    return b.op("barrier", piece) if any(n > 1 for n in v.shape[:axis]) else piece
