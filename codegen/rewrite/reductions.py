"""Splits long sums in two stages, so that the first can run in parallel and neither rounds much.

Touches only reduce_sum over all axes, or over all but the last; other sums stay as they are. The order of additions
changes, as it does between any two backends.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.walk import each_function, rewrite

COLUMNS_FROM = 25000  # rows above which a sum over rows is split; measured on IREE's CPU backend
WHOLE_FROM = 32768  # elements above which a sum to a scalar is split
STAGES = 64  # rows of the first stage's result
WIDEST = 1024  # at most so many partial sums of a whole tensor


def split_reductions(module: Module) -> Module:
    """The module with every long sum in two stages."""
    return each_function(module, _split)


def _split(function: Function) -> Function:
    return rewrite(function, _visit, ("reduce_sum",))


def _visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
    x, dims = operands[0], op.attr("dims")
    if len(dims) == len(x.shape):
        return _whole(b, x)
    if dims == tuple(range(len(x.shape) - 1)):
        return _columns(b, x)
    return None


def _whole(b: Builder, x: Value) -> Value | None:
    n = x.type.size
    if n < WHOLE_FROM:
        return None
    rows = next(d for d in range(WIDEST, 0, -1) if n % d == 0)
    if rows < 2:
        return None
    return b.sum(b.sum(b.reshape(x, (rows, n // rows)), (1,)), (0,))


def _columns(b: Builder, x: Value) -> Value | None:
    columns = x.shape[-1]
    rows = x.type.size // columns
    return None if rows < COLUMNS_FROM or rows % STAGES else two_stages(b, x, STAGES)


def two_stages(b: Builder, x: Value, stages: int) -> Value:
    """The sum over all axes but the last, first to `stages` rows, which divide those that there are."""
    columns = x.shape[-1]
    return b.sum(b.sum(b.reshape(x, (stages, x.type.size // columns // stages, columns)), (1,)), (0,))
