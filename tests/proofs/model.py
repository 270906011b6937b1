"""A model of what a proof assumes: numbers modulo a prime, read from the text of the file, which holds all of it.

If every hypothesis holds here, where 0 is not 1, they do not contradict each other, and the theorem is not empty. The
sizes are those of the program; what is past them is there, too. Parameters are drawn. A function on numbers is drawn
value by value, odd where it should be; exp is above 0, but 0 where a hypothesis on a mask says so, and nowhere else.
The logistic function is made of it.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from hashlib import blake2b
from itertools import product
from typing import Any

from netc.proofs.published import tree_of

PRIME = 2**61 - 1  # 2 has a square root, and a square's is a power
SMALL = 2**40  # above all exps: so a few of them are above 1
POINTS = 10  # of indices, for each hypothesis
DEFINITION = re.compile(r"^noncomputable def (v\d+) .*:=\n  (.*)$", re.MULTILINE)
SIZE = re.compile(r"^  (\w+) : N  -- (?:a place or a step, )?(-?\d+)", re.MULTILINE)
LITERAL = re.compile(r"^  (c\d+) : K  -- the literal (\S+) of", re.MULTILINE)
FIELD = re.compile(r"^  (\w+) : ((?:N → )*)([KNB])  --", re.MULTILINE)
CLAIM = re.compile(r"^  (\w+) : ((?:\([\w ]+ : [NK]\) → )*)Same (.*?)(?:  -- .*)?$", re.MULTILINE)
ODD = ("tanh", "erf")

OPERATIONS: dict[str, Callable[..., Any]] = {
    "A.add": lambda x, y: (x + y) % PRIME, "A.mul": lambda x, y: x * y % PRIME, "ind": int,
    "A.recip": lambda x: pow(x, -1, PRIME) if x else 0, "pow": lambda x, n: pow(x, n, PRIME),
    "equal": lambda i, j: i == j, "less": lambda i, j: i < j, "both": lambda c, d: c and d,
    "not": lambda c: not c, "tied": lambda x, y: x == y,
    "plus": lambda i, j: i + j, "times": lambda i, j: i * j, "N.succ": lambda i: i + 1,
    "clamp": lambda n, i: min(i, max(n - 1, 0)),
}  # fmt: skip


def structure(text: str, name: str) -> str:
    """The fields of a structure."""
    return text.partition(f"structure {name}")[2].partition(" where\n")[2].partition("\n\n")[0]


def number(value: float) -> int:
    """A literal: a fraction, the root of one, or else anything; the smallest positive number is 0, below all others."""
    if 0 < value < 1e-30:
        return 0
    for power in (1, 2):
        near = Fraction(value**power).limit_denominator(4096)
        if math.isclose(near, value**power, rel_tol=1e-15):
            found = near.numerator * pow(near.denominator, -1, PRIME) % PRIME
            return found if power == 1 else pow(found, (PRIME + 1) // 4, PRIME)
    return drawn("literal", value)


def drawn(*of: Any) -> int:
    """A number that is no 0, always the same of the same."""
    return 1 + int.from_bytes(blake2b(repr(of).encode(), digest_size=8).digest()) % (PRIME - 1)


class Model:
    """The model of a file, or of a part of one; `library` has the laws."""

    def __init__(self, text: str, library: str) -> None:
        self.bodies = {name: tree_of(body) for name, body in DEFINITION.findall(text)}
        self.sizes = {name: int(n) for name, n in SIZE.findall(structure(text, "Sizes"))}
        self.kinds = {name: kind for name, _, kind in FIELD.findall(structure(text, "Point"))}
        self.literals = {f"P.{name}": number(float(v)) for name, v in LITERAL.findall(structure(text, "Point"))}
        self.claims = [self._claim(*c) for c in CLAIM.findall(structure(text, "Given"))]
        self.laws = [self._claim(*c) for c in CLAIM.findall(structure(library, "Laws"))]
        above = any(name == "above" for name, _, _ in self.claims)  # then no number is below 0
        self.bottom = 0 if above else (PRIME + 1) // 2  # else half of the numbers are below 0
        self.held: dict[Any, Any] = {}
        self.exps: dict[int, int] = {}

    @staticmethod
    def _claim(name: str, binders: str, sides: str) -> tuple[str, list[tuple[str, str]], list[Any]]:
        kinds = [(n, k) for names, k in re.findall(r"\(([\w ]+) : ([NK])\)", binders) for n in names.split()]
        return name, kinds, tree_of(sides)

    def fails(self) -> list[str]:
        """The names of the hypotheses, and of the laws, that do not hold."""
        wrong = [name for name, kinds, (x, y) in self.claims if not self._interpreted(kinds, x, y)]
        every = any("A.exp" in repr(c) and ("x", "K") in c[1] for c in self.claims)
        for name, body in self.bodies.items() if every else ():  # what the program itself asks of exp
            self.value([name, "A", "S", "P", *("0" for _ in (body[1] if body[0] == "fun" else ()))], {"0": 0})
        for name, kinds, (x, y) in (*self.laws, *self.claims):
            if any(self.value(x, at) != self.value(y, at) for at in self._points(kinds)):
                wrong.append(name)
        return wrong

    def _interpreted(self, kinds: list[tuple[str, str]], x: Any, y: Any) -> bool:
        """Let a field be what it is assumed to be, and exp 0 at the places of a mask, if it is not something else."""
        if isinstance(x, str) and x.startswith("P.") and not kinds:
            self.literals[x] = self.value(y, {})
        if x[0] == "A.exp" and y == "A.zero" and all(k == "N" for _, k in kinds):
            for at in self._points(kinds):
                if self.exps.setdefault(self.value(x[1], at), 0):
                    return False
        return True

    def _points(self, kinds: list[tuple[str, str]]) -> Iterator[dict[str, int]]:
        """Indices, also past the sizes; numbers, also those at which exp is asked for."""
        largest = max(self.sizes.values(), default=1) + 1
        lowest = self.value("A.lowest", {})
        numbers = [0, 1, PRIME - 1, drawn(1), drawn(2), *((a - lowest) % PRIME for a in [*self.exps][:POINTS])]
        ranges = [range(largest + 1) if k == "N" else numbers for _, k in kinds]
        every = [*product(*ranges)] if math.prod(map(len, ranges)) < 4096 else None
        pick = random.Random(len(kinds))
        if every is None:
            chosen: Any = [tuple(pick.choice(r) for r in ranges) for _ in range(POINTS)]
        else:
            chosen = every if all(k == "K" for _, k in kinds) else pick.sample(every, min(POINTS, len(every)))
        return (dict(zip((n for n, _ in kinds), values, strict=True)) for values in chosen)

    def _rank(self, x: int) -> int:
        """What > goes by: an order in which nothing is below the number that a maximum starts from."""
        return (x - self.bottom) % PRIME

    # -- values --------------------------------------------------------------------------------------------------------

    def value(self, tree: Any, at: dict[str, Any]) -> Any:
        """Of an expression: a number, an index, a truth value."""
        if isinstance(tree, str):
            return at[tree] if tree in at else self._word(tree)
        head, *rest = tree
        if head in ("sum", "largest"):
            _, size, (_, (index,), body) = rest
            parts = [self.value(body, {**at, index: i}) for i in range(self.value(size, at))]
            return sum(parts) % PRIME if head == "sum" else max([self._word("A.lowest"), *parts], key=self._rank)
        if head in ("scan", "scan_back"):
            return self._recurrence(head, rest, at)
        if head == "choose":
            return self.value(rest[1] if self.value(rest[0], at) else rest[2], at)
        values = [self.value(r, at) for r in rest if r not in ("A", "S", "P")]
        if head in self.bodies:
            return self._defined(head, values)
        return self._applied(head, values)

    def _recurrence(self, head: str, rest: list[Any], at: dict[str, Any]) -> int:
        (_, (index,), a), (_, (name,), u), t = rest[-3:]
        until, found = self.value(t, at), 0
        steps = range(until + 1) if head == "scan" else range(self.value(rest[1], at) - 1, until - 1, -1)
        for n in steps:
            found = (self.value(a, {**at, index: n}) * found + self.value(u, {**at, name: n})) % PRIME
        return found

    def _exp(self, x: int) -> int:
        return self.exps.setdefault(x, 1 + drawn("exp", x) % SMALL if x else 1)

    def _word(self, name: str) -> Any:
        if name in self.bodies:
            return self._defined(name, [])
        if name.startswith("S."):
            return self.sizes[name[2:]]
        if name.startswith("P."):
            return self.literals[name] if name in self.literals else self._applied(name, [])
        half, minus = pow(2, -1, PRIME), PRIME - 1
        known = {"A.zero": 0, "A.one": 1, "A.minus": minus, "A.half": half, "N.zero": 0, "B.no": False, "t": 3}
        if name == "A.lowest":
            return self.bottom
        return known[name] if name in known else drawn(name)

    def _defined(self, name: str, values: list[Any]) -> Any:
        key = (name, *values)
        if key not in self.held:
            body = self.bodies[name]
            names, inner = (body[1], body[2]) if body[0] == "fun" else ((), body)
            self.held[key] = self.value(inner, dict(zip(names, values, strict=True)))
        return self.held[key]

    def _applied(self, head: str, v: list[Any]) -> Any:
        if head.startswith("P."):
            kind = self.kinds[head[2:]]
            least = min(self.sizes.values(), default=1)  # so that a label is one
            return {"K": drawn(head, *v), "N": drawn(head, *v) % least, "B": drawn(head, *v) % 2 == 0}[kind]
        if head in OPERATIONS:
            return OPERATIONS[head](*v)
        if head in ("max", "A.gt"):
            above = self._rank(v[0]) > self._rank(v[1])
            return above if head == "A.gt" else v[0] if above else v[1]
        if head == "A.exp":
            return self._exp(v[0])
        if head == "A.logistic":
            e = self._exp(PRIME - size if (size := min(v[0], PRIME - v[0])) else 0)
            share = e * pow(1 + e, -1, PRIME) % PRIME
            return (1 - share) % PRIME if self._rank(v[0]) > self._rank(0) else share
        name = head.removeprefix("A.")
        if name in ODD:
            size = min(v[0], PRIME - v[0])
            found = drawn(name, size) if size else 0
            return found if size == v[0] else (PRIME - found) % PRIME
        return drawn(name, v[0])
