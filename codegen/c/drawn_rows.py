"""Draws each parameter where it lies, row by row: `init` needs no memory for all that it draws.

The rules draw all parameters as one long vector, of which each takes its part (codegen/random.py). An element of it
depends on its own number alone, so a function can make any row of any part: one function for each length of a row.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netc.codegen.builder import Builder
from netc.codegen.c.expressions import EXPRESSIONS
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.movement import Raw
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.types import TensorType

SHORTEST = 32  # elements of a row, where a parameter has as many


@dataclass(frozen=True)
class _Draw:
    """A long vector: the operations that make it, in order, and the numbers that they are given."""

    ops: tuple[Op, ...]
    given: tuple[Value, ...]


@dataclass(frozen=True)
class _Part:
    """What a parameter takes of a vector: from where on, by which number it is multiplied, and what shape it gets."""

    draw: Value
    start: int
    factor: float
    shape: tuple[int, ...]

    @property
    def row(self) -> int:
        """The elements of a row: of the last axis, or of as many as have enough."""
        lengths = [1, *(math.prod(self.shape[axis:]) for axis in reversed(range(len(self.shape))))]
        return next((n for n in lengths if n >= SHORTEST), lengths[-1])


def draw_in_rows(module: Module) -> Module:
    """The module with loops over rows in `init`, in place of the vectors."""
    made: dict[tuple[Value, int], Function] = {}
    functions = [_drawn(f, made) if f.name == "init" else f for f in module]
    return replace(module, functions=(*made.values(), *functions)) if made else module


def _drawn(function: Function, made: dict[tuple[Value, int], Function]) -> Function:
    makers = {op.result: op for op in function.ops}
    parts = _parts(function, makers)
    draws = {draw: _draw(draw, makers) for draw in {part.draw for part in parts.values()}}

    def visit(b: Builder, op: Op, _: tuple[Value, ...]) -> Value | None:
        part = parts.get(op.result)
        draw = draws[part.draw] if part is not None else None
        if part is None or draw is None:
            return None
        key, size = (part.draw, part.row), math.prod(part.shape)
        if key not in made:
            made[key] = _rows(f"init_rows{len(made) + 1}", part.draw, part.row, draw)
        factor = b.scalar(part.factor, part.draw.type.dtype)
        first = b.scalar(part.start, "ui32")
        found = b.loop(made[key], size // part.row, [first], constants=[factor, *draw.given], apart=False)
        return b.reshape(found[-1], (size,))

    return rewrite(function, visit, ("slice", "mul"))


def _parts(function: Function, makers: Mapping[Value, Op]) -> dict[Value, _Part]:
    """The parts of vectors, by the value that has one: the slice, or its product with a number."""
    users: dict[Value, list[Op]] = defaultdict(list)
    for op in function.ops:
        for v in op.operands:
            users[v].append(op)
    found = {}
    for op in function.ops:
        maker = makers.get(op.operands[0]) if op.kind == "slice" else None
        if maker is None or maker.kind not in EXPRESSIONS or op.result.type.rank != 1 or op.attr("stride") != (1,):
            continue
        if op.result.type.size == 0:
            continue
        v, factor = op.result, 1.0
        if len(users[v]) == 1 and (by := _factor(users[v][0], v, makers)) is not None:
            v, factor = users[v][0].result, by
        shapes = [user.result.shape for user in users[v] if user.kind == "reshape"]
        found[v] = _Part(op.operands[0], op.attr("start")[0], factor, shapes[0] if shapes else v.shape)
    return found


def _factor(op: Op, v: Value, makers: Mapping[Value, Op]) -> float | None:
    """The number by which an operation multiplies a value."""
    if op.kind != "mul" or op.operands[0] is not v:
        return None
    by = makers.get(op.operands[1])
    return float(by.attr("value")) if by is not None and _filled(by) else None


def _draw(v: Value, makers: Mapping[Value, Op]) -> _Draw | None:
    """How a vector is made, where an element of it depends on its own number alone."""
    ops: dict[Op, None] = {}
    given: dict[Value, None] = {}
    left, reached = [v], set[Value]()
    while left:
        op = makers.get(value := left.pop())
        if value in reached:
            continue
        reached.add(value)
        if op is None or op.result.shape != v.shape:
            return None
        ops[op] = None
        if op.kind == "broadcast" and op.operands[0].shape == ():
            given[op.operands[0]] = None
        elif op.kind in EXPRESSIONS:
            left += op.operands
        elif not (op.kind == "iota" and op.result.type.dtype == "ui32") and not _filled(op):
            return None
    order = {op: n for n, op in enumerate(makers.values())}
    return _Draw(tuple(sorted(ops, key=order.__getitem__)), tuple(given))


def _filled(op: Op) -> bool:
    """Whether an operation is one number, everywhere."""
    return op.kind == "constant" and not isinstance(op.attr("value"), tuple | Raw)


def _rows(name: str, v: Value, row: int, draw: _Draw) -> Function:
    """(begin, factor, given..) -> (begin + row, `row` elements of the vector from `begin` on, times the factor)."""
    b = Builder(name)
    b.place("init")
    begin = b.parameter("begin", TensorType((), "ui32"))
    factor = b.parameter("factor", TensorType((), v.type.dtype))
    new = {value: b.parameter(f"word{n}", value.type) for n, value in enumerate(draw.given)}
    for op in draw.ops:
        t = TensorType((row,), op.result.type.dtype)
        if op.kind == "iota":
            number = b.iota(0, t.shape, "ui32")
            new[op.result] = b.add(number, b.broadcast(begin, number, ()))
        elif op.kind == "constant":
            new[op.result] = b.constant(op.attr("value"), t)
        elif op.kind == "broadcast":
            new[op.result] = b.op("broadcast", new[op.operands[0]], shape=t.shape, dims=())
        else:
            operands = tuple(new[value] for value in op.operands)
            (new[op.result],) = b.again(op.kind, operands, dict(op.attrs))
    drawn = b.mul(new[v], b.broadcast(factor, new[v], ()))
    results = [("begin_out", b.add(begin, b.scalar(row, "ui32"))), ("rows", drawn)]
    return replace(b.finish(results), private=True)
