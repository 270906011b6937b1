"""What is exported of a program: its definitions, the fields that they read, and how a meaning speaks of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netc.codegen.ir import Function, Op, Value
from netc.proofs.axes import Axes
from netc.proofs.terms import ERF_SLOPE, HALF, LOWEST, MINUS, ONE, ZERO, Term, add, fresh, mul

ALIASES = ("broadcast", "reshape", "transpose", "constant", "iota", "barrier")
KNOWN: dict[float, Term] = {
    0.0: ZERO, 1.0: ONE, -1.0: MINUS, 0.5: HALF, float("-inf"): LOWEST, 2.0: add(ONE, ONE),
}  # fmt: skip
# half of 2/sqrt(pi), which is erf's slope at 0, is in the density of the normal distribution
MULTIPLES: dict[float, tuple[Term, ...]] = {
    2.0: (add(ONE, ONE),), 3.0: (add(ONE, ONE, ONE),), 0.5: (HALF,), 1 / math.sqrt(math.pi): (HALF, ERF_SLOPE),
}  # fmt: skip
TYPES = {"f32": "K", "f64": "K", "i1": "B", "i32": "N"}


@dataclass(frozen=True)
class Definition:
    """One value: a function of `at`, indices below `sizes`, and its meaning `body`; `loc` says whose work it is.

    `layer` is the same in the forward and the backward pass of one layer.
    """

    name: str
    at: tuple[str, ...]
    sizes: tuple[str, ...]
    body: Term
    kind: str
    loc: str
    type: str
    op: Op
    layer: str
    whole: bool = False  # a product that is not seen through

    @property
    def alias(self) -> bool:
        """Whether it only moves or repeats numbers, as a sum along axes of size 1 does."""
        return self.kind in ALIASES or (self.kind == "reduce_sum" and self.body[0] == "ref")

    @property
    def backward(self) -> bool:
        """Whether it is part of the backward pass."""
        return self.loc.endswith("(vjp)")

    @property
    def term(self) -> Term:
        """It at its own indices."""
        return ("ref", self.name, tuple(("i", i) for i in self.at))


@dataclass(frozen=True)
class Field:
    """An argument of the program, or a constant: a field of the point. `trained` if it has a gradient."""

    name: str
    sizes: tuple[str, ...]
    type: str
    trained: bool
    said: str


@dataclass
class Exported:
    """A function's definitions in order, and the fields that they read. `layers`: if places do not say the layers."""

    function: Function
    axes: Axes
    layers: Mapping[Value, str] | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=dict)
    constants: dict[tuple[float, str], str] = field(default_factory=dict)
    chosen: dict[str, object] = field(default_factory=dict)
    tables: dict[tuple[object, str], str] = field(default_factory=dict)
    offsets: dict[int, str] = field(default_factory=dict)
    named: Mapping[float, Term] = field(default_factory=dict)
    exact: bool = False

    def at(self, value: Value, indices: Sequence[Sequence[Term]]) -> Term:
        """A value at indices, given for each of its axes."""
        return ("ref", self.names[value], tuple(i for axis in indices for i in axis))

    def keep_whole(self) -> None:
        """Keep each product of the forward pass by one number, such as an average, that a sum there reads as it is.

        A pullback has that sum, and it could not be told among the number and the other factor.
        """
        for sum_ in [d for d in self.definitions.values() if d.kind == "reduce_sum" and not d.backward]:
            d = self.definitions.get(self.names[sum_.op.operands[0]])
            factors = [self.definitions.get(self.names[v]) for v in d.op.operands] if d and d.kind == "mul" else []
            if d and not d.backward and any(f and f.kind == "constant" for f in factors):
                self.definitions[d.name] = replace(d, whole=True)

    def dropped(self, d: Definition) -> set[str]:
        """Of d's layer what comes after d in the forward pass and is dropped out: a choice, and what it chooses."""
        order = [*self.definitions]
        after = (self.definitions[name] for name in order[order.index(d.name) + 1 :])
        choices = [c for c in after if c.layer == d.layer and c.kind == "select" and not c.backward]
        read = {self.names.get(v, "") for c in choices for v in c.op.operands}
        return {c.name for c in choices} | {
            n for n in read if n in self.definitions and self.definitions[n].kind == "mul"
        }

    def place(self, op: Op) -> str:
        """Where literals of one value are one number: a layer, or a whole text that netc did not write."""
        return op.loc.removesuffix(" (vjp)") if self.layers is None else "the text"

    def offset(self, number: int) -> Term:
        """A place along an axis, or a step: 0 is itself, any other number is a variable, which may be any number."""
        if self.exact or not number:
            return ("n", number)
        return ("size", self.offsets.setdefault(number, f"o{number}"))

    def number(self, value: float, place: str) -> Term:
        """A literal: 0, 1, -1, 1/2, 2 and lowest are themselves; any other is a variable, one for each layer.

        But one that is twice, three times or half of another of its layer is that.
        """
        if (known := KNOWN.get(value) or self.named.get(value)) is not None:
            return known
        if value < 0:
            return mul(MINUS, self.number(-value, place))
        if (value, place) not in self.constants:
            for (other, where), name in self.constants.items():
                for factor, times in MULTIPLES.items():
                    if where == place and not (share(value) and share(other)) and close(value, factor * other):
                        return mul(*times, ("ref", name, ()))
            name = f"P.c{len(self.constants)}"
            self.constants[value, place] = name
            self.fields[name] = Field(name, (), "K", False, f"the literal {value!r} of {place}")
        return ("ref", self.constants[value, place], ())


def share(value: float) -> int:
    """n for a literal 1/n, otherwise 0."""
    n = round(1 / value) if 0 < value < 1 else 0
    return n if n and float(1 / n) == value else 0


def close(x: float, y: float) -> bool:
    """Whether two literals are one number, rounded at most twice."""
    return math.isclose(x, y, rel_tol=4e-16)


Indices = list[tuple[Term, ...]]
Meaning = Callable[[Exported, Op, Indices], Term]


def bound(e: Exported, value: Value, axes: Sequence[int]) -> tuple[dict[int, tuple[Term, ...]], list[tuple[str, str]]]:
    """New indices for the factors of some axes of a value, and (index, size) of each."""
    names, new, made = e.axes.names(value), {}, []
    for a in axes:
        own = [(fresh(), size) for size in names[a]]
        made += own
        new[a] = tuple(("i", i) for i, _ in own)
    return new, made


def one_index(e: Exported, value: Value, axis: int, at: Sequence[Term]) -> Term:
    """The index of a whole axis from those of its factors, in row-major order; 0 for an axis of size 1."""
    if not at:
        return ("n", 0)
    found, *rest = at
    for size, i in zip(e.axes.names(value)[axis][1:], rest, strict=True):
        found = ("plus", ("times", found, ("size", size)), i)
    return found
