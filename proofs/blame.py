"""Where a proof stopped: the operations of a backward pass that do not give what they should, or that Lean refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from netc.proofs.exported import Definition, Exported

DECLARED = re.compile(r"(?:noncomputable def|theorem) (\w+)")
WHOLE = re.compile(r"main\d+|gradients_are_the_derivative")  # theorems that are about all operations


class NotProvenError(Exception):
    """A gradient that could not be shown to be the derivative: whose, and where the proof stopped."""


@contextmanager
def working_at(loc: str) -> Iterator[None]:
    """Where terms are too deep for Python's stack, whose."""
    try:
        yield
    except RecursionError as error:
        raise NotProvenError(f"{loc}: the terms that say what it is are too deep for the search") from error


def blamed(gradient: Definition | None, exported: Exported, cotangents: Collection[str]) -> str:
    """Where the way to a gradient was lost: the operations after the last cotangents that were found, of one layer."""
    definitions = exported.definitions
    unknown: dict[str, Definition] = {}
    todo = [gradient] if gradient else []
    while todo:
        d = todo.pop()
        if d.backward and d.name not in cotangents and d.name not in unknown:
            unknown[d.name] = d
            names = [exported.names.get(v, "") for v in d.op.operands]
            todo += [definitions[n] for n in names if n in definitions]
    found = [d for d in definitions.values() if d.name in unknown and not d.alias]
    if not found:
        return ""
    kinds = dict.fromkeys(d.kind for d in found if d.loc == found[0].loc)
    return f"; the operations that do not give it are of {found[0].loc}: {', '.join(kinds)}"


def refused(text: str, messages: str) -> tuple[str, ...]:
    """Whose operations the theorems of a file are that Lean refused, in netc's words, each once."""
    lines, wrong = text.splitlines(), dict[str, None]()
    for number in re.findall(r":(\d+):\d+: error", messages):
        at = next((n for n in range(int(number) - 1, -1, -1) if DECLARED.match(lines[n])), None)
        if at is not None and (place := _place(lines, at, int(number))):
            wrong[place] = None
    return tuple(wrong)


def _place(lines: Sequence[str], at: int, end: int) -> str:
    """The place in the comment on a declaration, or on the operation that its name or what it states begins with."""
    name = DECLARED.match(lines[at])
    if name is None or WHOLE.fullmatch(name[1]):
        return ""
    if said := re.fullmatch(r"/-- (.*) -/", lines[at - 1]):
        return said[1]
    operation = re.search(r"(?<![a-z0-9])v\d+(?=_is|\b)", "\n".join((name[1].replace("_", " "), *lines[at:end])))
    made = f"noncomputable def {operation[0]} " if operation else ""
    where = next((n for n in range(at, -1, -1) if made and lines[n].startswith(made)), 0)
    return said[1] if where and (said := re.fullmatch(r"/-- (.*) -/", lines[where - 1])) else ""
