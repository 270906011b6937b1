"""The C of every operation that is no loop over elements: a call of a function of support/, for each row of the op
table.

A statement gets the operation and the function that it stands in, and gives lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from netc.codegen.c.callers import Caller, Statement
from netc.codegen.c.expressions import C_TYPES, number, suffix
from netc.codegen.c.operands import free_axes, stride_over
from netc.codegen.c.plan import Sizes, region_of
from netc.codegen.c.views import VARIABLES, Uniform, View, index_of, row_major
from netc.codegen.c.walks import collapsed
from netc.codegen.c.windows import WINDOWED, window_need
from netc.codegen.ir import IrError, Op, Value
from netc.codegen.ops.loop import loop_operands
from netc.codegen.ops.movement import Raw


def copy(f: Caller, v: Value, to: str, shape: Sequence[int], strides: Sequence[int], offset: int) -> list[str]:
    """Loops that write a value of a shape, or the slice of it that `v` names, into memory with strides of its own."""
    source = f.source(v)
    own = source.strides if isinstance(source, View) else (0,) * len(shape)
    return _copied(f, v, source, own, source.offset if isinstance(source, View) else 0, to, shape, strides, offset)


def _copied(
    f: Caller, v: Value, source: View | Uniform, own: Sequence[int], start: int, to: str,
    shape: Sequence[int], strides: Sequence[int], offset: int,
) -> list[str]:  # fmt: skip
    walk = collapsed(shape, (own, strides))
    sizes, (read, write) = walk.sizes, walk.strides
    if math.prod(shape) == 0:
        return []
    if isinstance(source, Uniform) and write == [1] and source.value == 0 and math.copysign(1, source.value) > 0:
        return [f"memset({to}{f' + {offset}' if offset else ''}, 0, {sizes[0]} * sizeof *{to});"]
    if isinstance(source, Uniform):
        text = number(source.value, v.type.dtype)
    elif source.root is None:
        text = f"({C_TYPES[v.type.dtype]})({index_of(read, start)})"
    else:
        text = f.element(source.root, index_of(read, start))
    lines = [f"{to}[{index_of(write, offset)}] = {text};"]
    for depth in reversed(range(len(sizes))):
        mark = ["NET_EACH"] if depth == len(sizes) - 1 else []
        name = VARIABLES[depth]
        head = f"for (size_t {name} = 0; {name} < {sizes[depth]}; {name}++)"
        brace = len(lines) > 1
        lines = [*mark, head + (" {" if brace else ""), *(f"    {line}" for line in lines), *(["}"] if brace else [])]
    return lines


def _concatenate(f: Caller, op: Op) -> list[str]:
    dim, strides, lines, at = op.attr("dim"), row_major(op.result.shape), list[str](), 0
    for v in op.operands:
        lines += copy(f, v, f.pointer(op.result), v.shape, strides, at * strides[dim])
        at += v.shape[dim]
    return lines


def _update(f: Caller, op: Op) -> list[str]:
    """The part, behind a copy of the rest unless that lies there already."""
    held, part, *starts = op.operands
    strides, lines = row_major(held.shape), list[str]()
    if not f.lies_at(held, op.result):
        lines += copy(f, held, f.pointer(op.result), held.shape, strides, 0)
    terms = [
        f"net_within({f.scalar(start)}, {size - 1}) * {stride}"
        for start, size, own, stride in zip(starts, held.shape, part.shape, strides, strict=True)
        if own < size
    ]
    to = f"({f.address(op.result, ' + '.join(terms) or '0')})"
    return [*lines, *copy(f, part, to, part.shape, strides, 0)]


def _pad(f: Caller, op: Op) -> list[str]:
    x, out = op.operands[0], op.result
    own, strides, offset, start, shape = f.source(x), [], 0, 0, []
    read = own.strides if isinstance(own, View) else (0,) * x.type.rank
    sides = zip(x.shape, op.attr("low"), op.attr("interior"), out.shape, read, row_major(out.shape), strict=True)
    for n, low, interior, size, r, w in sides:
        step = interior + 1
        first = -(low // step) if low < 0 else 0  # what lies before the result is left out
        last = min(n, (size - 1 - low) // step + 1)
        shape.append(max(last - first, 0))
        start += first * r
        offset += (low + first * step) * w
        strides.append(step * w)
    fill = f.scalar(op.operands[1])
    lines = [f"for (size_t i = 0; i < {out.type.size}; i++)", f"    {f.pointer(out)}[i] = {fill};"]
    begin = start + (own.offset if isinstance(own, View) else 0)
    return [*lines, *_copied(f, x, own, read, begin, f.pointer(out), shape, strides, offset)]


def _product(f: Caller, op: Op) -> list[str]:
    """Loops over what both operands share, and a product of matrices in each turn."""
    contract, batch = op.attr("contract"), op.attr("batch")
    x, y = (f.source(v) for v in op.operands)
    assert isinstance(x, View) and isinstance(y, View)
    rows, columns = (free_axes(len(v.shape), c, b) for v, c, b in zip((x, y), contract, batch, strict=True))
    m, n = (math.prod(v.shape[a] for a in axes) for v, axes in ((x, rows), (y, columns)))
    k = math.prod(x.shape[a] for a in contract[0])
    shared = [x.shape[a] for a in batch[0]]
    out = [s * m * n for s in row_major(tuple(shared))]
    walk = collapsed(shared, ([x.strides[a] for a in batch[0]], [y.strides[a] for a in batch[1]], out))
    sizes, (left, right, to) = walk.sizes, walk.strides
    names = [f.address(v, index_of(s, o)) for v, s, o in (
        (x.root, left, x.offset), (y.root, right, y.offset), (op.result, to, 0)
    ) if v is not None]  # fmt: skip
    strides = (stride_over(x, rows), stride_over(x, contract[0]), stride_over(y, contract[1]), stride_over(y, columns))
    ai, ak, bk, bj = strides
    matmul = f"net_matmul{suffix(op.result.type.dtype)}"
    lines = [f"{matmul}({m}, {n}, {k}, {names[0]}, {ai}, {ak}, {names[1]}, {bk}, {bj}, {names[2]}, {n}, 1);"]
    for depth in reversed(range(len(sizes))):
        name = VARIABLES[depth]
        mark = ["NET_THREADS"] if depth == 0 and m * n * k * sizes[0] > 65536 else []
        lines = [*mark, f"for (size_t {name} = 0; {name} < {sizes[depth]}; {name}++)", *(f"    {x}" for x in lines)]
    return lines


def _rows(f: Caller, op: Op) -> list[str]:
    table = op.result.shape if op.kind != "take" else op.operands[0].shape
    ids = op.operands[{"take": 1, "take_grad": 0, "add_rows": 1}[op.kind]]
    names = ", ".join(f.pointer(v) for v in (*op.operands, op.result))
    return [f"net_{op.kind}{suffix(op.result.type.dtype)}({ids.type.size}, {table[0]}, {table[1]}, {names});"]


def _linear_scan(f: Caller, op: Op) -> list[str]:
    shape, axis = op.result.shape, op.attr("axis")
    sizes = f"{math.prod(shape[:axis])}, {shape[axis]}, {math.prod(shape[axis + 1 :])}, {int(op.attr('reverse'))}"
    names = ", ".join(f.pointer(v) for v in (*op.operands, op.result))
    return [f"net_linear_scan{suffix(op.result.type.dtype)}({sizes}, {names});"]


def _triangular_solve(f: Caller, op: Op) -> list[str]:
    *lead, n, _ = op.operands[0].shape
    rows, columns = op.result.shape[-2:]
    sizes = f"{math.prod(lead)}, {n}, {columns if op.attr('left_side') else rows}"
    marks = ", ".join(str(int(op.attr(m))) for m in ("left_side", "lower", "transpose_a", "unit_diagonal"))
    names = ", ".join(f.pointer(v) for v in (*op.operands, op.result))
    return [f"net_triangular_solve{suffix(op.result.type.dtype)}({sizes}, {marks}, {names});"]


def _loop(f: Caller, op: Op) -> list[str]:
    """A `for` around a call; what is carried is updated where it lies."""
    parts, results = loop_operands(op, op.operands), op.results[1:]
    lines: list[str] = []
    for v, begin in zip(results, (*parts.carried, *parts.outputs), strict=False):
        kept = v in results[len(parts.carried) :]
        source = f.source(op.operands[0])
        if kept and isinstance(source, Uniform) and source.value == 0:
            continue  # every row is written
        if not f.lies_at(begin, v):
            lines += copy(f, begin, f.pointer(v), v.shape, row_major(v.shape), 0)
    first = f.scalar(op.operands[0])
    first = first if first.isdigit() else f"(size_t){first}"
    trips = op.attr("trips")
    row = "t"
    head = [f"for (size_t t = {first}; t < {trips}; t++) {{"]
    if op.attr("reverse"):
        head.append(f"    const size_t row = {trips - 1} - t;")
        row = "row"
    carried = [f.pointer(v) for v in results[: len(parts.carried)]]
    given = [_row(f, v, row) for v in parts.stacked] + [f.argument(v) for v in parts.constants]
    outputs = [f.address(v, f"{row} * {v.type.size // v.shape[0]}") for v in results[len(parts.carried) :]]
    return [*lines, *head, *(f"    {line}" for line in f.called(op, carried, given, outputs)), "}"]


def _row(f: Caller, v: Value, row: str) -> str:
    """One row of a stacked tensor, by value where it is a number."""
    source = f.source(v)
    assert isinstance(source, View) and source.root is not None
    count = v.type.size // v.shape[0]
    index = (f"{source.offset} + " if source.offset else "") + (row if count == 1 else f"{row} * {count}")
    return f.element(source.root, index) if v.type.rank == 1 else f.address(source.root, index)


def _call(f: Caller, op: Op) -> list[str]:
    return f.called(op, [], [f.argument(op.operands[0])], [f.pointer(op.result)])


def _constant(f: Caller, op: Op) -> list[str]:
    """Numbers of their own: in the program's text."""
    value, t = op.attr("value"), op.result.type
    values = unpacked(value, t.dtype) if isinstance(value, Raw) else value
    numbers = [number(v, t.dtype) for v in values]
    lines = [", ".join(numbers[i : i + 12]) + "," for i in range(0, len(numbers), 12)]
    return [
        f"static const {C_TYPES[t.dtype]} {f.pointer(op.result)}[{t.size}] = {{",
        *(f"    {x}" for x in lines),
        "};",
    ]


def unpacked(value: Raw, dtype: str) -> tuple[float, ...]:
    """The numbers of a large constant."""
    import struct

    code, width = {
        "f32": ("f", 4),
        "f64": ("d", 8),
        "i32": ("i", 4),
        "i64": ("q", 8),
        "ui32": ("I", 4),
        "ui8": ("B", 1),
    }[dtype]
    return struct.unpack(f"<{len(value.data) // width}{code}", value.data)


def _several_devices(f: Caller, op: Op) -> list[str]:
    """The target c is of one device, and its row says so before any program gets here."""
    raise IrError(f"{op.loc}: {op} needs several devices, and C trains on one")


STATEMENTS: dict[str, Statement] = {
    "all_reduce": _several_devices,
    "replica_id": _several_devices,
    "constant": _constant,
    "concatenate": _concatenate,
    "update": _update,
    "pad": _pad,
    "dot": _product,
    **WINDOWED,
    "take": _rows,
    "take_grad": _rows,
    "add_rows": _rows,
    "linear_scan": _linear_scan,
    "triangular_solve": _triangular_solve,
    "loop": _loop,
    "call": _call,
}


def need(op: Op) -> Sizes:
    """What an operation needs of the arena besides its result, by region."""
    count = op.operands[1].type.size if op.kind == "scatter_to_max" else window_need(op)
    return {region_of(op.result): count} if count else {}
