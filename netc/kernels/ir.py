"""What a kernel is: typed expressions and statements of one thread, which a grid of blocks runs at once.

Every node has the `line` of the text that it was read from. A variable is declared once: its name is unique in the
kernel. Indices count elements; there is no return, so that every thread of a block passes the same barriers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from netc.netspec.errors import UserError

Type: TypeAlias = Literal["f32", "f64", "i32", "u8", "bool"]
Number: TypeAlias = "int | float | bool"
FLOATS: tuple[Type, ...] = ("f32", "f64")
INTEGERS: tuple[Type, ...] = ("i32", "u8")
WIDTHS: dict[Type, int] = {"f32": 4, "f64": 8, "i32": 4, "u8": 1, "bool": 1}
"""Bytes."""
SPOKEN: dict[Type, str] = {"f32": "float", "f64": "double", "i32": "int32", "u8": "uint8", "bool": "a truth value"}
PLACES = ("threadIdx", "blockIdx", "blockDim", "gridDim")
AXES = ("x", "y", "z")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
ARITHMETIC = ("+", "-", "*", "/", "%", "min", "max")
LOGIC = ("&&", "||")
FUNCTIONS = ("exp", "log", "sqrt", "tanh", "sin", "cos", "floor", "abs", "pow")
"""Of floats; `abs` of int32 too, `pow` takes two."""
ATOMICS = ("add", "min", "max")
MOST_SHARED = 227 * 1024  # bytes of shared memory of a block: what today's largest GPUs have


class KernelError(UserError):
    """A kernel that cannot be read or run: `FILE:LINE: wants .., got ..; do this`."""

    def __init__(self, file: str, line: int, sentence: str) -> None:
        self.line = line
        super().__init__(f"{file}:{line}: {sentence}" if line else f"{file}: {sentence}")


@dataclass(frozen=True, slots=True)
class Expr:
    """A value of one thread."""

    type: Type
    line: int


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A number. `free`: a literal, which takes the type of what it meets."""

    value: Number
    free: bool = False


@dataclass(frozen=True, slots=True)
class Var(Expr):
    """A variable of the thread, or a scalar argument."""

    name: str


@dataclass(frozen=True, slots=True)
class Place(Expr):
    """`threadIdx.x` and its like: `name` of PLACES, `axis` 0 to 2."""

    name: str
    axis: int


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """`-x` or `!x`."""

    symbol: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """An operator of ARITHMETIC, COMPARISONS or LOGIC; of logic the right side is computed only where it counts.

    x / 0 is 0 and x % 0 is x for integers, as in Lean; otherwise both round to zero, as in C.
    """

    symbol: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Select(Expr):
    """`if condition then left else right`; one side is computed."""

    condition: Expr
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function of FUNCTIONS."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    """The value in another type; a float to an integer rounds to zero and stops at the type's ends, nan is 0."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """An element of an array."""

    array: str
    index: Expr


@dataclass(frozen=True, slots=True)
class Stmt:
    """A step of a thread."""

    line: int


@dataclass(frozen=True, slots=True)
class Let(Stmt):
    """Declare a variable."""

    name: str
    value: Expr
    mutable: bool = False


@dataclass(frozen=True, slots=True)
class Assign(Stmt):
    """Give a mutable variable a value."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Store(Stmt):
    """Write an element of an array."""

    array: str
    index: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Atomic(Stmt):
    """Read, change and write an element in one: `name` of ATOMICS."""

    name: str
    array: str
    index: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class If(Stmt):
    """Two branches."""

    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class For(Stmt):
    """`name` counts from `start` to before `stop`; `step` is positive, all three are computed once."""

    name: str
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class While(Stmt):
    """As long as the condition holds."""

    condition: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Barrier(Stmt):
    """Every thread of the block waits for the others."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """An argument that is one number."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Array:
    """Memory: global, or `shared` by a block; `size` in elements where the text says it, 0 where the launch does."""

    name: str
    type: Type
    shared: bool = False
    size: int = 0


@dataclass(frozen=True)
class Kernel:
    """A kernel: its arguments in order, its memory, and what each thread does."""

    name: str
    scalars: tuple[Scalar, ...]
    arrays: tuple[Array, ...]
    body: tuple[Stmt, ...]
    file: str
    line: int
    doc: str = ""

    @property
    def globals(self) -> tuple[Array, ...]:
        """The arrays that are arguments."""
        return tuple(a for a in self.arrays if not a.shared)

    @property
    def shared(self) -> tuple[Array, ...]:
        """The arrays of a block."""
        return tuple(a for a in self.arrays if a.shared)

    @property
    def touched(self) -> set[str]:
        """The arrays that the kernel reads or writes."""
        every = tuple(statements(self.body))
        read = {e.array for s in every for p in parts(s) for e in expressions(p) if isinstance(e, Load)}
        return read | {s.array for s in every if isinstance(s, Store | Atomic)}

    @property
    def written(self) -> tuple[str, ...]:
        """The arguments that the kernel writes, in order."""
        stored = {s.array for s in statements(self.body) if isinstance(s, Store | Atomic)}
        return tuple(a.name for a in self.globals if a.name in stored)


def statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Every statement, those within others after them."""
    for s in body:
        yield s
        if isinstance(s, If):
            yield from statements((*s.then, *s.otherwise))
        elif isinstance(s, For | While):
            yield from statements(s.body)


def parts(node: Expr | Stmt) -> Iterator[Expr]:
    """The expressions of a statement or expression itself, without those of statements within it."""
    for f in fields(node):
        value = getattr(node, f.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Expr):
                yield part


def expressions(node: Expr | Stmt) -> Iterator[Expr]:
    """Every expression of a statement or expression, itself too."""
    if isinstance(node, Expr):
        yield node
    for part in parts(node):
        yield from expressions(part)


def meets_barrier(s: Stmt) -> bool:
    """Whether a barrier stands in the statement."""
    return any(isinstance(inner, Barrier) for inner in statements((s,)))
