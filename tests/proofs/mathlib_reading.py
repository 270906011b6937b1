"""What is written in Mathlib's words, read with the precedences that Lean and Mathlib give their notation.

A second reading of proofs/mathlib.py, which knows nothing of how that puts parentheses: `read` makes a tree of the
text, and `meant` the same tree of the checked file's expression.
"""

from __future__ import annotations

import re
from typing import Any

Tree = Any
TOKEN = re.compile(r"(\n)?\s*(:=|=>|==|&&|\|\||Type\*|\.[\w.]+(?<!\.)|[\w.]+|[∑∈∀→=!<+\-*^(){},:])")
INFIX = {  # how tightly it holds, and how tightly what is to its right must
    "→": (25, 25), "||": (30, 31), "&&": (35, 36), "=": (50, 51), "==": (50, 51), "<": (50, 51), "+": (65, 66),
    "-": (65, 66), "*": (70, 71), "^": (75, 75),
}  # fmt: skip
STOPS = frozenset((*INFIX, ")", "}", ",", ":", ":=", "=>", "then", "else", "∈"))


class UnreadableError(Exception):
    """A text that is no expression."""


def read(text: str) -> Tree:
    """The tree of a whole expression; raises UnreadableError where it is none."""
    reader = _Reader([(m[2], m[1] is not None) for m in TOKEN.finditer(text)])
    tree = reader.expression(0)
    if reader.tokens:
        raise UnreadableError(reader.tokens[::-1])
    return tree


class _Reader:
    def __init__(self, tokens: list[tuple[str, bool]]) -> None:
        self.tokens = tokens[::-1]

    def _next(self, place: int = 1) -> str:
        return self.tokens[-place][0] if len(self.tokens) >= place else ""

    def _pop(self) -> str:
        return self.tokens.pop()[0]

    def _take(self, wanted: str) -> None:
        if self._next() != wanted:
            raise UnreadableError(wanted, self.tokens[::-1])
        self._pop()

    def _until(self, end: str) -> tuple[str, ...]:
        names = []
        while self._next() != end:
            names.append(self._pop())
        self._pop()
        return tuple(names)

    def expression(self, holds: int) -> Tree:
        left = self._prefix()
        while (op := self._next()) in INFIX and not self.tokens[-1][1] and INFIX[op][0] >= holds:
            self._pop()
            left = (op, left, self.expression(INFIX[op][1]))
        return left

    def _prefix(self) -> Tree:
        match self._next():
            case "fun":
                self._pop()
                return ("fun", self._until("=>"), self.expression(0))
            case "∀":
                self._pop()
                names = self._until(":")
                kind = self.expression(0)
                self._take(",")
                return ("all", names, kind, self.expression(0))
            case "∑":
                self._pop()
                (index,) = self._until("∈")
                over = self.expression(0)
                self._take(",")
                return ("sum", index, over, self.expression(67))
            case "if":
                self._pop()
                parts = [self.expression(0)]
                for word in ("then", "else"):
                    self._take(word)
                    parts.append(self.expression(0))
                return ("if", *parts)
            case "let":
                self._pop()
                (name,) = self._until(":=")
                value = self.expression(0)
                if not self.tokens or not self.tokens[-1][1]:
                    raise UnreadableError("what comes after `let` is on a line of its own")
                self.tokens[-1] = (self._next(), False)
                return ("let", name, value, self.expression(0))
            case "!":
                self._pop()
                return ("!", self.expression(40))
            case "-":
                self._pop()
                return ("neg", self.expression(75))
        parts = [self._atom()]
        while self.tokens and self._next() not in STOPS and not self.tokens[-1][1]:
            parts.append(self._prefix() if self._next() == "fun" else self._atom())
        return parts[0] if len(parts) == 1 else parts

    def _atom(self) -> Tree:
        tree: Tree = self._pop()
        if tree in STOPS:
            raise UnreadableError(tree, self.tokens[::-1])
        if tree == "{":
            return self._fields()
        if tree == "(":
            tree = self._within()
            while self._next().startswith("."):
                for field in self._pop()[1:].split("."):
                    tree = ("of", tree, field)
        return tree

    def _within(self) -> Tree:
        if self._next(2) == ":=":
            name = self._pop()
            self._pop()
            tree: Tree = ("named", name, self.expression(0))
        else:
            tree = self.expression(0)
            if self._next() == ":":
                self._pop()
                tree = ("typed", tree, self.expression(0))
        self._take(")")
        return tree

    def _fields(self) -> Tree:
        found = {}
        while self._next() != "}":
            (name,) = self._until(":=")
            found[name] = self.expression(0)
            if self._next() == ",":
                self._pop()
        self._pop()
        return ("with", found)


# -- what was meant ----------------------------------------------------------------------------------------------------

WORDS = {"N": "ℕ", "B": "Bool", "Type": "Type*", "N.zero": ("typed", "0", "ℕ"), "N.rec": "Nat.rec", "B.no": "false",
         "B.yes": "true", "Arith": "Functions", "Dual": "DualNumber"}  # fmt: skip
FIELDS = {"re": "fst", "eps": "snd"}
VALUES: dict[str, Tree] = {"zero": "0", "one": "1", "minus": ("neg", "1")}
SIGNS = {"add": "+", "mul": "*"}
OF_TWO = {"Same": "=", "both": "&&", "either": "||", "equal": "==", "plus": "+", "times": "*"}


def _ring(of: Tree) -> Tree:
    return "K" if of == "A" else ["DualNumber", "K"]


def _parts(head: Tree) -> tuple[Tree, str]:
    """The numbers and the field, where a head is one of theirs."""
    if isinstance(head, tuple) and head[0] == "of":
        return head[1], head[2]
    return ("A", head[2:]) if isinstance(head, str) and head.startswith("A.") else (None, "")


def meant(tree: Tree) -> Tree:
    """What the reading of an expression of the checked file is in Mathlib's words."""
    of, name = _parts(tree)
    if name in VALUES:
        return ("typed", VALUES[name], _ring(of))
    match tree:
        case str():
            return _word(tree)
        case ("fun", names, body):
            return ("fun", names, meant(body))
        case ("all", names, kind, body):
            return ("all", names, meant(kind), meant(body))
        case ("to", a, b):
            return ("→", meant(a), meant(b))
        case ("of", inner, field):
            return ("of", meant(inner), FIELDS.get(field, field))
        case ("let", local, value, body):
            return ("let", local, meant(value), meant(body))
        case ("named", local, value):
            return ("named", local, meant(value))
        case ("with", own):
            return ("with", {n: meant(v) for n, v in own.items()})
    return _applied(*tree)


def _word(word: str) -> Tree:
    of, _, name = word.rpartition(".")
    if of and name in FIELDS and of.partition(".")[0] not in ("P", "D", "S"):
        return f"{of}.{FIELDS[name]}"
    return WORDS.get(word, word)


def _applied(head: Tree, *arguments: Tree) -> Tree:
    _, name = _parts(head)
    if name in SIGNS:
        return (SIGNS[name], *map(meant, arguments))
    if isinstance(head, str) and head in OF_TWO:
        return (OF_TWO[head], *map(meant, arguments))
    return _of_numbers(head, *arguments) or _plain(head, *arguments)


def _plain(head: Tree, *arguments: Tree) -> Tree:
    match [head, *arguments]:
        case ["choose", c, a, b]:
            return ("if", meant(c), meant(a), meant(b))
        case ["not", c]:
            return ("!", meant(c))
        case ["less", i, j]:
            return ["decide", ("<", meant(i), meant(j))]
        case ["N.succ", i]:
            return ("+", meant(i), "1")
        case ["clamp", n, i]:
            return ["min", meant(i), ("-", meant(n), "1")]
        case ["Dual.mk", a, b]:
            return ("typed", ("+", ["inl", meant(a)], ["inr", meant(b)]), ["DualNumber", "K"])
    return [meant(head), *map(meant, arguments)]


def _of_numbers(head: Tree, *arguments: Tree) -> Tree:
    """Of what has the numbers as its first argument; None for any other."""
    match [head, *arguments]:
        case ["ind", of, c]:
            return ("typed", ("if", meant(c), "1", "0"), _ring(of))
        case ["pow", _, x, n]:
            return ("^", meant(x), meant(n))
        case [("max" | "tied") as name, of, a, b]:
            return [_of(of, name), meant(a), meant(b)]
        case ["sum", _, n, f]:
            index, body = _function(f)
            return ("sum", index, ["Finset.range", meant(n)], body)
        case ["largest", of, n, f]:
            index, body = _function(f)
            return [_of(of, "largest"), meant(n), ("fun", (index,), body)]
    return None


def _of(numbers: Tree, name: str) -> Tree:
    return f"A.{name}" if numbers == "A" else ("of", meant(numbers), name)


def _function(f: Tree) -> tuple[str, Tree]:
    if f[0] == "fun":
        ((index,), body) = f[1:]
        return ("_i" if index == "_" else index), meant(body)
    return "i", [meant(f), "i"]
