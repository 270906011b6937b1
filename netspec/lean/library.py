"""The functions of Lean's own library that specifications use: one row each, with the kinds of its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from netc.netspec.lean import arithmetic
from netc.netspec.lean.evaluation import Evaluation
from netc.netspec.lean.source import Built, Closure, Integer, Misread, Product, Record, Span, Value
from netc.netspec.lean.tokens import Token
from netc.netspec.lean.tree import Scope
from netc.netspec.lean.values import LONGEST_STRING, described, equal, printed, product

Run: TypeAlias = Callable[[Evaluation, list[Any], Token], Value]


@dataclass(frozen=True)
class Native:
    """`kinds` has a letter for each argument: l list, n Nat, x number, s String, b Bool, f function, o Option, p pair,
    v anything.
    """

    kinds: str
    run: Run


@dataclass(frozen=True, eq=False)
class Primitive(Closure):
    """A library function with the arguments that it has so far, by their positions."""

    name: str
    row: Native
    given: Mapping[int, Value] = field(default_factory=dict)

    def room(self) -> int:
        """How many arguments it still takes."""
        return len(self.row.kinds) - len(self.given)

    def take(self, values: list[Value]) -> Primitive:
        """With more arguments, in the places that are free."""
        free = [i for i in range(len(self.row.kinds)) if i not in self.given]
        return replace(self, given={**self.given, **dict(zip(free, values, strict=False))})

    def on(self, value: Value, run: Evaluation, at: Token) -> Value:
        """`value.name`: the value is the first argument of its own kind."""
        place = next((i for i, k in enumerate(self.row.kinds) if k != "v" and of_kind(value, k)), 0)
        bound = replace(self, given={place: value})
        return bound if bound.room() else bound.run(run, at)

    def run(self, run: Evaluation, at: Token) -> Value:
        """Apply it, having all arguments; raises Misread for one of the wrong kind."""
        values = [self.given[i] for i in range(len(self.row.kinds))]
        for value, letter in zip(values, self.row.kinds, strict=True):
            if not of_kind(value, letter):
                raise Misread(at.span, f"{self.name} wants {KINDS[letter]}, got {described(value)}")
        result = self.row.run(run, values, at)
        if isinstance(result, tuple):
            run.sized(len(result), at)
        elif isinstance(result, str):
            run.sized(len(result), at, LONGEST_STRING)
        elif isinstance(result, int | float) and not isinstance(result, bool):
            arithmetic.checked(result, at.span)
        return result


KINDS = {
    "l": "a list", "n": "a Nat", "x": "a number", "s": "a String", "b": "a Bool", "f": "a function", "o": "an Option",
    "p": "a pair", "v": "a value",
}  # fmt: skip


def of_kind(value: Value, letter: str) -> bool:
    """Whether the value is of the kind that the letter stands for."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    tests: dict[str, bool] = {
        "l": isinstance(value, tuple),
        "n": number and isinstance(value, int) and value >= 0,
        "x": number,
        "s": isinstance(value, str),
        "b": isinstance(value, bool),
        "f": isinstance(value, Closure | Built),
        "o": isinstance(value, Built) and value.head in ("some", "none"),
        "p": isinstance(value, Product),
    }
    return tests.get(letter, True)


def receiver(value: Value) -> tuple[str, ...]:
    """The namespaces in which `value.f` looks for f."""
    if isinstance(value, Built):
        return ("Option",) if value.head in ("some", "none") else ("Layer", "Activation", "Padding")
    table: tuple[tuple[type | tuple[type, ...], tuple[str, ...]], ...] = (
        (bool, ("Bool",)), (Integer, ("Int", "Nat")), (int, ("Nat",)), (float, ("Float",)), (str, ("String",)),
        (tuple, ("List", "Array")), (Product, ("Prod",)), (Record, ("NetSpec", "TrainConfig")),
    )  # fmt: skip
    return next((names for kinds, names in table if isinstance(value, kinds)), ("Function",))


SAME_AS = {"Array": "List", "UInt64": "Nat", "USize": "Nat", "UInt32": "Nat", "Fin": "Nat", "Float32": "Float"}


def primitive(name: str, scope: Scope) -> Primitive | None:
    """The library's function of that name, which may be short where its namespace is open."""
    first, dot, last = name.partition(".")
    full = SAME_AS.get(first, first) + dot + last
    row = ROWS.get(full)
    for opened in scope.opens if row is None and not dot else ():
        row = row or ROWS.get(f"{opened[-1]}.{name}")
    return Primitive(name, row) if row is not None else None


def composed(outer: Value, inner: Value) -> Primitive:
    """`outer ∘ inner`."""
    return Primitive("∘", Native("v", lambda run, a, at: run.call(outer, [run.call(inner, a, at)], at)))


def some(value: Value, at: Token) -> Built:
    """`some value`."""
    return Built("some", (value,), {}, at.span, (at.span,))


def none(at: Token) -> Built:
    """`none`."""
    return Built("none", (), {}, at.span)


def _replicate(run: Evaluation, a: list[Any], at: Token) -> Value:
    run.sized(a[0], at)
    value: tuple[Value, ...] = (a[1],)
    return value * int(a[0])


def _range(start: int, stop: int, run: Evaluation, at: Token) -> tuple[int, ...]:
    run.sized(stop - start, at)
    return tuple(range(start, stop))


def _map(run: Evaluation, a: list[Any], at: Token) -> Value:
    return tuple([run.call(a[0], [x], at) for x in a[1]])


def _flatten(run: Evaluation, lists: Any, at: Token) -> Value:
    for item in lists:
        if not isinstance(item, tuple):
            raise Misread(at.span, f"wants a list of lists, got one with {described(item)} in it; it is flat already")
    run.sized(sum(len(item) for item in lists), at)
    return tuple([x for item in lists for x in item])


def _fold(run: Evaluation, a: list[Any], at: Token, *, right: bool = False) -> Value:
    value: Value = a[1]
    for x in reversed(a[2]) if right else a[2]:
        value = run.call(a[0], [x, value] if right else [value, x], at)
    return value


def _holds(run: Evaluation, test: Value, x: Value, at: Token) -> bool:
    answer = run.call(test, [x], at)
    if not isinstance(answer, bool):
        raise Misread(at.span, f"wants a function that gives a Bool, got {described(answer)}")
    return answer


def _kept(run: Evaluation, a: list[Any], at: Token) -> tuple[Value, ...]:
    return tuple([x for x in a[1] if _holds(run, a[0], x, at)])


def _every(run: Evaluation, a: list[Any], at: Token) -> bool:
    return len(_kept(run, [a[1], a[0]], at)) == len(a[0])


def _filter_map(run: Evaluation, a: list[Any], at: Token) -> Value:
    found: list[Value] = []
    for x in a[1]:
        option = run.call(a[0], [x], at)
        if not isinstance(option, Built) or option.head not in ("some", "none"):
            raise Misread(at.span, f"filterMap wants a function that gives an Option, got {described(option)}")
        found += option.args
    return tuple(found)


def _rest(pair: Product) -> Value:
    """What is right of the first comma."""
    return pair.items[1] if len(pair.items) == 2 else Product(pair.items[1:])


def _first(values: Any, at: Token, which: int) -> Value:
    if not values:
        raise Misread(at.span, "wants a list with an element, got []")
    found: Value = values[which]
    return found


def _at(values: Any, number: int, at: Token) -> Value:
    if number >= len(values):
        raise Misread(at.span, f"wants an index below {len(values)}, the list's length, got {number}")
    found: Value = values[number]
    return found


def _option(values: Any, number: int, at: Token) -> Value:
    return some(values[number], at) if -len(values) <= number < len(values) else none(at)


def _enumerated(values: Any, start: int, *, first: bool) -> Value:
    return tuple([product(*((i, x) if first else (x, i))) for i, x in enumerate(values, start)])


def _total(values: Any, symbol: str, at: Token) -> Value:
    total: int | float = 0 if symbol == "+" else 1
    for x in values:
        largest = max(arithmetic.rank(x, symbol, at.span), arithmetic.rank(total, symbol, at.span))
        total = arithmetic.compute(symbol, arithmetic.raised(total, largest), arithmetic.raised(x, largest), at.span)
    return total


def _extreme(symbol: str) -> Run:
    def pick(run: Evaluation, a: list[Any], at: Token) -> Value:
        found: Value = max(a) if symbol == "max" else min(a)
        return found

    return pick


def _joined(run: Evaluation, between: str, values: Any, at: Token) -> Value:
    for x in values:
        if not isinstance(x, str):
            raise Misread(at.span, f"wants a list of Strings, got one with {described(x)} in it; use toString")
    run.sized(sum(len(x) + len(between) for x in values), at, LONGEST_STRING)
    return between.join(values)


def _spread(run: Evaluation, a: list[Any], at: Token) -> Value:
    """A list's elements with one between them, or for Strings the String between them."""
    if isinstance(a[0], str):
        return _joined(run, a[0], a[1], at)
    return _flatten(run, tuple([x for i, item in enumerate(a[1]) for x in ((a[0], item) if i else (item,))]), at)


def _whole(value: float, rounded: Callable[[float], int], at: Span) -> int:
    if not math.isfinite(value):
        raise Misread(at, f"wants a finite Float, got {value}")
    return max(0, min(rounded(value), 2**64 - 1))  # as Float.toUInt64 saturates


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _operator(symbol: str) -> Run:
    """An operator as a function: `Nat.add`."""

    def compute(run: Evaluation, a: list[Any], at: Token) -> Value:
        largest = max(arithmetic.rank(x, symbol, at.span) for x in a)
        left = arithmetic.raised(a[0], largest)
        return arithmetic.compute(symbol, left, a[1] if symbol == "^" else arithmetic.raised(a[1], largest), at.span)

    return compute


OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%", "pow": "^"}


CONSTANTS: dict[str, Value] = {"true": True, "false": False, "True": True, "False": False}

ROWS: dict[str, Native] = {
    **{f"{t}.{name}": Native("xx", _operator(o)) for t in ("Nat", "Int", "Float") for name, o in OPERATORS.items()},
    **{f"{t}.{name}": Native("xx", _extreme(name)) for t in ("Nat", "Int", "Float") for name in ("max", "min")},
    "List.replicate": Native("nv", _replicate),
    "List.mkArray": Native("nv", _replicate),
    "List.range": Native("n", lambda run, a, at: _range(0, a[0], run, at)),
    "List.range'": Native("nn", lambda run, a, at: _range(a[0], a[0] + a[1], run, at)),
    "List.iota": Native("n", lambda run, a, at: _range(1, a[0] + 1, run, at)[::-1]),
    "List.map": Native("fl", _map),
    "List.mapIdx": Native("fl", lambda run, a, at: tuple([run.call(a[0], [i, x], at) for i, x in enumerate(a[1])])),
    "List.flatten": Native("l", lambda run, a, at: _flatten(run, a[0], at)),
    "List.join": Native("l", lambda run, a, at: _flatten(run, a[0], at)),
    "List.flatMap": Native("fl", lambda run, a, at: _flatten(run, _map(run, a, at), at)),
    "List.bind": Native("lf", lambda run, a, at: _flatten(run, _map(run, [a[1], a[0]], at), at)),
    "List.concatMap": Native("fl", lambda run, a, at: _flatten(run, _map(run, a, at), at)),
    "List.filter": Native("fl", _kept),
    "List.filterMap": Native("fl", _filter_map),
    "List.foldl": Native("fvl", _fold),
    "List.foldr": Native("fvl", lambda run, a, at: _fold(run, a, at, right=True)),
    "List.all": Native("lf", _every),
    "List.any": Native("lf", lambda run, a, at: bool(_kept(run, [a[1], a[0]], at))),
    "List.length": Native("l", lambda run, a, at: len(a[0])),
    "List.size": Native("l", lambda run, a, at: len(a[0])),
    "List.isEmpty": Native("l", lambda run, a, at: not a[0]),
    "List.reverse": Native("l", lambda run, a, at: a[0][::-1]),
    "List.append": Native("ll", lambda run, a, at: a[0] + a[1]),
    "List.cons": Native("vl", lambda run, a, at: (a[0], *a[1])),
    "List.concat": Native("lv", lambda run, a, at: (*a[0], a[1])),
    "List.push": Native("lv", lambda run, a, at: (*a[0], a[1])),
    "List.singleton": Native("v", lambda run, a, at: (a[0],)),
    "List.toList": Native("l", lambda run, a, at: a[0]),
    "List.toArray": Native("l", lambda run, a, at: a[0]),
    "List.zip": Native("ll", lambda run, a, at: tuple([product(*p) for p in zip(a[0], a[1], strict=False)])),
    "List.zipWith": Native(
        "fll", lambda run, a, at: tuple([run.call(a[0], list(p), at) for p in zip(a[1], a[2], strict=False)])
    ),
    "List.enum": Native("l", lambda run, a, at: _enumerated(a[0], 0, first=True)),
    "List.enumFrom": Native("nl", lambda run, a, at: _enumerated(a[1], a[0], first=True)),
    "List.zipIdx": Native("l", lambda run, a, at: _enumerated(a[0], 0, first=False)),
    "List.zipWithIndex": Native("l", lambda run, a, at: _enumerated(a[0], 0, first=False)),
    "List.head!": Native("l", lambda run, a, at: _first(a[0], at, 0)),
    "List.head?": Native("l", lambda run, a, at: _option(a[0], 0, at)),
    "List.headD": Native("lv", lambda run, a, at: a[0][0] if a[0] else a[1]),
    "List.getLast!": Native("l", lambda run, a, at: _first(a[0], at, -1)),
    "List.getLast?": Native("l", lambda run, a, at: _option(a[0], -1, at)),
    "List.getLastD": Native("lv", lambda run, a, at: a[0][-1] if a[0] else a[1]),
    "List.back!": Native("l", lambda run, a, at: _first(a[0], at, -1)),
    "List.get!": Native("ln", lambda run, a, at: _at(a[0], a[1], at)),
    "List.getD": Native("lnv", lambda run, a, at: a[0][a[1]] if a[1] < len(a[0]) else a[2]),
    "List.get?": Native("ln", lambda run, a, at: _option(a[0], a[1], at)),
    "List.tail": Native("l", lambda run, a, at: a[0][1:]),
    "List.tail!": Native("l", lambda run, a, at: a[0][1:]),
    "List.dropLast": Native("l", lambda run, a, at: a[0][:-1]),
    "List.pop": Native("l", lambda run, a, at: a[0][:-1]),
    "List.take": Native("nl", lambda run, a, at: a[1][: a[0]]),
    "List.drop": Native("nl", lambda run, a, at: a[1][a[0] :]),
    "List.contains": Native("lv", lambda run, a, at: any(equal(x, a[1], at.span) for x in a[0])),
    "List.elem": Native("vl", lambda run, a, at: any(equal(x, a[0], at.span) for x in a[1])),
    "List.sum": Native("l", lambda run, a, at: _total(a[0], "+", at)),
    "List.prod": Native("l", lambda run, a, at: _total(a[0], "*", at)),
    "List.intersperse": Native(
        "vl", lambda run, a, at: tuple([y for i, x in enumerate(a[1]) for y in ((a[0], x) if i else (x,))])
    ),
    "List.intercalate": Native("vl", _spread),
    "String.intercalate": Native("sl", _spread),
    "String.join": Native("l", lambda run, a, at: _joined(run, "", a[0], at)),
    "String.append": Native("ss", lambda run, a, at: a[0] + a[1]),
    "String.length": Native("s", lambda run, a, at: len(a[0])),
    "String.isEmpty": Native("s", lambda run, a, at: not a[0]),
    "String.toUpper": Native("s", lambda run, a, at: a[0].upper()),
    "String.toLower": Native("s", lambda run, a, at: a[0].lower()),
    "String.capitalize": Native("s", lambda run, a, at: a[0][:1].upper() + a[0][1:]),
    "String.trim": Native("s", lambda run, a, at: a[0].strip()),
    "Nat.succ": Native("n", lambda run, a, at: a[0] + 1),
    "Nat.pred": Native("n", lambda run, a, at: max(0, a[0] - 1)),
    "Nat.log2": Native("n", lambda run, a, at: max(0, a[0].bit_length() - 1)),
    "Nat.sqrt": Native("n", lambda run, a, at: math.isqrt(a[0])),
    "Nat.gcd": Native("nn", lambda run, a, at: math.gcd(a[0], a[1])),
    "Nat.lcm": Native("nn", lambda run, a, at: math.lcm(a[0], a[1])),
    "Nat.toFloat": Native("n", lambda run, a, at: float(a[0])),
    "Nat.toNat": Native("n", lambda run, a, at: a[0]),
    "Nat.toUInt64": Native("n", lambda run, a, at: a[0]),
    "Nat.toUSize": Native("n", lambda run, a, at: a[0]),
    "Nat.toUInt32": Native("n", lambda run, a, at: a[0]),
    "Nat.repr": Native("n", lambda run, a, at: str(a[0])),
    "Nat.isEven": Native("n", lambda run, a, at: a[0] % 2 == 0),
    "Int.toNat": Native("x", lambda run, a, at: max(0, int(a[0]))),
    "Int.ofNat": Native("n", lambda run, a, at: Integer(a[0])),
    "Int.natAbs": Native("x", lambda run, a, at: abs(int(a[0]))),
    "Float.ofNat": Native("n", lambda run, a, at: float(a[0])),
    "Float.ofInt": Native("x", lambda run, a, at: float(a[0])),
    "Float.sqrt": Native("x", lambda run, a, at: _root(a[0])),
    "Float.floor": Native("x", lambda run, a, at: float(math.floor(a[0])) if math.isfinite(a[0]) else a[0]),
    "Float.ceil": Native("x", lambda run, a, at: float(math.ceil(a[0])) if math.isfinite(a[0]) else a[0]),
    "Float.round": Native("x", lambda run, a, at: math.copysign(math.floor(abs(a[0]) + 0.5), a[0])),
    "Float.toUInt64": Native("x", lambda run, a, at: _whole(a[0], math.trunc, at.span)),
    "Float.toNat": Native("x", lambda run, a, at: _whole(a[0], math.trunc, at.span)),
    "Float.toUSize": Native("x", lambda run, a, at: _whole(a[0], math.trunc, at.span)),
    "Float.toFloat": Native("x", lambda run, a, at: float(a[0])),
    "Option.getD": Native("ov", lambda run, a, at: a[0].args[0] if a[0].args else a[1]),
    "Option.get!": Native("o", lambda run, a, at: _first(a[0].args, at, 0)),
    "Option.isSome": Native("o", lambda run, a, at: a[0].head == "some"),
    "Option.isNone": Native("o", lambda run, a, at: a[0].head == "none"),
    "Option.map": Native("fo", lambda run, a, at: some(run.call(a[0], [*a[1].args], at), at) if a[1].args else a[1]),
    "Option.toList": Native("o", lambda run, a, at: a[0].args),
    "some": Native("v", lambda run, a, at: some(a[0], at)),
    "toString": Native("v", lambda run, a, at: printed(a[0], at.span)),
    "repr": Native("v", lambda run, a, at: printed(a[0], at.span)),
    "max": Native("xx", _extreme("max")),
    "min": Native("xx", _extreme("min")),
    "id": Native("v", lambda run, a, at: a[0]),
    "pure": Native("v", lambda run, a, at: a[0]),
    "not": Native("b", lambda run, a, at: not a[0]),
    "and": Native("bb", lambda run, a, at: a[0] and a[1]),
    "or": Native("bb", lambda run, a, at: a[0] or a[1]),
    "cond": Native("bvv", lambda run, a, at: a[1] if a[0] else a[2]),
    "Function.comp": Native("ffv", lambda run, a, at: run.call(a[0], [run.call(a[1], [a[2]], at)], at)),
    "Function.const": Native("vv", lambda run, a, at: a[0]),
    "Prod.fst": Native("p", lambda run, a, at: a[0].items[0]),
    "Prod.snd": Native("p", lambda run, a, at: _rest(a[0])),
}
