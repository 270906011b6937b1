"""Nests that a program has many times, but for what they read and write: one function each, which is called instead.

Blocks of a deep net are alike, and so are the updates of their parameters. A compiler takes its time for each loop that
it sees, whether it has seen its like or not (docs/design-notes.md has what that was for resnet34). In a short program,
and where a nest stands a few times, it stays where it is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netc.codegen.ir import Op

SHORT = 256  # nests of a program in which all of them stay where they are
OFTEN = 4  # equal nests from which on they are a function
RESULT = "result"
_WORD = re.compile(r"\b[A-Za-z_]\w*")


@dataclass(frozen=True)
class Form:
    """A nest as a function: `kinds` of its arguments, as C declares them, and its statements, which name them x1, x2.

    `result`: the type of the number that it makes, which the statements declare as `result`; empty where all of it lies
    in memory.
    """

    kinds: tuple[str, ...]
    lines: tuple[str, ...]
    result: str = ""


@dataclass(frozen=True)
class Part:
    """What a kernel is in a function: the layer's place, declarations that others read, and its own statements.

    `form`: the same as a function that is called with `given`, and gives `made`; None where it cannot be one. `tail`:
    what comes after it.
    """

    loc: str
    head: tuple[str, ...]
    lines: tuple[str, ...]
    ops: tuple[Op, ...]
    form: Form | None = None
    given: tuple[str, ...] = ()
    made: str = ""
    tail: tuple[str, ...] = ()


def form_of(lines: Sequence[str], kinds: Mapping[str, str], result: str) -> tuple[Form, tuple[str, ...]]:
    """Statements as a function of those names of `kinds` that they mention; and these names, in order."""
    words = dict.fromkeys(word for line in lines for word in _WORD.findall(line) if word in kinds)
    new = {word: f"x{n}" for n, word in enumerate(words, 1)}
    own = tuple(_WORD.sub(lambda found: new.get(found[0], found[0]), line) for line in lines)
    return Form(tuple(kinds[word] for word in words), own, result), tuple(words)


@dataclass
class Common:
    """The nests of a program that are functions."""

    often: Counter[Form] = field(default_factory=Counter)
    firsts: dict[Form, str] = field(default_factory=dict)
    names: dict[Form, str] = field(default_factory=dict)

    def add(self, parts: Iterable[Part]) -> None:
        """Count the nests of a function of the program."""
        for part in parts:
            if part.form is not None:
                self.often[part.form] += 1
                self.firsts.setdefault(part.form, part.loc)

    def lines(self, part: Part) -> list[str]:
        """The statements of a part: its own, or a call."""
        form = part.form
        if form is None or self.often[form] < OFTEN or self.often.total() < SHORT:
            return list(part.lines)
        name = self.names.setdefault(form, f"net_nest{len(self.names) + 1}")
        head = f"const {form.result} {part.made} = {name}(" if form.result else f"{name}("
        return wrapped(head, part.given, ");")

    def functions(self) -> list[str]:
        """The functions that were called, in the order of their numbers."""
        return ["\n".join(self._function(form, name)) for form, name in self.names.items()]

    def _function(self, form: Form, name: str) -> list[str]:
        args = [f"{kind}x{n}" for n, kind in enumerate(form.kinds, 1)]
        end = [f"    return {RESULT};"] if form.result else []
        return [
            f"/* {self.firsts[form]}, and {self.often[form] - 1} more */",
            *wrapped(f"NET_APART static {form.result or 'void'} {name}(", args, ")"), "{",
            *(f"    {line}" for line in form.lines), *end, "}",
        ]  # fmt: skip


def wrapped(head: str, args: Sequence[str], end: str) -> list[str]:
    """A call or the head of a function, at most 110 characters a line."""
    lines, line = [], head
    for n, arg in enumerate(args):
        piece = arg + (", " if n + 1 < len(args) else end)
        if len(line) + len(piece) > 110 and line.strip():
            lines.append(line.rstrip())
            line = "    "
        line += piece
    return [*lines, line]
