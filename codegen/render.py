"""The text: the only place that numbers values and writes StableHLO modules.

Takes a lowered module; does not change or reorder anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Sequence

from netc.codegen.ir import Function, Module, Op, Placement, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.any_batch import sizes_of, started
from netc.codegen.ops.movement import PerBatch
from netc.codegen.ops.table import Dialect, mlir_type
from netc.codegen.symbolic.sizes import counted, is_symbolic

_STATEMENT = re.compile(r"^ *%(\d+) = (.*?)(?: loc\(#loc\d+\))?$")


class _Locations:
    """Each place is written once, at the end, and referred to by number."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}

    def __call__(self, loc: str) -> str:
        return f"loc(#loc{self.number.setdefault(loc, len(self.number))})"

    def table(self) -> list[str]:
        return [f"#loc{n} = loc({quoted(text)})" for text, n in self.number.items()]


def quoted(text: str) -> str:
    """An MLIR string literal: printable ASCII as it is, every other byte as two hexadecimal digits."""
    if text.isascii() and text.isprintable() and not set(text) & set('"\\'):
        return f'"{text}"'
    shown = (chr(c) if 32 <= c < 127 and c not in (34, 92) else f"\\{c:02X}" for c in text.encode())
    return '"' + "".join(shown) + '"'


def render(module: Module, dialect: Dialect = "stablehlo") -> str:
    """The module in MLIR's text form.

    For IREE with the operations of it that the op table names; for both with the marks of donated arguments. Where its
    functions have a layout, with the mesh and the shardings of arguments and results in Shardy's dialect.
    """
    locations = _Locations()
    mesh = next((f.layout.mesh for f in module if f.layout), ())
    lines = [f"module @{module.name}{_devices(module, mesh)} {{"]
    if mesh:
        lines.append(f"  sdy.mesh @mesh = <[{', '.join(f'{quoted(axis)}={size}' for axis, size in mesh)}]>")
    for function in module:
        lines += _function(function, dialect, locations)
    return "\n".join([*lines, "}", *locations.table(), ""])


def _devices(module: Module, mesh: Sequence[tuple[str, int]]) -> str:
    """How many devices a module is for, where that is not one."""
    if module.replicas == 1 and not mesh:
        return ""
    count = math.prod(size for _, size in mesh)
    return f" attributes {{mhlo.num_partitions = {count} : i32, mhlo.num_replicas = {module.replicas} : i32}}"


def _sharding(placed: Placement) -> str:
    """What an argument or result says of the mesh."""
    mark = "p1" if placed.late else ""
    split = ", ".join("{}" if axis is None else f"{{{quoted(axis)}}}{mark}" for axis in placed.axes)
    return f"sdy.sharding = #sdy.sharding<@mesh, [{split}]>"


def _attributes(*given: str) -> str:
    stated = ", ".join(attribute for attribute in given if attribute)
    return f" {{{stated}}}" if stated else ""


def _donor(function: Function, slot: int, written: Container[Value], dialect: Dialect) -> str:
    """The mark of a donated argument. IREE writes beside it, unless a part is replaced or it is told to."""
    if dialect == "xla":
        return "jax.buffer_donor = true"
    if dialect == "iree" and slot in function.in_place:
        return f"iree.abi.output = {slot} : index"
    return "iree.abi.consume" if dialect == "iree" and function.params[slot] in written else ""


SCRATCH = "%scratch: !hal.buffer {iree.abi.transients}"  # what IREE is given to put transient tensors in


def _function(function: Function, dialect: Dialect, locations: _Locations) -> list[str]:
    names: dict[Value, str] = {v: f"%arg{i}" for i, v in enumerate(function.params)}
    written = {op.operands[0] for op in function.ops if op.kind == "update"}
    donor = [_donor(function, i, written, dialect) if i < function.donated else "" for i in range(len(names))]
    layout = function.layout
    placed = [_sharding(p) for p in layout.arguments] if layout else [""] * len(names)
    arguments = ", ".join(
        f"{names[v]}: {mlir_type(v.type)}{_attributes(d, p)} loc({quoted(n)})"
        for v, n, d, p in zip(function.params, function.names, donor, placed, strict=True)
    )
    if function.scratch and dialect == "iree":
        arguments += f", {SCRATCH}"
    found = [_sharding(p) for p in layout.results] if layout else [""] * len(function.results)
    types = ", ".join(mlir_type(v.type) for v in function.results)
    results = ", ".join(mlir_type(v.type) + _attributes(p) for v, p in zip(function.results, found, strict=True))
    visibility = "private" if function.private else "public"
    lines = [f"  func.func {visibility} @{function.name}({arguments}) -> ({results}) {{"]
    start = _start(function, dialect)
    lines += [f"    {line}" for line in start]
    for index, op in enumerate(function.ops):
        row, several = OPS[op.kind], OPS[op.kind].multi
        if several is not None:
            stem = f"%{several.name}{index}"
            names.update({v: f"{stem}_{n}" for n, v in enumerate(op.results)})
            statement = several.stated(dialect)(op, _names(names, op.operands), stem, locations(op.loc))
            lines += [f"    {line}" for line in statement]
            continue
        names[op.result] = f"%{index}"
        if start and row.any_batch is not None and _any_batch(op):
            made = row.any_batch(op, _names(names, op.operands), f"%{index}", dialect)
            lines += [f"    {line} {locations(op.loc)}" for line in made]
            continue
        spelling = row.spelled(dialect)
        assert spelling is not None  # verify(lowered=True) saw to it
        text = spelling(op, _names(names, op.operands))
        lines.append(f"    %{index} = {text} {locations(op.loc)}")
    returned = ", ".join(_names(names, function.results))
    lines.append(f"    return {returned} : {types}" if returned else "    return")
    return [*lines, "  }"]


def _any_batch(op: Op) -> bool:
    """Whether an operation states a shape or a number that the batch is in."""
    return is_symbolic((*op.operands, op.result)) or any(isinstance(v, PerBatch) for _, v in op.attrs)


def _start(function: Function, dialect: Dialect) -> list[str]:
    """The batch and the shapes that it is in, of a function for any batch."""
    found = counted(function)
    if found is None:
        return []
    index, axis, _ = found
    shapes = dict.fromkeys(shape for op in function.ops for shape in sizes_of(op))
    return started(f"%arg{index}", function.params[index].type, axis, tuple(shapes), dialect)


def _names(names: dict[Value, str], values: Sequence[Value]) -> list[str]:
    return [names[v] for v in values]


def statements_of(text: str, name: str) -> list[tuple[int, str]]:
    """The operations of a public function in a rendered text: the number of each, and it without its name and place.

    Loops and other operations of several lines are left out.
    """
    _, _, after = text.partition(f"func.func public @{name}(")
    body = after.partition("\n  }\n")[0]
    return [(int(found[1]), found[2]) for row in body.splitlines() if (found := _STATEMENT.match(row))]
