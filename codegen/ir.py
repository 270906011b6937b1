"""The IR: typed values, operations, functions and modules, all frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from netc.netspec.types import TensorType

Attrs = tuple[tuple[str, Any], ...]
Axes = tuple[str | None, ...]
"""For each axis of a tensor the axis of a mesh that splits it, or None."""


class Value:
    """One tensor of a program. Two values are the same only if they are the same object."""

    __slots__ = ("type",)

    def __init__(self, type: TensorType) -> None:  # noqa: A002
        self.type = type

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.type.shape

    def __repr__(self) -> str:
        return f"<{self.type}>"


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation. `kind` is a row of the op table; `attrs` are sorted by name; `loc` says whose work it is.

    A loop or a joint barrier makes `extra_results` after its `result`; every other operation makes one value only.
    """

    kind: str
    operands: tuple[Value, ...]
    attrs: Attrs
    result: Value
    loc: str
    extra_results: tuple[Value, ...] = ()

    @property
    def results(self) -> tuple[Value, ...]:
        """Every value that it makes, in order."""
        return (self.result, *self.extra_results)

    def attr(self, name: str) -> Any:
        """The attribute of that name; raises KeyError."""
        for key, value in self.attrs:
            if key == name:
                return value
        raise KeyError(name)

    def __str__(self) -> str:
        operands = ", ".join(str(v.type) for v in self.operands)
        attrs = "".join(f" {k}={v}" for k, v in self.attrs)
        return f"{self.kind}({operands}){attrs} -> {self.result.type}"


@dataclass(frozen=True, slots=True)
class Placement:
    """How one tensor lies on a mesh. Of values that depend on several, those that are `late` decide last."""

    axes: Axes
    late: bool = False


@dataclass(frozen=True, slots=True)
class FunctionLayout:
    """How a function's arguments and results lie on a mesh, whose axes and sizes come first."""

    mesh: tuple[tuple[str, int], ...]
    arguments: tuple[Placement, ...]
    results: tuple[Placement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A straight line of operations. `names` and `result_names` say what each argument and result is.

    A `private` function is called by others of its module only. Who calls a function does not read its first
    `donated` arguments again: a backend may put results in their place. `in_place` are those of them whose results
    IREE is to put there (rewrite/iree/in_place.py). With `scratch` IREE is given the memory of what the function
    makes and forgets, as a last argument (rewrite/iree/given_scratch.py). `layout` is noted where it runs on
    several devices; it changes no value.
    """

    name: str
    params: tuple[Value, ...]
    names: tuple[str, ...]
    ops: tuple[Op, ...]
    results: tuple[Value, ...]
    result_names: tuple[str, ...]
    private: bool = False
    donated: int = 0
    in_place: tuple[int, ...] = ()
    scratch: bool = False
    layout: FunctionLayout | None = None

    @property
    def made(self) -> int:
        """Bytes of all that its operations make: of what a call moves through memory, about."""
        made = 0
        for op in self.ops:
            made += op.result.type.bytes
            for v in op.extra_results:
                made += v.type.bytes
        return made

    def counts(self) -> dict[str, int]:
        """How many operations there are of each kind."""
        table: dict[str, int] = {}
        for op in self.ops:
            table[op.kind] = table.get(op.kind, 0) + 1
        return table


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A named set of functions. `replicas` run it together, each on its own part of a batch (codegen/distribute)."""

    name: str
    functions: tuple[Function, ...] = field(default=())
    replicas: int = 1

    def __iter__(self) -> Iterator[Function]:
        return iter(self.functions)

    def function(self, name: str) -> Function:
        """The function of that name; raises KeyError."""
        for f in self.functions:
            if f.name == name:
                return f
        raise KeyError(name)

    def needed(self, name: str) -> Module:
        """That function and those that it calls, in order: who is called stands before who calls. Raises KeyError."""
        wanted, kept = {self.function(name).name}, []
        for f in reversed(self.functions):
            if f.name in wanted:
                kept.append(f)
                wanted.update(value for op in f.ops for key, value in op.attrs if key == "callee")
        return Module(self.name, tuple(reversed(kept)), self.replicas)


class IrError(Exception):
    """An operation that is wrong: a fault in netc, never in a user's input."""


def identifier(name: str) -> str:
    """A name that MLIR takes for a module."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return text if text and not text[0].isdigit() else f"net_{text}"
