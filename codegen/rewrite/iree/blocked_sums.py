"""Products that sum over a long axis, in blocks that are added up afterwards.

IREE's CPU backend adds all terms of an element of x y one after the other, whose rounding grows with the root of their
number; XLA and PyTorch sum in blocks. So a long axis of K terms becomes K / n blocks of n:

    x y = sum_i x_i y_i,   x_i y_i a product of a batch

scripts/bench_blocked_sums.py prints the errors and the time, which is not more: a kernel gradient has few elements and
many terms, and blocks are what its threads share out.
"""

from __future__ import annotations

import math

from netc.codegen.builder import Builder
from netc.codegen.ir import Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite

LONG = 1024  # terms from above which they are added in blocks
BLOCK = 512  # terms of a block, about
ROOM = 2  # a block has at least BLOCK / ROOM terms and at most ROOM BLOCK: another divisor there is not

Ints = tuple[int, ...]


def sum_in_blocks(module: Module) -> Module:
    """The module with every product over more than LONG terms as a sum of products over about BLOCK."""
    return each_function(module, lambda function: rewrite(function, _visit, ("dot",)))


def _visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
    (x, y), contract, batch = operands, op.attr("contract"), op.attr("batch")
    terms = math.prod(x.shape[axis] for axis in contract[0])
    if terms <= LONG:
        return None
    chosen = max(range(len(contract[0])), key=lambda i: x.shape[contract[0][i]])
    blocks = _blocks(x.shape[contract[0][chosen]], terms)
    if blocks is None:
        return None
    i, j = contract[0][chosen], contract[1][chosen]
    summed = (_moved(contract[0], i), _moved(contract[1], j))
    apart = ((*_moved(batch[0], i), i), (*_moved(batch[1], j), j))
    return b.sum(b.dot(_cut(b, x, i, blocks), _cut(b, y, j, blocks), summed, apart), (len(batch[0]),))


def _moved(axes: Ints, cut: int) -> Ints:
    """Where axes are after the axis `cut` became two, of which the second is the sum's."""
    return tuple(axis + (axis >= cut) for axis in axes)


def _blocks(size: int, terms: int) -> int | None:
    """The divisor of an axis of `size` by which blocks of `terms` are nearest to BLOCK; None where none is near."""
    aim = terms / BLOCK
    near = [n for n in range(2, size + 1) if size % n == 0 and aim / ROOM <= n <= aim * ROOM]
    return min(near, key=lambda n: abs(math.log(n / aim)), default=None)


def _cut(b: Builder, v: Value, axis: int, blocks: int) -> Value:
    """[.., K, ..] -> [.., blocks, K / blocks, ..]."""
    return b.reshape(v, (*v.shape[:axis], blocks, v.shape[axis] // blocks, *v.shape[axis + 1 :]))
