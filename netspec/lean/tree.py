"""The syntax tree of the part of Lean that specifications are written in. `at` is the token that a message marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from netc.netspec.lean.source import Misread
from netc.netspec.lean.tokens import Token

Type: TypeAlias = tuple[str, ...]  # a type is kept as its words: ("List", "Layer")


@dataclass(frozen=True, slots=True)
class Node:
    """An expression, or a pattern."""

    at: Token


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """`64`, `1e-4`, `"text"`, `'c'`."""

    value: int | float | str


@dataclass(frozen=True, slots=True)
class Interpolated(Node):
    """`s!"block {n}"`."""

    parts: tuple[str | Node, ...]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """`width`, `List.replicate`, `base.layers`: which part is a namespace and which a field is found later."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.dense`: a constructor whose type the place says."""

    name: str


@dataclass(frozen=True, slots=True)
class Hole(Node):
    """`_`."""


@dataclass(frozen=True, slots=True)
class Proof(Node):
    """`by ...`, passed over; nothing that is computed needs it."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument; `name` where it is given as `(name := value)`."""

    value: Node
    name: str = ""


@dataclass(frozen=True, slots=True)
class Apply(Node):
    """`f a b (c := d)`."""

    function: Node
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left symbol right`; `at` is the symbol."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-x` or `!x`."""

    symbol: str
    operand: Node


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if .. then .. else if .. then .. else ..`."""

    cases: tuple[tuple[Node, Node], ...]
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Arm:
    """`| 0, k | 1, k => body`: alternatives, each with one pattern for each value that is matched."""

    alternatives: tuple[tuple[Node, ...], ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Match(Node):
    """`match a, b with ..`."""

    values: tuple[Node, ...]
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: a name, or a pattern such as `(a, b)`; what is not explicit need not be given."""

    pattern: Node
    type: Type = ()
    default: Node | None = None
    explicit: bool = True

    @property
    def name(self) -> str:
        """Its name, or nothing."""
        return ".".join(self.pattern.parts) if isinstance(self.pattern, Name) else ""


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`fun x y => body`, and what a definition with parameters defines."""

    parameters: tuple[Parameter, ...]
    body: Node
    type: Type = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """`let pattern : type := value`; `recursive` for the definitions after a `where`."""

    pattern: Node
    value: Node
    type: Type = ()
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`let`s, and what they are for."""

    bindings: tuple[Binding, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Items(Node):
    """`[a, b]` or `#[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Group(Node):
    """`(a, b)` or `⟨a, b⟩`; `anonymous` for the second, which may also make a structure."""

    items: tuple[Node, ...]
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """`name := value` in a structure."""

    at: Token
    name: str
    value: Node


@dataclass(frozen=True, slots=True)
class Structure(Node):
    """`{ base with name := value }`, or the fields under a `where`."""

    bases: tuple[Node, ...]
    fields: tuple[Assign, ...]
    type: Type = ()


@dataclass(frozen=True, slots=True)
class Project(Node):
    """`value.name` or `value.1`; `at` is the name."""

    value: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`value[index]`, with `!` or `?` after it."""

    value: Node
    index: Node
    mode: str


@dataclass(frozen=True, slots=True)
class Ascribed(Node):
    """`(value : type)`."""

    value: Node
    type: Type


@dataclass(frozen=True, slots=True)
class Scope:
    """Where names are looked up: the namespace that the text is in, and those that are open."""

    namespace: tuple[str, ...] = ()
    opens: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A `def` or `abbrev`. `body` is None where the text is beyond this language, and `problem` says why."""

    at: Token
    name: tuple[str, ...]
    type: Type
    parameters: tuple[Parameter, ...]
    body: Node | None
    problem: Misread | None
    scope: Scope
    doc: str = ""
    fields: bool = False  # the body is a structure, written as one


@dataclass(frozen=True, slots=True)
class Declared:
    """A `structure` of the file: its fields in order, each with its type; or an `inductive`, without fields."""

    name: tuple[str, ...]
    fields: tuple[Parameter, ...] = ()
