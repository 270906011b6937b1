"""The loop: a function of the module called a fixed number of times, its body written once.

The op's operands, in order: the first index, a scalar i32; the values carried from call to call; one buffer [K, ..]
for each stacked output; the stacked inputs [K, ..]; the constants, which every call gets as they are. Its attributes
count them: `carried`, `outputs`, `stacked`; `trips` is K, `callee` the function's name. For each index i from the
first to before K it calls callee(carried.., input[i].., constants..) -> (carried.., output[i]..); with `reverse` the
rows are those at K - 1 - i. `apart` keeps what is in a call from being fused with what gives and takes its rows. Its
results: the index after the last, the carried values, the buffers. `Builder.loop` makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from netc.codegen.ir import Function, IrError, Op
from netc.codegen.ops.movement import compute_barrier, literal
from netc.codegen.ops.table import MultiResult, OpDef, ints, mlir_type, no_flops, want
from netc.netspec.types import TensorType

INDEX = TensorType((), "i32")
Barriers = Callable[[list[str], str, Sequence[str], Sequence[TensorType]], list[str]]
T = TypeVar("T")


class Parts(NamedTuple):
    """What follows the index among a loop's operands: types, names or tensors."""

    carried: Sequence[Any]
    outputs: Sequence[Any]
    stacked: Sequence[Any]
    constants: Sequence[Any]


def loop_operands(op: Op, operands: Sequence[T]) -> Parts:
    """The operands of a loop by what they are for."""
    a = 1 + op.attr("carried")
    b = a + op.attr("outputs")
    c = b + op.attr("stacked")
    return Parts(operands[1:a], operands[a:b], operands[b:c], operands[c:])


def _index(
    first: TensorType,
    *others: TensorType,
    callee: str,
    trips: int,
    carried: int,
    outputs: int,
    stacked: int,
    reverse: bool,
    apart: bool,
) -> TensorType:
    want(first == INDEX, f"a first index {INDEX}", first)
    want(trips > 0, "at least one trip", trips)
    counts = (carried, outputs, stacked)
    want(min(counts) >= 0 and sum(counts) <= len(others), f"at least {sum(counts)} operands", len(others))
    for t in others[carried : sum(counts)]:
        want(t.rank > 0 and t.shape[0] == trips, f"stacked tensors of {trips} rows", t)
    return first


def _further(first: TensorType, *others: TensorType, carried: int, outputs: int, **_: Any) -> tuple[TensorType, ...]:
    return others[: carried + outputs]


def _row(t: TensorType) -> TensorType:
    """The type of one row of a stacked tensor."""
    return TensorType(t.shape[1:], t.dtype)


def _fits(op: Op, callee: Function) -> None:
    """Raise IrError unless the callee takes and gives what the loop passes on."""
    parts = loop_operands(op, [v.type for v in op.operands])
    given = [*parts.carried, *map(_row, parts.stacked), *parts.constants]
    wanted = [*parts.carried, *map(_row, parts.outputs)]
    for what, types, values in (("arguments", given, callee.params), ("results", wanted, callee.results)):
        if types != [v.type for v in values]:
            shown = (", ".join(map(str, ts)) for ts in (types, [v.type for v in values]))
            raise IrError("wants {} of {} {}, got {}".format(callee.name, what, *shown))


def _mean_loop(
    A: Any, op: Op, call: Callable[[str, Sequence[Any]], Sequence[Any]], first: Any, *operands: Any
) -> list[Any]:
    """One call after the other; a row of a buffer is replaced by what stands before it, the new row, what follows."""
    parts, trips = loop_operands(op, [first, *operands]), op.attr("trips")
    carried, buffers = list(parts.carried), list(parts.outputs)
    for i in range(int(first), trips):
        at = trips - 1 - i if op.attr("reverse") else i
        rows = [A.reshape(_rows(A, x, at, at + 1), A.shape(x)[1:]) for x in parts.stacked]
        results = call(op.attr("callee"), [*carried, *rows, *parts.constants])
        carried = list(results[: len(carried)])
        for n, (buffer, row) in enumerate(zip(buffers, results[len(carried) :], strict=True)):
            new = A.reshape(row, (1, *A.shape(row)))
            buffers[n] = A.concatenate([_rows(A, buffer, 0, at), new, _rows(A, buffer, at + 1, trips)], 0)
    return [A.constant(trips, INDEX), *carried, *buffers]


def _rows(A: Any, x: Any, start: int, limit: int) -> Any:
    rest = A.shape(x)[1:]
    return A.slice(x, (start, *(0 for _ in rest)), (limit, *rest), (1,) * (1 + len(rest)))


SCALAR = mlir_type(INDEX)
DEVICE = "#hal.device.promise<@__device_0>"  # IREE's name for the first device


def _body(
    op: Op, args: Sequence[str], held: Sequence[str], stem: str, row: str, barrier: Barriers
) -> tuple[list[str], list[str]]:
    """One call, in StableHLO and one `func.call`, and the names of what the next is given, but for the index.

    `held` are the names of what is carried and of the buffers, before the call; `row` that of the rows' index.
    `barrier` keeps what is in the call apart from its rows, where they are to be kept so.
    """
    names, types = loop_operands(op, args), loop_operands(op, [v.type for v in op.operands])
    carried, buffers = held[: len(names.carried)], held[len(names.carried) :]
    lines = [f"{stem}_zero = stablehlo.constant dense<0> : {SCALAR}"]
    for n, (x, t) in enumerate(zip(names.stacked, types.stacked, strict=True)):
        at, indices = _at(stem, row, t)
        one, whole = mlir_type(_one(t)), mlir_type(t)
        sizes = ints(_one(t).shape)
        lines += [
            f"{stem}_slice{n} = stablehlo.dynamic_slice {x}, {at}, sizes = {sizes} : ({whole}, {indices}) -> {one}",
            f"{stem}_row{n} = stablehlo.reshape {stem}_slice{n} : ({one}) -> {mlir_type(_row(t))}",
        ]
    given = [f"{stem}_row{n}" for n in range(len(names.stacked))]
    if op.attr("apart"):
        given = barrier(lines, f"{stem}_in", given, list(map(_row, types.stacked)))
    passed = [*carried, *given, *names.constants]
    wanted = [*types.carried, *map(_row, types.stacked), *types.constants]
    made = [*types.carried, *map(_row, types.outputs)]
    signature = f"({_types(wanted)}) -> ({_types(made)})"
    got = _several(f"{stem}_got", len(made))
    count = f":{len(made)}" if len(made) > 1 else ""
    lines.append(f"{stem}_got{count} = func.call @{op.attr('callee')}({', '.join(passed)}) : {signature}")
    outputs = got[len(carried) :]
    if op.attr("apart"):
        outputs = barrier(lines, f"{stem}_out", outputs, list(map(_row, types.outputs)))
    for n, (buffer, new, t) in enumerate(zip(buffers, outputs, types.outputs, strict=True)):
        at, indices = _at(stem, row, t)
        one, whole = mlir_type(_one(t)), mlir_type(t)
        lines += [
            f"{stem}_new{n} = stablehlo.reshape {new} : ({mlir_type(_row(t))}) -> {one}",
            f"{stem}_buffer{n} = stablehlo.dynamic_update_slice {buffer}, {stem}_new{n}, {at} : "
            f"({whole}, {one}, {indices}) -> {whole}",
        ]
    return lines, [*got[: len(carried)], *(f"{stem}_buffer{n}" for n in range(len(buffers)))]


def _several(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}#{n}" for n in range(count)]


def _barrier(lines: list[str], name: str, values: Sequence[str], types: Sequence[TensorType]) -> list[str]:
    """The values behind a barrier: what stands around the call is not fused with what is in it."""
    if not values:
        return []
    count = f":{len(values)}" if len(values) > 1 else ""
    lines.append(f"{name}{count} = stablehlo.optimization_barrier {', '.join(values)} : {_types(types)}")
    return _several(name, len(values))


def _compute_barriers(lines: list[str], name: str, values: Sequence[str], types: Sequence[TensorType]) -> list[str]:
    """The values behind a barrier of IREE each: at one on several the host would wait in every turn."""
    names = [f"{name}_{n}" for n in range(len(values))]
    each = zip(names, values, types, strict=True)
    lines += [f"{n} = {compute_barrier(v, mlir_type(t))}" for n, v, t in each]
    return names


def _placed(lines: list[str], stem: str, values: Sequence[str], types: Sequence[TensorType]) -> list[str]:
    """The values, said to lie on the device: IREE else copies what a loop carries in every turn.

    Where it lies IREE finds out only if one of the places it comes from says so; this barrier says it, and does nothing
    else. Unsigned integers are left as they are: IREE makes signless ones of them, and not of the barrier.
    """
    names = [
        v if t.dtype == "ui32" else f"{stem}_placed{n}" for n, (v, t) in enumerate(zip(values, types, strict=True))
    ]
    for name, v, t in zip(names, values, map(mlir_type, types), strict=True):
        if name != v:
            lines.append(f'{name} = "flow.tensor.barrier"({v}) {{target = {DEVICE}}} : ({t}) -> {t}')
    return names


def _types(types: Sequence[TensorType]) -> str:
    return ", ".join(map(mlir_type, types))


def _one(t: TensorType) -> TensorType:
    """The type of one row of a stacked tensor, still stacked."""
    return TensorType((1, *t.shape[1:]), t.dtype)


def _at(stem: str, row: str, t: TensorType) -> tuple[str, str]:
    """The indices of a row of a stacked tensor, and their types."""
    return ", ".join([row] + [f"{stem}_zero"] * (t.rank - 1)), ", ".join([SCALAR] * t.rank)


def _state_while(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    results = [f"{stem}_{n}" for n in range(len(op.results))]
    begun = ", ".join(f"{name} = {v}" for name, v in zip(results, args, strict=False))
    held = _types([v.type for v in op.results])
    row, turned = f"{stem}_0", []
    if op.attr("reverse"):
        row = f"{stem}_at"
        turned = [
            f"{stem}_last = stablehlo.constant dense<{op.attr('trips') - 1}> : {SCALAR}",
            f"{row} = stablehlo.subtract {stem}_last, {stem}_0 : {SCALAR}",
        ]
    body, after = _body(op, args, results[1:], stem, row, _barrier)
    return [
        f"{', '.join(results)} = stablehlo.while({begun}) : {held}",
        "cond {",
        f"  {stem}_trips = stablehlo.constant dense<{op.attr('trips')}> : {SCALAR}",
        f"  {stem}_more = stablehlo.compare LT, {stem}_0, {stem}_trips : ({SCALAR}, {SCALAR}) -> tensor<i1>",
        f"  stablehlo.return {stem}_more : tensor<i1>",
        "} do {",
        *(f"  {line}" for line in (*turned, *body)),
        f"  {stem}_one = stablehlo.constant dense<1> : {SCALAR}",
        f"  {stem}_next = stablehlo.add {stem}_0, {stem}_one : {SCALAR}",
        f"  stablehlo.return {', '.join([f'{stem}_next', *after])} : {held}",
        f"}} {location}",
    ]


def _state_blocks(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    """The loop as blocks of its function, of which the first tests whether there is another turn."""
    label, kept = stem.removeprefix("%"), [mlir_type(v.type) for v in op.extra_results]
    types, names = ", ".join(["i32", *kept]), [f"{stem}_{n + 1}" for n in range(len(kept))]
    body, after = _body(op, args, names, stem, f"{stem}_row", _compute_barriers)
    arguments = [f"{name}: {t}" for name, t in zip([f"{stem}_index", *names], ["i32", *kept], strict=True)]
    lines: list[str] = []
    begun = _placed(lines, stem, args[1 : 1 + len(kept)], [v.type for v in op.extra_results])
    return [
        *lines,
        f"{stem}_first = tensor.extract {args[0]}[] : {SCALAR}",
        f"{stem}_trips = arith.constant {op.attr('trips')} : i32",
        f"cf.br ^{label}({', '.join([f'{stem}_first', *begun])} : {types}) {location}",
        f"^{label}({', '.join(arguments)}):",
        f"{stem}_more = arith.cmpi slt, {stem}_index, {stem}_trips : i32",
        f"cf.cond_br {stem}_more, ^{label}_body, ^{label}_done",
        f"^{label}_body:",
        *_row_index(op, stem),
        *body,
        f"{stem}_one = arith.constant 1 : i32",
        f"{stem}_next = arith.addi {stem}_index, {stem}_one : i32",
        f"cf.br ^{label}({', '.join([f'{stem}_next', *after])} : {types})",
        f"^{label}_done:",
        f"{stem}_0 = tensor.from_elements {stem}_trips : {SCALAR}",
    ]


def _state_for(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    """The loop as `scf.for`, in which IREE writes a row of a buffer where it lies, and no copy of the whole.

    It does so as well where two buffers are one constant before the loop: each begins with content of its own.
    """
    kept = [mlir_type(v.type) for v in op.extra_results]
    held = [f"{stem}_held{n + 1}" for n in range(len(kept))]
    body, after = _body(op, args, held, stem, f"{stem}_row", _barrier)
    carried = op.attr("carried")
    lines, begun = [], list(args[1 : 1 + carried])
    for n, t in enumerate(loop_operands(op, [v.type for v in op.operands]).outputs):
        begun.append(f"{stem}_begun{n}")
        lines += _content(begun[-1], t, n, args[1], op.operands[1].type, location)
    begun = _placed(lines, stem, begun, [v.type for v in op.extra_results])
    each = ", ".join(f"{name} = {v}" for name, v in zip(held, begun, strict=True))
    return [
        f"{stem}_from = arith.constant 0 : index",
        f"{stem}_to = arith.constant {op.attr('trips')} : index",
        f"{stem}_by = arith.constant 1 : index",
        *lines,
        f"{', '.join(f'{stem}_{n + 1}' for n in range(len(kept)))} = scf.for {stem}_turn = {stem}_from to {stem}_to "
        f"step {stem}_by iter_args({each}) -> ({', '.join(kept)}) {{",
        f"  {stem}_index = arith.index_cast {stem}_turn : index to i32",
        *(f"  {line}" for line in (*_row_index(op, stem), *body)),
        f"  scf.yield {', '.join(after)} : {', '.join(kept)}",
        f"}} {location}",
        f"{stem}_0 = stablehlo.constant dense<{op.attr('trips')}> : {SCALAR}",
    ]


def _row_index(op: Op, stem: str) -> list[str]:
    if not op.attr("reverse"):
        return [f"{stem}_row = tensor.from_elements {stem}_index : {SCALAR}"]
    return [
        f"{stem}_last = arith.constant {op.attr('trips') - 1} : i32",
        f"{stem}_at = arith.subi {stem}_last, {stem}_index : i32",
        f"{stem}_row = tensor.from_elements {stem}_at : {SCALAR}",
    ]


def _content(name: str, held: TensorType, number: int, x: str, like: TensorType, location: str) -> list[str]:
    """A buffer with some content, another one than its neighbours', that is not there before x is."""
    one, scalar = TensorType((1,) * like.rank, like.dtype), TensorType((), like.dtype)
    wanted = TensorType((), held.dtype)
    steps = [
        ("one", f"slice {x} [{', '.join(['0:1'] * like.rank)}]", like, one),
        ("scalar", f"reshape {name}_one", one, scalar),
        ("like", f"convert {name}_scalar", scalar, wanted),
    ]
    return [
        *(f"{name}_{n} = stablehlo.{t} : ({mlir_type(a)}) -> {mlir_type(b)}" for n, t, a, b in steps),
        f"{name}_own = stablehlo.constant dense<{literal(number, held.dtype)}> : {mlir_type(wanted)}",
        f"{name}_added = stablehlo.add {name}_like, {name}_own : {mlir_type(wanted)}",
        f"{name} = stablehlo.broadcast_in_dim {name}_added, dims = [] : ({mlir_type(wanted)}) -> {mlir_type(held)} "
        f"{location}",
    ]


def _state_for_iree(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    """Blocks of the function for a loop that keeps its calls apart, `scf.for` for any other, `stablehlo.while` never.

    IREE puts operations on scalars into dispatches of their own only outside of regions. In the region of a `while` the
    same function would be fused, and rounded, in another way than where it is called by itself; as blocks it is not,
    and K steps in one call are bit for bit those of K calls. A call that is not inlined is no way out: IREE 3.12 packs
    the 64-bit arguments of a call that may yield as 32-bit ones. Only in `scf.for` IREE sees that a row of a buffer can
    be written where it lies.
    """
    return (_state_blocks if op.attr("apart") else _state_for)(op, args, stem, location)


ROWS: tuple[OpDef, ...] = (
    OpDef(  # the additions of the calls are counted in the callee
        "loop", _index, None, _mean_loop, no_flops, MultiResult(_further, _state_while, _fits, iree=_state_for_iree)
    ),
)
