"""Values beside their types: what a message calls them, how Lean prints them, whether they are equal, and coercions."""

from __future__ import annotations

import math
from collections.abc import Callable

from netc.netspec.lean.source import Built, Closure, Integer, Misread, Product, Record, Span, Value
from netc.netspec.lean.tree import Type

PRINTED = 40  # characters of a value that a message shows
LARGEST_TREE = 200_000  # values in a value
LONGEST_LIST = 10_000
LONGEST_STRING = 10_000
MOST_BITS = 256  # of an integer
OPENING = {"(": ")", "[": "]", "⟨": "⟩", "{": "}"}
SEQUENCES = frozenset(("List", "Array"))
NATURALS = frozenset(("Nat", "USize", "UInt8", "UInt16", "UInt32", "UInt64", "Fin"))


def described(value: Value) -> str:
    """What a message calls the value."""
    if isinstance(value, bool):
        return f"the Bool {str(value).lower()}"
    if isinstance(value, Integer):
        return f"the Int {int(value)}"
    if isinstance(value, int):
        return f"the Nat {value}"
    if isinstance(value, float):
        return f"the Float {value}"
    if isinstance(value, str):
        return f"the String {value[:PRINTED]!r}" + (".." if len(value) > PRINTED else "")
    if isinstance(value, tuple):
        return f"a list of {len(value)}"
    if isinstance(value, Built):
        return f".{value.head}"
    if isinstance(value, Record):
        return f"a structure with {', '.join(list(value.fields)[:4]) or 'no fields'}"
    return "a tuple" if isinstance(value, Product) else "a function"


def printed(value: Value, at: Span) -> str:
    """`toString value`; raises Misread for what Lean prints no simple way, and for too long a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        spelled = {math.inf: "inf", -math.inf: "-inf"}
        return "NaN" if math.isnan(value) else spelled.get(value) or f"{value:.6f}"
    if isinstance(value, tuple | Product):
        items = value if isinstance(value, tuple) else value.items
        if any(isinstance(item, tuple | Product) for item in items):
            raise Misread(at, "wants a list of plain values to print, got a list of lists")
        text = ", ".join(printed(item, at) for item in items)
        if len(text) > LONGEST_STRING:
            raise Misread(at, f"wants a String of at most {LONGEST_STRING} characters, got {len(text)}")
        return f"[{text}]" if isinstance(value, tuple) else f"({text})"
    raise Misread(at, f"wants a number, a String or a list to print, got {described(value)}")


def product(*items: Value) -> Product:
    """A tuple; one that ends in a tuple is one longer tuple: `(a, (b, c))` is `(a, b, c)`."""
    last = items[-1] if items else None
    return Product((*items[:-1], *last.items)) if isinstance(last, Product) else Product(items)


def counted(value: Value, at: Span) -> int:
    """How many values a value holds, shared ones as often as they appear; raises Misread for too many."""
    stack, number = [value], 0
    while stack:
        number += 1
        if number > LARGEST_TREE:
            raise Misread(at, f"wants a value of at most {LARGEST_TREE} parts, got more; make the lists shorter")
        item = stack.pop()
        if isinstance(item, tuple):
            stack += item
        elif isinstance(item, Product):
            stack += item.items
        elif isinstance(item, Built):
            stack += (*item.args, *item.named.values())
        elif isinstance(item, Record):
            stack += (v for v, _ in item.fields.values())
    return number


def equal(left: Value, right: Value, at: Span) -> bool:
    """Lean's `==`; raises Misread for functions and for values of two kinds."""
    if not isinstance(left, Closure | Record) and not isinstance(right, Closure | Record):
        counted(left, at)  # so that Python's comparison, which follows shared parts again and again, is short
        number = isinstance(left, int | float) and not isinstance(left, bool)
        other = isinstance(right, int | float) and not isinstance(right, bool)
        if (number and other) or kind(left) is kind(right):
            return left == right
    raise Misread(at, f"wants two values of one type to compare, got {described(left)} and {described(right)}")


def kind(value: Value) -> type:
    """The Python class that stands for its Lean type, as far as equality asks."""
    return next(c for c in (bool, int, float, str, tuple, Product, Built, Record, Closure) if isinstance(value, c))


def bare(words: Type) -> Type:
    """The type without brackets around all of it."""
    while len(words) > 2 and words[0] == "(" and words[-1] == ")" and _closes(words) == len(words) - 1:
        words = words[1:-1]
    return words


def _closes(words: Type) -> int:
    depth = 0
    for i, word in enumerate(words):
        depth += (word in OPENING) - (word in OPENING.values())
        if depth == 0:
            return i
    return len(words)


def head(words: Type) -> str:
    """The type's first word, without its namespace: "NetSpec" of `LeanMlir.NetSpec`; nothing for `A → B`, `A × B`."""
    words = bare(words)
    plain = words and len(arrows(words)) == 1 and len(factors(words)) == 1
    return words[0].rpartition(".")[2] if plain else ""


def element(words: Type) -> Type:
    """The type of a list's elements."""
    words = bare(words)
    return bare(words[1:]) if head(words) in SEQUENCES else ()


def arrows(words: Type) -> tuple[Type, ...]:
    """`A → B → C` in its parts."""
    return _parts(bare(words), ("→", "->"))


def factors(words: Type) -> tuple[Type, ...]:
    """`A × B × C` in its parts."""
    return _parts(bare(words), ("×",))


def _parts(words: Type, symbols: tuple[str, ...]) -> tuple[Type, ...]:
    """What stands between the symbols, outside brackets."""
    if not any(s in words for s in symbols):
        return (words,)
    parts: list[Type] = []
    depth = start = 0
    for i, word in enumerate(words):
        depth += (word in OPENING) - (word in OPENING.values())
        if depth == 0 and word in symbols:
            parts.append(bare(words[start:i]))
            start = i + 1
    return (*parts, bare(words[start:]))


def conform(value: Value, words: Type, at: Span) -> Value:
    """The value at a declared type, an integer as a Float where one is wanted; raises Misread for a misfit."""
    if not words or isinstance(value, Closure):
        return value
    name = head(words)
    if name in SEQUENCES:
        if not isinstance(value, tuple):
            raise _misfit(value, name, at)
        inner = element(words)
        if head(inner) in _PLAIN or len(factors(inner)) > 1:
            return tuple([conform(item, inner, at) for item in value])
        return value
    parts = factors(words)
    if isinstance(value, Product) and len(parts) == len(value.items) > 1:
        return Product(tuple([conform(v, t, at) for v, t in zip(value.items, parts, strict=True)]))
    if name not in _PLAIN:
        return value
    fits = _PLAIN[name](value)
    if fits is None:
        raise _misfit(value, name, at)
    return fits


def _misfit(value: Value, name: str, at: Span) -> Misread:
    why = {"Nat": "; a Nat is a whole number from 0 on"} if isinstance(value, Integer | float) else {}
    return Misread(at, f"wants a {name}, got {described(value)}{why.get(name, '')}")


def _natural(value: Value) -> Value | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if whole and isinstance(value, int) else None


def _integer(value: Value) -> Value | None:
    return Integer(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Value) -> Value | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


_PLAIN: dict[str, Callable[[Value], Value | None]] = {
    **dict.fromkeys(NATURALS, _natural),
    "Int": _integer,
    "Float": _float,
    "Float32": _float,
    "String": lambda value: value if isinstance(value, str) else None,
    "Bool": lambda value: value if isinstance(value, bool) else None,
    "NetSpec": lambda value: value if isinstance(value, Record) else None,
    "TrainConfig": lambda value: value if isinstance(value, Record) else None,
    "Layer": lambda value: value if isinstance(value, Built) else None,
}
