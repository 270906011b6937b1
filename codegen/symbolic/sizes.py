"""A size that is a multiple of the batch is written below 0: -1 is the batch B, -49 is 49 B.

The type rules of the op table add sizes up and multiply them by numbers, so they hold for such sizes too: what is
linear in B stays so. A product of two of them, B squared, is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netc.codegen.ir import Function, Module, Value
from netc.netspec.types import TensorType

SIZED = frozenset({"limit", "shape"})
"""The attributes of operations that are sizes."""


def is_symbolic(values: Sequence[Value]) -> bool:
    """Whether a size of one of the values is a multiple of the batch."""
    return any(n < 0 for v in values for n in v.shape)


def counted(function: Function) -> tuple[int, int, int] | None:
    """An argument that tells the batch: its number, the axis, and how many times the batch that axis is."""
    for index, value in enumerate(function.params):
        for axis, n in enumerate(value.shape):
            if n < 0:
                return index, axis, -n
    return None


def batch_of(function: Function, shapes: Sequence[Sequence[int]]) -> int | None:
    """The batch that arguments of these shapes are of; None where the function has none."""
    found = counted(function)
    return None if found is None else shapes[found[0]][found[1]] // found[2]


def at(n: int, batch: int) -> int:
    """A size at a batch."""
    return -n * batch if n < 0 else n


def type_at(t: TensorType, batch: int) -> TensorType:
    """A type at a batch."""
    return TensorType(tuple(at(n, batch) for n in t.shape), t.dtype)


def shown(shape: Sequence[int]) -> list[Any]:
    """A shape as a manifest has it: numbers, and `batch` or `49*batch` for what is a multiple of it."""
    return [n if n >= 0 else "batch" if n == -1 else f"{-n}*batch" for n in shape]


def symbolic_functions(module: Module) -> tuple[str, ...]:
    """The functions of a module that any batch can be given."""
    return tuple(f.name for f in module if counted(f) is not None)
