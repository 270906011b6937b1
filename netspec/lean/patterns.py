"""Whether a pattern fits a value, and the names that it gives to the value's parts."""

from __future__ import annotations

from netc.netspec.lean.evaluation import Evaluation
from netc.netspec.lean.source import Built, Misread, Product, Record, Value
from netc.netspec.lean.tree import (
    Apply,
    Ascribed,
    Binary,
    Dot,
    Group,
    Hole,
    Items,
    Literal,
    Name,
    Node,
    Structure,
    Unary,
)

WORDS: dict[str, Value] = {"true": True, "false": False, "nil": (), "zero": 0}


def fits(run: Evaluation, pattern: Node, value: Value, names: dict[str, Value]) -> bool:  # noqa: PLR0912 (one case a form)
    """Whether the value has the pattern's form; if so, `names` gains what the pattern names.

    Raises Misread for what is no pattern that netc reads.
    """
    run.spend(1, pattern.at)
    match pattern:
        case Hole():
            return True
        case Literal():
            return (type(value) in (int, float, str) and value == pattern.value) or _same_whole(value, pattern.value)
        case Name(parts=parts) if len(parts) > 1 or parts[0] in ("true", "false", "none"):
            return _constructor(run, pattern, parts[-1], (), value, names)
        case Name(parts=parts):
            names[parts[0]] = value
            return True
        case Dot():
            return _constructor(run, pattern, pattern.name, (), value, names)
        case Apply(function=Name(parts=(*_, head))) | Apply(function=Dot(name=head)):
            return _constructor(run, pattern, head, tuple(a.value for a in pattern.arguments), value, names)
        case Binary(symbol="+", left=left, right=Literal(value=int(more))):
            whole = isinstance(value, int) and not isinstance(value, bool)
            return whole and value >= more and fits(run, left, value - more, names)  # type: ignore[operator]
        case Binary(symbol="::", left=left, right=right):
            listed = isinstance(value, tuple) and len(value) > 0
            return listed and fits(run, left, value[0], names) and fits(run, right, value[1:], names)  # type: ignore[index]
        case Items(items=items):
            same = isinstance(value, tuple) and len(value) == len(items)
            return same and all(fits(run, p, v, names) for p, v in zip(items, value, strict=True))  # type: ignore[arg-type]
        case Group(items=items):
            return _group(run, items, value, names)
        case Ascribed():
            return fits(run, pattern.value, value, names)
        case Unary(symbol="-", operand=Literal(value=number)) if not isinstance(number, str):
            return type(value) is not bool and isinstance(value, int | float) and value == -number
        case Structure(bases=(), fields=fields):
            return isinstance(value, Record) and all(
                f.name in value.fields and fits(run, f.value, value.fields[f.name][0], names) for f in fields
            )
    raise Misread(
        pattern.at.span, "this pattern is beyond what netc reads of Lean; use a literal, a constructor or n+1"
    )


def _same_whole(value: Value, wanted: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == wanted


def _group(run: Evaluation, items: tuple[Node, ...], value: Value, names: dict[str, Value]) -> bool:
    if len(items) == 1:
        return fits(run, items[0], value, names)
    parts: tuple[Value, ...]
    if isinstance(value, Record):
        parts = tuple([v for v, _ in value.fields.values()])
    elif isinstance(value, Product) and len(value.items) >= len(items):
        spare = value.items[len(items) - 1 :]
        parts = (*value.items[: len(items) - 1], spare[0] if len(spare) == 1 else Product(spare))
    else:
        return False
    return len(parts) == len(items) and all(fits(run, p, v, names) for p, v in zip(items, parts, strict=True))


def _constructor(
    run: Evaluation, pattern: Node, name: str, arguments: tuple[Node, ...], value: Value, names: dict[str, Value]
) -> bool:
    if name in WORDS and not arguments:
        return type(value) is type(WORDS[name]) and value == WORDS[name]
    if name == "succ" and len(arguments) == 1 and isinstance(value, int):
        return value >= 1 and fits(run, arguments[0], value - 1, names)
    if name == "cons" and len(arguments) == 2 and isinstance(value, tuple):
        return len(value) > 0 and fits(run, arguments[0], value[0], names) and fits(run, arguments[1], value[1:], names)
    if not isinstance(value, Built) or value.head != name:
        return False
    if (value.named and arguments) or len(value.args) != len(arguments):
        places = f"{len(value.args)} arguments" + (" and named ones" if value.named else "")
        raise Misread(pattern.at.span, f"wants a pattern for .{name} with {places}, got {len(arguments)}")
    return all(fits(run, p, v, names) for p, v in zip(arguments, value.args, strict=True))
