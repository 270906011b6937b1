"""The text: the only place that numbers values and writes StableHLO modules.

Takes a lowered module; does not change or reorder anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netc.codegen.ir import Function, Module, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.table import mlir_type


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


def render(module: Module, *, entry: str | None = None, donate: int = 0) -> str:
    """StableHLO in MLIR's text form.

    XLA runs one function, called `main`: `entry` names it, and its first `donate` arguments are marked as buffers that
    the results may take over. The others are private then.
    """
    locations = _Locations()
    lines = [f"module @{module.name} {{"]
    for function in module:
        is_entry = function.name == entry
        shown = replace(function, name="main") if is_entry else function
        shown = replace(shown, private=True) if entry is not None and not is_entry else shown
        lines += _function(shown, locations, donate if is_entry else 0)
    return "\n".join([*lines, "}", *locations.table(), ""])


def _function(function: Function, locations: _Locations, donate: int) -> list[str]:
    names: dict[Value, str] = {v: f"%arg{i}" for i, v in enumerate(function.params)}
    arguments = ", ".join(
        f"{names[v]}: {mlir_type(v.type)}{' {jax.buffer_donor = true}' if i < donate else ''} loc({quoted(n)})"
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
            lines += [f"    {t}" for t in several.statement(op, _names(names, op.operands), stem, locations(op.loc))]
            continue
        names[op.result] = f"%{index}"
        assert row.spelling is not None  # verify(lowered=True) saw to it
        text = row.spelling(op, _names(names, op.operands))
        lines.append(f"    %{index} = {text} {locations(op.loc)}")
    results = ", ".join(_names(names, function.results))
    lines.append(f"    return {results} : {types}" if results else "    return")
    return [*lines, "  }"]


def _names(names: dict[Value, str], values: Sequence[Value]) -> list[str]:
    return [names[v] for v in values]
