"""The text: the only place that numbers values and writes StableHLO modules.

Takes a lowered module; does not change or reorder anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netc.codegen.ir import Function, Module, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.table import Dialect, mlir_type

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

    For IREE with the operations of it that the op table names; for XLA with the marks of donated arguments.
    """
    locations = _Locations()
    lines = [f"module @{module.name}{_attributes(module)} {{"]
    for function in module:
        lines += _function(function, dialect, locations)
    return "\n".join([*lines, "}", *locations.table(), ""])


def _attributes(module: Module) -> str:
    """How many devices a module is for, where that is not one."""
    if module.replicas == 1:
        return ""
    return f" attributes {{mhlo.num_partitions = 1 : i32, mhlo.num_replicas = {module.replicas} : i32}}"


def _function(function: Function, dialect: Dialect, locations: _Locations) -> list[str]:
    names: dict[Value, str] = {v: f"%arg{i}" for i, v in enumerate(function.params)}
    donated = function.donated if dialect == "xla" else 0
    arguments = ", ".join(
        f"{names[v]}: {mlir_type(v.type)}{' {jax.buffer_donor = true}' if i < donated else ''} loc({quoted(n)})"
        for i, (v, n) in enumerate(zip(function.params, function.names, strict=True))
    )
    types = ", ".join(mlir_type(v.type) for v in function.results)
    visibility = "private" if function.private else "public"
    lines = [f"  func.func {visibility} @{function.name}({arguments}) -> ({types}) {{"]
    for index, op in enumerate(function.ops):
        row, several = OPS[op.kind], OPS[op.kind].multi
        if several is not None:
            stem = f"%{several.name}{index}"
            names.update({v: f"{stem}_{n}" for n, v in enumerate(op.results)})
            statement = several.stated(dialect)(op, _names(names, op.operands), stem, locations(op.loc))
            lines += [f"    {line}" for line in statement]
            continue
        names[op.result] = f"%{index}"
        spelling = row.spelled(dialect)
        assert spelling is not None  # verify(lowered=True) saw to it
        text = spelling(op, _names(names, op.operands))
        lines.append(f"    %{index} = {text} {locations(op.loc)}")
    results = ", ".join(_names(names, function.results))
    lines.append(f"    return {results} : {types}" if results else "    return")
    return [*lines, "  }"]


def _names(names: dict[Value, str], values: Sequence[Value]) -> list[str]:
    return [names[v] for v in values]


def statements_of(text: str, name: str) -> list[tuple[int, str]]:
    """The operations of a public function in a rendered text: the number of each, and it without its name and place.

    Loops and other operations of several lines are left out.
    """
    _, _, after = text.partition(f"func.func public @{name}(")
    body = after.partition("\n  }\n")[0]
    return [(int(found[1]), found[2]) for row in body.splitlines() if (found := _STATEMENT.match(row))]
