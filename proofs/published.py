"""The updates that papers state, as lean/updates.lean has them: read as terms, so that a proof can be searched for.

A definition is a list of binders, lines `let x := e`, and a result, which is a number or a structure of numbers. What
is read here is only where the search starts from: Lean compares its proof with the definitions themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from netc.proofs.terms import Term, fresh

FILE = "updates.lean"
HEAD = re.compile(
    r"^noncomputable def (\w+) ((?:(?!\n\n).)*?) :\s+\w+(?: K)? :=\s+(.*?)(?=\n\n|\nend)", re.MULTILINE | re.DOTALL
)
BINDER = re.compile(r"\(([\w ]+) : ([^()]*)\)")
TOKEN = re.compile(r":=|=>|[(){},]|[\w.]+")
RELATIONS = {"A.gt": "gt", "equal": "equal", "choose": "choose", "N.succ": "succ", "max": "max", "pow": "pow"}


@dataclass(frozen=True)
class Published:
    """One definition: the name and the type of each argument, what is named within, and the results by their names."""

    name: str
    binders: tuple[tuple[str, str], ...]
    lets: tuple[tuple[str, Any], ...]
    results: Mapping[str, Any]

    def of(self, given: Mapping[str, Any]) -> dict[str, Term]:
        """The results, everything written out, of these arguments: terms, and functions of indices."""
        scope = dict(given)
        for name, tree in self.lets:
            value = _read(tree, scope)  # what it calls has numbers below its own
            scope[name] = _local(int(fresh()[1:]), value)
        return {name: _read(value, scope) for name, value in self.results.items()}


def text() -> str:
    """The Lean source."""
    return (files("netc.proofs") / "lean" / FILE).read_text(encoding="utf-8")


@cache
def published() -> Mapping[str, Published]:
    """Every definition of the file, by its name."""
    found = {}
    for name, head, body in HEAD.findall(text()):
        binders = tuple((n, kind.strip()) for names, kind in BINDER.findall(head) for n in names.split() if n != "A")
        tokens, lets = TOKEN.findall(body), []
        while tokens[0] == "let":
            local, tokens = tokens[1], tokens[3:]
            value, tokens = _expression(tokens)
            lets.append((local, value))
        if tokens[0] == "{":
            results: dict[str, Any] = {}
            while tokens[0] != "}":
                field = tokens[1]
                results[field], tokens = _expression(tokens[3:])
        else:
            results = {"": _expression(tokens)[0]}
        found[name] = Published(name, binders, tuple(lets), results)
    return found


def tree_of(expression: str) -> Any:
    """An expression as nested lists of words; a function is ("fun", names, body)."""
    return _expression(TOKEN.findall(expression))[0]


def _expression(tokens: list[str]) -> tuple[Any, list[str]]:
    """An application, or a function: its tree, and the tokens after it."""
    if tokens[0] == "fun":
        end = tokens.index("=>")
        body, rest = _expression(tokens[end + 1 :])
        return ("fun", tuple(tokens[1:end]), body), rest
    parts = []
    while tokens and tokens[0] not in ("let", ")", "{", "}", ","):
        if tokens[0] == "(":
            inner, tokens = _expression(tokens[1:])
            parts.append(inner)
        else:
            parts.append(tokens[0])
        tokens = tokens[1:]
    return (parts[0] if len(parts) == 1 else parts), tokens


def _read(tree: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(tree, str):
        return _atom(tree, scope)
    if tree[0] == "fun":
        _, names, body = tree
        outer = dict(scope)  # a later name may be the same
        return lambda *indices: _read(body, {**outer, **dict(zip(names, indices, strict=True))})
    head, *arguments = tree
    if callable(scope.get(head)):
        return scope[head](*(_read(a, scope) for a in arguments))
    if head in ("sum", "largest"):
        size, function = (_read(a, scope) for a in arguments[1:])
        index = fresh()
        return (head, index, size[1], function(("i", index)))
    values = [_read(a, scope) for a in arguments if a != "A"]
    if head in RELATIONS:
        return (RELATIONS[head], *values)
    if head.startswith("A."):
        name = head.removeprefix("A.")
        return (name, *values) if name in ("add", "mul") else ("fn", name, *values)
    own = published()[head]
    return own.of(dict(zip((n for n, _ in own.binders), values, strict=True)))[""]


def _local(n: int, value: Any) -> Any:
    """The n-th local name, whose terms say that they are its."""
    if callable(value):
        return lambda *indices: ("let", n, indices, value(*indices))
    return ("let", n, (), value)


def _atom(name: str, scope: Mapping[str, Any]) -> Any:
    if name in scope:
        return scope[name]
    return ("n", 0) if name == "N.zero" else (name.removeprefix("A."),)
