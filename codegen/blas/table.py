"""What a row of the BLAS table holds, and how its letters are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netc.codegen.ir import Value
from netc.netspec.types import DType, TensorType

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "side": {"l": "the matrix a stands on the left", "r": "on the right"},
    "uplo": {"u": "the upper triangle of a symmetric or triangular matrix is read", "l": "the lower"},
    "trans": {"n": "a as it is", "t": "a transposed"},
    "transa": {"n": "a as it is", "t": "a transposed"},
    "transb": {"n": "b as it is", "t": "b transposed"},
    "diag": {"n": "the diagonal of a triangular matrix is read", "u": "it is taken as ones"},
}
"""The letters of each option, as in BLAS; the first is taken where none is given."""

Letters = Mapping[str, str]
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Operand:
    """An operand: its axes by the letters of sizes, `mk`; none for a scalar.

    `turned` are its axes where the option `by` has its second letter.
    """

    name: str
    axes: str = ""
    by: str = ""
    turned: str = ""

    def shape(self, sizes: Sizes, letters: Letters) -> tuple[int, ...]:
        """The sizes of its axes."""
        second = self.by and letters[self.by] == list(OPTIONS[self.by])[1]
        return tuple(sizes[letter] for letter in (self.turned if second else self.axes))


@dataclass(frozen=True)
class Computed:
    """The results, and the pullback: cotangents of the results -> those of the operands, in order.

    What is not differentiable has none.
    """

    results: tuple[Value, ...]
    pull: Callable[..., tuple[Value, ...]] | None


@dataclass(frozen=True)
class Routine:
    """One row: what a routine computes, of what, with which options, and how.

    `equation` is one line; `emit(builder, operands.., options by name)` appends its operations. Results are new
    tensors, named by `results` as BLAS names what it overwrites.
    """

    name: str
    level: int
    equation: str
    operands: tuple[Operand, ...]
    results: tuple[str, ...]
    emit: Callable[..., Computed]
    options: tuple[str, ...] = ()
    differentiable: bool = field(default=True)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The letters of its sizes: m, n, k."""
        used = {letter for operand in self.operands for letter in operand.axes + operand.turned}
        return tuple(letter for letter in "mnk" if letter in used)

    def types(self, sizes: Sizes, letters: Letters, dtype: DType) -> tuple[TensorType, ...]:
        """The types of its operands."""
        return tuple(TensorType(operand.shape(sizes, letters), dtype) for operand in self.operands)


def other(option: str, letter: str) -> str:
    """The other letter of an option: `t` for `n` of trans."""
    first, second = OPTIONS[option]
    return second if letter == first else first
