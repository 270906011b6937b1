"""What a launch gives a kernel: the grid, numbers for its scalars, memory for its arrays; all of it checked here."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netc.kernels.ir import MOST_SHARED, SPOKEN, WIDTHS, Array, Kernel, Number, Scalar, Type
from netc.kernels.maker import LARGEST_FLOAT, LIMITS, meant
from netc.netspec.errors import UserError

Memory: TypeAlias = NDArray[Any]
Dim: TypeAlias = tuple[int, int, int]
DTYPES: dict[Type, Any] = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "u8": np.uint8, "bool": np.bool_}
MOST_THREADS = 1024  # of a block
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
LARGEST = 2**31 - 1  # elements of an array: an index is an int32


@dataclass(frozen=True)
class Launch:
    """A grid of blocks of threads; `shared`: the elements of each shared array, in the kernel's order."""

    grid: Dim
    block: Dim
    shared: tuple[int, ...] = ()

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return math.prod(self.block)

    @property
    def blocks(self) -> int:
        """Blocks of the grid."""
        return math.prod(self.grid)

    def who(self, thread: int) -> str:
        """The thread of that number, counted over the grid, as messages call it."""
        block, inner = divmod(thread, self.threads)
        return f"thread {_point(inner, self.block)} of block {_point(block, self.grid)}"


def _point(n: int, sizes: Dim) -> str:
    """A number of a thread or block by its axes, those of size 1 left out at the end."""
    x, y, z = n % sizes[0], n // sizes[0] % sizes[1], n // sizes[0] // sizes[1]
    used = 3 if sizes[2] > 1 else 2 if sizes[1] > 1 else 1
    return str(x) if used == 1 else "(" + ", ".join(map(str, (x, y, z)[:used])) + ")"


def dims(given: int | Sequence[int], what: str) -> Dim:
    """One to three sizes as three. Raises UserError."""
    try:
        alone: Any = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else given
        sizes = [0 if isinstance(n, bool | np.bool_) else operator.index(n) for n in alone]
    except TypeError:
        sizes = []
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise UserError(f"`{what}` wants one to three whole sizes of 1 or more, got {given}; write 4 or 4,2")
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z


def launch_of(
    kernel: Kernel,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    shared: Mapping[str, int] | None = None,
) -> Launch:
    """The launch; shared arrays without a size have an element for each thread of a block. Raises UserError."""
    g, b = dims(grid, "grid"), dims(block, "block")
    threads = math.prod(b)
    if threads > MOST_THREADS or b[2] > 64:
        raise UserError(f"`block` wants at most {MOST_THREADS} threads, 64 along z, got {threads}; use more blocks")
    if any(n > most for n, most in zip(g, MOST_BLOCKS, strict=True)) or math.prod(g) * threads > 2**31 - 1:
        raise UserError(f"`grid` wants at most {2**31 - 1} threads in total, 65535 blocks along y and z, got {g} x {b}")
    given = dict(shared or {})
    own = {a.name: a for a in kernel.shared}
    for name, size in given.items():
        if name not in own:
            raise UserError(f"`shared` wants a shared array of {kernel.name}, got {name}; {meant(name, own)}")
        if own[name].size or isinstance(size, bool) or not hasattr(size, "__index__") or size < 1:
            why = f"the text says {own[name].size}" if own[name].size else "write 1 or more"
            raise UserError(f"`shared`: {name} wants no size of {size}; {why}")
    sizes = tuple(a.size or int(given.get(a.name, threads)) for a in kernel.shared)
    total = sum(n * WIDTHS[a.type] for n, a in zip(sizes, kernel.shared, strict=True))
    if total > MOST_SHARED:
        raise UserError(
            f"{kernel.name} wants {total} bytes of shared memory, and a block has {MOST_SHARED}; use smaller tiles"
        )
    return Launch(g, b, sizes)


def scalars_of(kernel: Kernel, values: Mapping[str, Any]) -> dict[str, Number]:
    """A number for each scalar. Raises UserError for one that is missing or is none of its type."""
    _none_left_over(kernel, values)
    missing = [s.name for s in kernel.scalars if s.name not in values]
    if missing:
        flags = " ".join(f"--set {n}=.." for n in missing)
        raise UserError(f"{kernel.name} wants {' and '.join(missing)}, got no value; add {flags}")
    return {s.name: _number(kernel, s, values[s.name]) for s in kernel.scalars}


def _number(kernel: Kernel, scalar: Scalar, given: Any) -> Number:
    said = f"{kernel.name} wants {SPOKEN[scalar.type]} for {scalar.name}, got {str(given)[:40]}"
    if isinstance(given, np.generic):
        given = given.item()
    if scalar.type == "bool":
        if not isinstance(given, bool):
            raise UserError(f"{said}; write true or false")
        return given
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise UserError(f"{said}; write a number")
    if scalar.type in LIMITS:
        low, high = LIMITS[scalar.type]
        if not low <= given <= high or int(given) != given:
            raise UserError(f"{said}; write a whole number, {low} to {high}")
        return int(given)
    most = LARGEST_FLOAT if scalar.type == "f32" else sys.float_info.max
    if given not in (math.inf, -math.inf) and abs(given) > most:
        raise UserError(f"{said}; write one of at most {most:g}, or inf")
    return float(given)


def memory_of(kernel: Kernel, values: Mapping[str, Any]) -> dict[str, Memory]:
    """The memory of each global array, flat: the arrays given, where they are of its type. Raises UserError."""
    _none_left_over(kernel, values)
    missing = [a.name for a in kernel.globals if a.name not in values]
    if missing:
        raise UserError(
            f"{kernel.name} wants {' and '.join(missing)}, got no array; add "
            f"{' '.join(f'--array {n}=..' for n in missing)}"
        )
    found = {a.name: _memory(kernel, a, values[a.name]) for a in kernel.globals}
    for name in kernel.written:
        for other, held in found.items():
            if other != name and np.may_share_memory(found[name], held):
                raise UserError(f"{kernel.name} wants {name} and {other} in separate memory, got the same; copy one")
    return found


def _memory(kernel: Kernel, array: Array, given: Any) -> Memory:
    wanted = np.dtype(DTYPES[array.type])
    if not isinstance(given, np.ndarray) or given.dtype != wanted:
        got = str(given.dtype) if isinstance(given, np.ndarray) else type(given).__name__
        raise UserError(
            f"{kernel.name} wants an array of {SPOKEN[array.type]} ({wanted}) for {array.name}, got {got}; "
            f"convert it: {array.name}.astype('{wanted}')"
        )
    if not given.flags.c_contiguous or (array.name in kernel.written and not given.flags.writeable):
        raise UserError(f"{kernel.name} wants {array.name} contiguous and writable, got neither or one; copy it")
    if given.size > LARGEST:
        raise UserError(f"{kernel.name} wants at most {LARGEST} elements for {array.name}, got {given.size}; split it")
    return given.reshape(-1)


def _none_left_over(kernel: Kernel, values: Mapping[str, Any]) -> None:
    known = (*(s.name for s in kernel.scalars), *(a.name for a in kernel.globals))
    for name in values:
        if name not in known:
            shared = any(a.name == name for a in kernel.shared)
            why = "it is shared: a block's own" if shared else meant(name, known)
            raise UserError(f"{kernel.name} takes no {name}; {why}")
