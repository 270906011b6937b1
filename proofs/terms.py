"""Terms of Lean, as tuples: numbers of the ring, truth values and indices. How each is printed, and substitution.

Numbers: (zero,) (one,) (minus,) (half,) (lowest,) (erf_slope,) (add, a, b) (mul, a, b) (sum, i, size, a)
(largest, i, size, a) (scan, i, size, a, u, t) (scan_back, i, size, a, u, t)
(before, i, size, h, t) (max, a, b) (choose, c, a, b) (ind, c) (fn, name, a) (ref, name, indices) (t, name, indices)
(pow, a, i) (named, name) (let, number, indices, a): a, which has a local name. (stated, name, indices): a paper's.
Truth values: (gt, a, b) (tied, a, b) (equal, i, j) (less, i, j) (and, c, d) (or, c, d) (not, c)
(ref, name, indices).
Indices: (i, name) (n, number) (size, name) (plus, i, j) (times, i, j) (succ, i) (clamp, size, i) or a ref.
A size #3 is that number; any other is a variable.
A `ref` names a definition of the file, or a field of the point; `t` is the derivative of one along the direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

Term = tuple[Any, ...]
ZERO, ONE, MINUS, HALF, LOWEST = ("zero",), ("one",), ("minus",), ("half",), ("lowest",)
ERF_SLOPE = ("erf_slope",)
PARTS = {  # which parts of a term are terms
    "add": (1, 2), "mul": (1, 2), "max": (1, 2), "choose": (1, 2, 3), "ind": (1,),
    "fn": (2,), "gt": (1, 2), "tied": (1, 2), "equal": (1, 2), "less": (1, 2), "and": (1, 2), "or": (1, 2),
    "plus": (1, 2),
    "times": (1, 2), "clamp": (2,), "not": (1,), "pow": (1, 2), "succ": (1,), "let": (3,),
}  # fmt: skip
BINDS = {  # (head, index, size, ..): the parts that the index is bound in, and those that it is not
    "sum": ((3,), ()), "largest": ((3,), ()), "scan": ((3, 4), (5,)), "scan_back": ((3, 4), (5,)),
    "before": ((3,), (4,)),
}  # fmt: skip
SIZELESS = ("scan", "before")  # which do not read the size
VALUES = ("ref", "t", "stated")  # names at indices
TRUTHS = {"and": "both", "or": "either"}  # as the library names them

_number = count()


def fresh() -> str:
    """A new name of a bound index."""
    return f"k{next(_number)}"


def restart() -> None:
    """Number bound indices from 0 again, so that the same net gives the same file."""
    global _number  # noqa: PLW0603
    _number = count()


def mul(*factors: Term) -> Term:
    """The product, nested to the right; 1 for none."""
    if not factors:
        return ONE
    return factors[0] if len(factors) == 1 else ("mul", factors[0], mul(*factors[1:]))


def add(*parts: Term) -> Term:
    """The sum, nested to the right; 0 for none."""
    if not parts:
        return ZERO
    return parts[0] if len(parts) == 1 else ("add", parts[0], add(*parts[1:]))


def sums(bound: tuple[tuple[str, str], ...], body: Term) -> Term:
    """Nested sums over (index, size), the first outermost."""
    for name, size in reversed(bound):
        body = ("sum", name, size, body)
    return body


def replaced(term: Term, by: Mapping[str, Term], *, renew: bool = True) -> Term:
    """Indices replaced, and every bound index renamed."""
    head = term[0]
    if head == "i":
        return by.get(term[1], term)
    if head in VALUES:
        return (head, term[1], tuple(replaced(i, by) for i in term[2]))
    if head == "let":
        return (head, term[1], tuple(replaced(i, by, renew=renew) for i in term[2]), replaced(term[3], by, renew=renew))
    if head in BINDS:
        name = fresh() if renew else term[1]
        inner = {**by, term[1]: ("i", name)}
        within, _ = BINDS[head]
        parts = (replaced(x, inner if n in within else by, renew=renew) for n, x in enumerate(term[3:], 3))
        return (head, name, term[2], *parts)
    if (places := PARTS.get(head)) is None:
        return term
    return tuple(replaced(x, by, renew=renew) if n in places else x for n, x in enumerate(term))


def free(term: Term) -> frozenset[str]:
    """The indices that a term depends on."""
    head = term[0]
    if head == "i":
        return frozenset((term[1],))
    if head in VALUES:
        return frozenset().union(*(free(i) for i in term[2]))
    within, beside = BINDS.get(head, ((), PARTS.get(head, ())))
    inner: frozenset[str] = frozenset().union(*(free(term[n]) for n in within))
    return inner.difference(term[1:2]).union(*(free(term[n]) for n in beside))


def names_in(term: Any) -> Iterator[str]:
    """The names of the values that a term reads, each as often as it does."""
    if isinstance(term, tuple) and term:
        if term[0] == "ref":
            yield term[1]
        for part in term:
            yield from names_in(part)


def shown(term: Term) -> str:
    """As Lean reads it, in a place where A, S, P (and D for a derivative) are bound."""
    match term:
        case (("add" | "mul" | "gt") as name, a, b):
            return f"(A.{name} {shown(a)} {shown(b)})"
        case (head, *_) if head in BINDS:
            return _of_functions(*term)
        case (("max" | "pow" | "tied") as name, a, b):
            return f"({name} A {shown(a)} {shown(b)})"
        case ("choose", c, a, b):
            return f"(choose {shown(c)} {shown(a)} {shown(b)})"
        case (("ind" | "not") as name, c):
            return f"({'ind A' if name == 'ind' else name} {shown(c)})"
        case ("fn", name, a):
            return f"(A.{name} {shown(a)})"
        case (("equal" | "less" | "plus" | "times") as name, i, j):
            return f"({name} {shown(i)} {shown(j)})"
        case (("and" | "or") as name, a, b):
            return f"({TRUTHS[name]} {shown(a)} {shown(b)})"
        case ("clamp", size, i):
            return f"(clamp {_atom(('size', size))} {shown(i)})"
        case ("let", _, _, a):
            return shown(a)
        case (("t" | "stated" | "ref") as head, name, at):
            return applied(_head(head, name), at)
    return _atom(term)


def _of_functions(head: str, index: str, size: str, *parts: Term) -> str:
    within, _ = BINDS[head]
    of = "A" if head in SIZELESS else f"A {_atom(('size', size))}"
    texts = (f"(fun {index} => {shown(x)})" if n in within else shown(x) for n, x in enumerate(parts, 3))
    return f"({' '.join((head, of, *texts))})"


def _head(head: str, name: str) -> str:
    """What is applied to indices."""
    if name.startswith("P."):
        return f"D.{name[2:]}" if head == "t" else name
    return {"t": f"t_{name} A S P D", "stated": f"{name} A S P t"}.get(head, f"{name} A S P")


def _atom(term: Term) -> str:
    """What has no parts."""
    match term:
        case (name,):
            return f"A.{name}"
        case (("i" | "named"), name):
            return str(name)
        case ("succ", i):
            return f"(N.succ {shown(i)})"
        case ("n", number):
            return "N.zero" if number == 0 else f"(N.succ {shown(('n', number - 1))})"
        case ("size", name):
            return _atom(("n", int(name[1:]))) if name.startswith("#") else f"S.{name}"
    raise AssertionError(term)


def applied(function: str, at: tuple[Term, ...]) -> str:
    """An application, in parentheses where it has arguments."""
    text = " ".join((function, *map(shown, at)))
    return f"({text})" if " " in text else text
