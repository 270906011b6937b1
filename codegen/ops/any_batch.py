"""How operations that state a shape are spelled where it is that of any batch.

A shape is then a tensor, computed once at the start of the function: `%sizes_B_28_28` of [-1, 28, 28]. Which there are
`sizes_of` says, and `started` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from netc.codegen.ops.table import Dialect, ints, mlir_type
from netc.netspec.types import TensorType

if TYPE_CHECKING:
    from netc.codegen.ir import Op

Shape = tuple[int, ...]
COUNT = mlir_type(TensorType((), "i32"))
ONE = mlir_type(TensorType((1,), "i32"))


def _times(n: int) -> str:
    """`B`, `B49`, `28`."""
    return str(n) if n >= 0 else "B" if n == -1 else f"B{-n}"


def _name(shape: Sequence[int]) -> str:
    return "%sizes_" + "_".join(map(_times, shape))


def _part(what: str, name: str) -> str:
    """The name of something that `name` is made of."""
    return f"%{what}{name[1:]}"


def _vector(shape: Sequence[int]) -> str:
    return mlir_type(TensorType((len(shape),), "i32"))


def sizes_of(op: Op) -> Iterator[Shape]:
    """The shapes that the spelling of an operation refers to."""
    for name in ("shape", "limit"):
        yield from (value for key, value in op.attrs if key == name and any(n < 0 for n in value))


def started(argument: str, type: TensorType, axis: int, shapes: Sequence[Shape], dialect: Dialect) -> list[str]:  # noqa: A002
    """The batch, which is a part of an axis of an argument, and the shapes, at the start of a function."""
    whole, t = -type.shape[axis], mlir_type(type)
    lines = [f"%{_times(-whole)} = stablehlo.get_dimension_size {argument}, dim = {axis} : ({t}) -> {COUNT}"]
    if whole > 1:
        lines += [
            f"%times = stablehlo.constant dense<{whole}> : {COUNT}",
            f"%B = stablehlo.divide %{_times(-whole)}, %times : {COUNT}",
        ]
    for n in sorted({n for shape in shapes for n in shape if n < -1 and n != -whole}, reverse=True):
        lines += [
            f"%times_{-n} = stablehlo.constant dense<{-n}> : {COUNT}",
            f"%{_times(n)} = stablehlo.multiply %B, %times_{-n} : {COUNT}",
        ]
    counts = sorted({-1, *(n for shape in shapes for n in shape if n < 0)}, reverse=True)
    for n in counts:
        lines.append(f"%only_{_times(n)} = stablehlo.reshape %{_times(n)} : ({COUNT}) -> {ONE}")
        if dialect == "iree":
            lines += [
                f"%scalar_{_times(n)} = tensor.extract %{_times(n)}[] : {COUNT}",
                f"%index_{_times(n)} = arith.index_cast %scalar_{_times(n)} : i32 to index",
            ]
    for shape in shapes:
        lines += _joined(shape)
    return lines


def _joined(shape: Shape) -> Iterator[str]:
    """The lines of a shape's tensor: its numbers and its multiples of the batch, one after the other."""
    parts, types, name = [], [], _name(shape)
    for number, own in groupby(shape, lambda n: n >= 0):
        run = list(own)
        if not number:
            parts += [f"%only_{_times(n)}" for n in run]
            types += [ONE] * len(run)
            continue
        parts.append(_part(f"part{len(parts)}_", name))
        types.append(_vector(run))
        yield f"{parts[-1]} = stablehlo.constant dense<{ints(run)}> : {types[-1]}"
    yield f"{name} = stablehlo.concatenate {', '.join(parts)}, dim = 0 : ({', '.join(types)}) -> {_vector(shape)}"


def _repeated(x: str, t: TensorType, shape: Shape, dims: Sequence[int], name: str) -> str:
    """Repetition to a shape, of which axes is said, so that no code has to look."""
    wide = [i for i, d in enumerate(dims) if t.shape[i] != shape[d]]
    kept = [i for i, d in enumerate(dims) if t.shape[i] == shape[d]]
    known = [
        f"known_{word}_dimensions = array<i64: {', '.join(map(str, axes))}>"
        for word, axes in (("expanding", wide), ("nonexpanding", kept))
        if axes
    ]
    said = f" {{{', '.join(known)}}}" if known else ""
    types = f"({mlir_type(t)}, {_vector(shape)}) -> {mlir_type(TensorType(shape, t.dtype))}"
    return f"{name} = stablehlo.dynamic_broadcast_in_dim {x}, {_name(shape)}, dims = {ints(dims)}{said} : {types}"


def broadcast(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    """`stablehlo.dynamic_broadcast_in_dim`."""
    return [_repeated(args[0], op.operands[0].type, op.attr("shape"), op.attr("dims"), name)]


def iota(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    """`stablehlo.dynamic_iota`."""
    shape, t = op.attr("shape"), mlir_type(op.result.type)
    return [f"{name} = stablehlo.dynamic_iota {_name(shape)}, dim = {op.attr('dim')} : ({_vector(shape)}) -> {t}"]


def filled(op: Op, number: str, name: str) -> list[str]:
    """A scalar, repeated."""
    scalar = TensorType((), op.result.type.dtype)
    first = f"{_part('number', name)} = stablehlo.constant dense<{number}> : {mlir_type(scalar)}"
    return [first, _repeated(f"{_part('number', name)}", scalar, op.attr("shape"), (), name)]


def share(op: Op, factor: str, times: int, name: str) -> list[str]:
    """factor / (times B), repeated where the shape is not a scalar's."""
    t, shape = mlir_type(TensorType((), op.result.type.dtype)), op.attr("shape")
    end = name if not shape else f"{_part('share', name)}"
    lines = [
        f"{_part('times', name)} = stablehlo.constant dense<{times}> : {COUNT}",
        f"{_part('count', name)} = stablehlo.multiply %B, {_part('times', name)} : {COUNT}",
        f"{_part('float', name)} = stablehlo.convert {_part('count', name)} : ({COUNT}) -> {t}",
        f"{_part('factor', name)} = stablehlo.constant dense<{factor}> : {t}",
        f"{end} = stablehlo.divide {_part('factor', name)}, {_part('float', name)} : {t}",
    ]
    if not shape:
        return lines
    if any(n < 0 for n in shape):
        return [*lines, _repeated(end, TensorType((), op.result.type.dtype), shape, (), name)]
    return [*lines, f"{name} = stablehlo.broadcast_in_dim {end}, dims = [] : ({t}) -> {mlir_type(op.result.type)}"]


def reshape(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    """`stablehlo.dynamic_reshape`; for IREE, which has none, axes that are joined and then split."""
    if dialect != "iree":
        shape = op.attr("shape")
        types = f"({mlir_type(op.operands[0].type)}, {_vector(shape)}) -> {mlir_type(op.result.type)}"
        return [f"{name} = stablehlo.dynamic_reshape {args[0]}, {_name(shape)} : {types}"]
    x, y = op.operands[0].type, op.result.type
    groups = list(_groups(x.shape, y.shape))
    joined, split = ([g[side] for g in groups] for side in (0, 1))
    middle = TensorType(tuple(math.prod(x.shape[i] for i in axes) for axes in joined), x.dtype)
    lines, held = [], args[0]
    if any(len(axes) > 1 for axes in joined):
        end = name if middle == y else f"{_part('joined', name)}"
        lines.append(
            f"{end} = tensor.collapse_shape {held} {_nested(joined)} : {mlir_type(x)} into {mlir_type(middle)}"
        )
        held = end
    if any(len(axes) > 1 for axes in split):
        sizes = ", ".join(str(n) if n >= 0 else f"%index_{_times(n)}" for n in y.shape)
        types = f"{mlir_type(middle)} into {mlir_type(y)}"
        lines.append(f"{name} = tensor.expand_shape {held} {_nested(split)} output_shape [{sizes}] : {types}")
    return lines


def _nested(groups: Sequence[Sequence[int]]) -> str:
    return "[" + ", ".join(ints(axes) for axes in groups) + "]"


def _groups(x: Shape, y: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The axes of two shapes that stand for the same elements, the fewest at a time."""
    i = j = 0
    while i < len(x) and j < len(y):
        left, right = [i], [j]
        while (p := math.prod(x[a] for a in left)) != (q := math.prod(y[a] for a in right)):
            if (abs(p), p < 0) < (abs(q), q < 0):
                left.append(left[-1] + 1)
            else:
                right.append(right[-1] + 1)
        i, j = left[-1] + 1, right[-1] + 1
        if i == len(x) or j == len(y):  # sizes of 1 are left
            left, right = [*left, *range(i, len(x))], [*right, *range(j, len(y))]
            i, j = len(x), len(y)
        yield left, right


def slice_(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    """`stablehlo.real_dynamic_slice`."""
    start, limit, stride = (op.attr(n) for n in ("start", "limit", "stride"))
    vector = _vector(limit)
    types = f"({mlir_type(op.operands[0].type)}, {vector}, {vector}, {vector}) -> {mlir_type(op.result.type)}"
    first, by = _part("start", name), _part("stride", name)
    return [
        f"{first} = stablehlo.constant dense<{ints(start)}> : {vector}",
        f"{by} = stablehlo.constant dense<{ints(stride)}> : {vector}",
        f"{name} = stablehlo.real_dynamic_slice {args[0]}, {first}, {_name(limit)}, {by} : {types}",
    ]


def barrier(op: Op, args: Sequence[str], name: str, dialect: Dialect) -> list[str]:
    """`stablehlo.optimization_barrier`; IREE's own is told the sizes."""
    t = mlir_type(op.result.type)
    if dialect != "iree":
        return [f"{name} = stablehlo.optimization_barrier {args[0]} : {t}"]
    sizes = [f"%index_{_times(n)}" for n in op.result.shape if n < 0]
    types = ", ".join([t, *["index"] * len(sizes)])
    return [f'{name} = "iree_tensor_ext.compute_barrier.start"({", ".join([args[0], *sizes])}) : ({types}) -> {t}']
