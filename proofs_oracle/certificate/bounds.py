"""Below what an integer argument stays: the size of what it indexes, or of the classes that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from netc.codegen.ir import Function, Op, Value

Carried = Mapping[str, int | None]  # argument -> which component of an index vector it is, None where there is one
PASSED = (
    "reshape", "broadcast", "transpose", "slice", "convert", "integer", "reverse", "barrier", "add", "sub", "max",
    "min",
)  # fmt: skip
"""Where an index goes through; `add` and `sub` as in numpy's negative indices, max and min as in a clamp."""


def bounds(function: Function) -> dict[str, int]:
    """For each integer argument that is an index or a class, the number that it stays below."""
    carried: dict[Value, Carried] = {
        v: {name: None}
        for name, v in zip(function.names, function.params, strict=True)
        if v.type.dtype.lstrip("u").startswith("i") and v.type.dtype != "i1"
    }
    classes: dict[Value, int] = {}  # values that count from 0 on, and how far
    found: dict[str, int] = {}
    for op in function.ops:
        for name, size in _met(op, carried, classes):
            found[name] = min(size, found.get(name, size))
        _count(op, classes)
        _carry(op, carried)
    return {name: size for name, size in found.items() if size > 0}


def _count(op: Op, classes: dict[Value, int]) -> None:
    if op.kind == "iota":
        classes[op.result] = op.result.shape[op.attr("dim")]
    elif op.kind == "constant" and isinstance(op.attr("value"), tuple):
        values = op.attr("value")
        if len(values) > 1 and values == tuple(range(len(values))):
            classes[op.result] = len(values)
    elif op.kind in PASSED and op.operands[0] in classes and len(op.operands) == 1:
        classes[op.result] = classes[op.operands[0]]


def _carry(op: Op, carried: dict[Value, Carried]) -> None:
    if op.result.type.dtype == "i1":
        return
    if op.kind in PASSED or op.kind == "select":
        merged: dict[str, int | None] = {}
        for v in op.operands[1:] if op.kind == "select" else op.operands:
            merged.update(carried.get(v, {}))
        if merged:
            carried[op.result] = merged
    elif op.kind == "concatenate":
        start, parts = 0, {}
        for v in op.operands:
            parts.update(dict.fromkeys(carried.get(v, {}), start))
            start += v.shape[op.attr("dim")]
        if parts:
            carried[op.result] = parts


def _met(op: Op, carried: Mapping[Value, Carried], classes: Mapping[Value, int]) -> Iterator[tuple[str, int]]:
    if op.kind == "compare" and op.attr("direction") in ("EQ", "NE"):
        for ids, others in (op.operands, op.operands[::-1]):
            if others in classes:
                yield from ((name, classes[others]) for name in carried.get(ids, {}))
    elif op.kind in SIZES:
        for ids, sizes in SIZES[op.kind](op):
            for name, component in carried.get(ids, {}).items():
                one = component is not None and component < len(sizes)
                yield name, sizes[component] if one and component is not None else min(sizes)


def _indexed(op: Op) -> Iterator[tuple[Value, list[int]]]:
    n = op.attr("numbers")
    if n.index_map:
        yield op.operands[1], [op.operands[0].shape[d] - n.sizes[d] + 1 for d in n.index_map]


def _sliced(op: Op) -> Iterator[tuple[Value, list[int]]]:
    x, part = op.operands[0], op.result if op.kind == "dynamic_slice" else op.operands[1]
    starts = op.operands[1:] if op.kind == "dynamic_slice" else op.operands[2:]
    for start, size, own in zip(starts, x.shape, part.shape, strict=True):
        yield start, [size - own + 1]


SIZES: dict[str, Callable[[Op], Iterator[tuple[Value, list[int]]]]] = {
    "gather": _indexed,
    "scatter": _indexed,
    "take": lambda op: iter([(op.operands[1], [op.operands[0].shape[0]])]),
    "take_grad": lambda op: iter([(op.operands[0], [op.attr("rows")])]),
    "add_rows": lambda op: iter([(op.operands[1], [op.operands[0].shape[0]])]),
    "dynamic_slice": _sliced,
    "dynamic_update_slice": _sliced,
}
"""Operations with computed places: the indices, and for each component how many places there are."""
