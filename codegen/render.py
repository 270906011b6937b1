"""The text: the only place that numbers values and writes StableHLO modules.

Takes a lowered module; does not change or reorder anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from netc.codegen.ir import Function, Module, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.table import mlir_type
from netc.netspec.types import BYTES


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


_BARRIER = re.compile(r"= stablehlo\.optimization_barrier (%[\w#]+) : (tensor<[^>]*>)")
_JOINT = re.compile(
    r"^( *)(%\w+(?:, %\w+)+|%\w+:\d+) = stablehlo\.optimization_barrier ([^:]+) : (.*>)( loc\(.*\))?$", re.MULTILINE
)
_TENSOR = re.compile(r"tensor<(?:([\dx]*)x)?([a-z]+\d+)>")
# bytes of a tensor that IREE 3.12's CPU device may never free where the host waits while it is held
LOST = (32 << 20, 64 << 20)
# where a loop begins (codegen/ops/loop.py): as blocks of its function, or as `scf.for`
_BLOCKS = re.compile(r"^( *)cf\.br (\^\w+)\((%\w+)_first, ([^:]+) : i32, (.*)\)( loc\(.*\))$", re.MULTILINE)
_FOR = re.compile(r"^( *)(.* = scf\.for (%\w+)_turn = .* iter_args)\((.*)\) -> \((.*)\) \{$", re.MULTILINE)
DEVICE = "#hal.device.promise<@__device_0>"  # IREE's name for the first device


def for_iree(text: str) -> str:
    """The text with barriers on one value in IREE's own spelling, and with what a loop carries placed on the device.

    IREE 3.12 makes of `stablehlo.optimization_barrier` a place where the host waits for the device, takes new memory
    and begins another command buffer (docs/known-limits.md). Its compute barrier is gone once dispatches are formed.
    A barrier on several values orders them, and stays, but for modules with a tensor of a size that would be lost, and
    for those with loops of blocks: no host waits in a turn, and where one does, buffers that a loop carries are lost.

    Where what a loop carries lies IREE finds out only if one of the places it comes from says so; else it copies all of
    it in every turn. A `flow.tensor.barrier` before the loop says it, and does nothing else.
    """
    text, loops = _BLOCKS.subn(_into_blocks, text)
    text = _FOR.sub(_into_for, text)
    text = _BARRIER.sub(r"= iree_tensor_ext.compute_barrier.start \1 : \2 -> \2", text)
    if loops or any(LOST[0] < _bytes(*found) <= LOST[1] for found in set(_TENSOR.findall(text))):
        numbered = [names.split(":")[0] for _, names, *_ in _JOINT.findall(text) if ":" in names]
        text = _JOINT.sub(_each, text)
        for stem in numbered:
            text = text.replace(f"{stem}#", f"{stem}_")
    return text


def _into_blocks(found: re.Match[str]) -> str:
    indent, label, stem, values, types, location = found.groups()
    lines, placed = _placed(stem, values.split(", "), types.split(", "))
    lines.append(f"cf.br {label}({', '.join([f'{stem}_first', *placed])} : i32, {types}){location}")
    return "\n".join(indent + line for line in lines)


def _into_for(found: re.Match[str]) -> str:
    indent, begin, stem, held, types = found.groups()
    names, values = zip(*(pair.split(" = ") for pair in held.split(", ")), strict=True)
    lines, placed = _placed(stem, values, types.split(", "))
    given = ", ".join(f"{name} = {v}" for name, v in zip(names, placed, strict=True))
    return "\n".join(indent + line for line in (*lines, f"{begin}({given}) -> ({types}) {{"))


def _placed(stem: str, values: Sequence[str], types: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines that say of values that they lie on the device, and the values' names after them.

    Unsigned integers are left as they are: IREE makes signless ones of them, and not of the barrier.
    """
    names = [v if "ui" in t else f"{stem}_placed{n}" for n, (v, t) in enumerate(zip(values, types, strict=True))]
    each = zip(names, values, types, strict=True)
    return [f"{n} = flow.tensor.barrier {v} : {t} on {DEVICE}" for n, v, t in each if n != v], names


def _bytes(shape: str, dtype: str) -> int:
    """The size of a tensor of that MLIR shape, `2x3`, and element type."""
    return math.prod(map(int, shape.split("x")) if shape else ()) * BYTES[dtype]


def _each(found: re.Match[str]) -> str:
    """A barrier on several values as one on each, in IREE's spelling."""
    indent, names, values, types, location = found.groups()
    stem, _, count = names.partition(":")
    each = [f"{stem}_{n}" for n in range(int(count))] if count else names.split(", ")
    rows = zip(each, values.split(", "), types.split(", "), strict=True)
    spelled = (f"{indent}{n} = iree_tensor_ext.compute_barrier.start {v} : {t} -> {t}" for n, v, t in rows)
    return "\n".join(line + (location or "") for line in spelled)


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
        row, several = OPS[op.kind], OPS[op.kind].several
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
