"""Functions as values: those of the file, with the names that they see and the arguments that they have so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netc.netspec.lean.source import Closure, Span, Value
from netc.netspec.lean.tree import Function, Scope


@dataclass(frozen=True, slots=True)
class Env:
    """The local names that an expression sees, and where it looks up the others."""

    names: dict[str, Value]
    scope: Scope

    def bind(self, names: Mapping[str, Value]) -> Env:
        """With these names too."""
        return Env({**self.names, **names}, self.scope)


@dataclass(frozen=True, eq=False)
class Lambda(Closure):
    """A function of the file, with the arguments that it has so far, by their positions."""

    node: Function
    env: Env
    given: Mapping[int, Value] = field(default_factory=dict)

    def missing(self) -> list[int]:
        """The explicit parameters that have no argument yet."""
        return [i for i, p in enumerate(self.node.parameters) if p.explicit and i not in self.given]

    def complete(self) -> bool:
        """Whether what is missing has defaults."""
        return all(self.node.parameters[i].default is not None for i in self.missing())


@dataclass(frozen=True, slots=True)
class Given:
    """An argument's value; `name` where it was given by name."""

    value: Value
    at: Span
    name: str = ""
