"""The words of kernels in Python: `from netc.kernels.words import *`, and `@kernel` on a function.

The function is read and not executed; outside of a kernel the words have no meaning. Under a plain `@kernel` it becomes
a `KernelFunction`, which runs on NumPy arrays in place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from netc.kernels.ir import AXES, Kernel, KernelError
from netc.netspec.errors import UserError

__all__ = [
    "Array", "Shared", "atomic_add", "atomic_max", "atomic_min", "barrier", "block_dim", "block_idx", "cos", "exp",
    "float32", "float64", "floor", "global_idx", "grid_dim", "int32", "kernel", "log", "pow", "sin", "sqrt", "tanh",
    "thread_idx", "uint8",
]  # fmt: skip


class _Word:
    """A type, an index or a function of kernels."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, what: Any) -> Any:
        return self

    def __getattr__(self, axis: str) -> Any:
        if axis not in AXES:
            raise AttributeError(axis)
        return self._only(self.name)

    def __call__(self, *args: Any) -> Any:
        return self._only(self.name)

    @staticmethod
    def _only(name: str) -> NoReturn:
        raise UserError(f"{name} can only be used in a function under @kernel, which is read and not called; launch it")


Array: Any
Shared: Any
float32: Any
float64: Any
int32: Any
uint8: Any
global_idx: Any
thread_idx: Any
block_idx: Any
block_dim: Any
grid_dim: Any
barrier: Any
atomic_add: Any
atomic_min: Any
atomic_max: Any
exp: Any
log: Any
sqrt: Any
tanh: Any
sin: Any
cos: Any
floor: Any
pow: Any  # noqa: A001 (it is a word of kernels, and Python's own has no other meaning there)
for _name in __all__:
    if _name != "kernel":
        globals()[_name] = _Word(_name)


class KernelFunction:
    """A kernel of this program."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__, self.__name__ = function.__doc__, function.__name__

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel. Raises KernelError for a function that is none."""
        from netc.kernels.python import kernels_of

        code = self._function.__code__
        file = inspect.getsourcefile(self._function)
        if file is None or not Path(file).is_file():
            raise KernelError(code.co_filename, code.co_firstlineno, "a kernel must be in a file; save it")
        found = kernels_of(Path(file).read_text(encoding="utf-8"), file)
        named = [k for k in found if k.name == self.__name__]
        if not named:
            raise KernelError(file, code.co_firstlineno, f"{self.__name__} wants @kernel above it in its file; add it")
        return min(named, key=lambda k: abs(k.line - code.co_firstlineno))

    def launch(
        self,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        *,
        target: str = "c",
        shared: dict[str, int] | None = None,
        **arguments: Any,
    ) -> None:
        """Run the kernel on the arrays given, in place: `saxpy.launch(4, 256, N=1000, alpha=2.5, x=x, ..)`.

        `target` is c, simulate or opencl. Raises UserError before anything runs, KernelError for the faults found.
        """
        from netc.kernels.run import launch

        launch(self.kernel, grid, block, arguments, target, shared)


def kernel(function: Callable[..., Any]) -> KernelFunction:
    """A kernel of a function whose arguments have types: `N: int32`, `x: Array[float32]`, `t: Shared[int32, 64]`."""
    return KernelFunction(function)
