"""Applications of constructors and structures as values, for tests that need no text."""

from __future__ import annotations

from typing import Any

from netc.netspec.lean.source import Built, Record, Span

HERE = Span(1, 1, 2)


def b(head: str, *args: Any, **named: Any) -> Built:
    """`.head args (name := value)`; a string that begins with a dot is an enumeration's word."""
    places = tuple(Span(1, 10 * (i + 1), 10 * (i + 1) + 1) for i in range(len(args)))
    spots = {name: Span(2, 10 * (i + 1), 10 * (i + 1) + 1) for i, name in enumerate(named)}
    return Built(head, tuple(map(_value, args)), {k: _value(v) for k, v in named.items()}, HERE, places, spots)


def _value(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("."):
        return Built(value[1:], (), {}, HERE)
    return tuple(map(_value, value)) if isinstance(value, tuple | list) else value


def record(*layers: Any, **fields: Any) -> Record:
    """A NetSpec's structure; `name` is "net" unless given."""
    values = {"name": "net", **fields, "layers": layers}
    return structure(**values)


def structure(**fields: Any) -> Record:
    """Any structure."""
    placed = {k: (_value(v), Span(3 + i, 5, 6)) for i, (k, v) in enumerate(fields.items())}
    return Record(placed, HERE)
