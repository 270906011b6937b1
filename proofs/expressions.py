"""Expressions of the Lean that netc prints and that proofs/lean is written in, read as trees.

A tree is a word; an application, a list of trees; ("fun", names, body); ("all", names, type, body), which is
(names : type) → body; ("to", a, b), which is a → b; ("of", tree, field), which is tree.field; ("let", name, value,
body); ("with", fields), which is { field := value, .. }; ("named", name, value), which is (name := value).
"""

from __future__ import annotations

import re
from typing import Any

Tree = Any
TOKEN = re.compile(r":=|=>|→|[(){},:]|\.?\w[\w.]*")
ENDS = frozenset((")", "}", "{", ",", ":", ":=", "=>", "→", "let"))


def read(text: str) -> Tree:
    """The tree of a whole expression."""
    reader = _Reader(TOKEN.findall(text))
    tree = reader.expression()
    if reader.words:
        raise AssertionError(reader.words)
    return tree


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words = words[::-1]  # the next one is the last

    def _next(self) -> str:
        return self.words[-1] if self.words else ""

    def _take(self, wanted: str) -> None:
        if (got := self.words.pop()) != wanted:
            raise AssertionError((wanted, got, self.words[::-1]))

    def _names(self, end: str) -> tuple[str, ...]:
        names = []
        while self._next() != end:
            names.append(self.words.pop())
        self._take(end)
        return tuple(names)

    def expression(self) -> Tree:
        """A function, a local name, or an application, which may be the left side of an arrow."""
        if self._next() == "fun":
            self.words.pop()
            return ("fun", self._names("=>"), self.expression())
        if self._next() == "let":
            self.words.pop()
            name = self.words.pop()
            self._take(":=")
            return ("let", name, self.expression(), self.expression())
        if (names := self._bound()) is not None:
            kind = self.expression()
            self._take(")")
            self._take("→")
            return ("all", names, kind, self.expression())
        left = self._application()
        if self._next() != "→":
            return left
        self.words.pop()
        return ("to", left, self.expression())

    def _bound(self) -> tuple[str, ...] | None:
        """The names of `(names : type) →`, if that comes next."""
        if self._next() != "(":
            return None
        names: list[str] = []
        for word in self.words[-2::-1]:
            if word == ":" and names:
                break
            if word in ENDS or word == "(":
                return None
            names.append(word)
        del self.words[-len(names) - 2 :]
        return tuple(names)

    def _application(self) -> Tree:
        if self._next() == "{":
            return self._fields()
        parts = []
        while self.words and self._next() not in ENDS:
            parts.append(self._atom())
        return parts[0] if len(parts) == 1 else parts

    def _atom(self) -> Tree:
        tree: Tree = self.words.pop()
        if tree == "(":
            tree = self._named() if self.words[-2:-1] == [":="] else self.expression()
            self._take(")")
            while self._next().startswith("."):
                for field in self.words.pop()[1:].split("."):
                    tree = ("of", tree, field)
        return tree

    def _named(self) -> Tree:
        name = self.words.pop()
        self._take(":=")
        return ("named", name, self.expression())

    def _fields(self) -> Tree:
        self._take("{")
        found = {}
        while self._next() != "}":
            name = self.words.pop()
            self._take(":=")
            found[name] = self.expression()
            if self._next() == ",":
                self.words.pop()
        self._take("}")
        return ("with", found)
