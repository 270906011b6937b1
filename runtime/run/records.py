"""Records as JSON: each is its dataclass's fields. A field that a file lacks has its default; one too many is refused.

So a field that a later netc adds refuses no older file. A field that came later (`option(.., later=True)`) is left out
where it has its default: a record that does not use it is written as it always was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from netc.netspec.errors import UserError
from netc.netspec.plugins import load_installed
from netc.netspec.vocabulary import default_of

R = TypeVar("R")
NEWER = "a newer netc wrote it: use that one"


def written(record: Any) -> dict[str, Any]:
    """The fields of a record as plain JSON; of one of several kinds, its kind too."""
    kind = getattr(record, "kind", None)
    given = {f.name: (f, getattr(record, f.name)) for f in dataclasses.fields(record)}
    plain = {n: _plain(v) for n, (f, v) in given.items() if not f.metadata.get("later") or v != default_of(f)}
    return plain if kind is None else {"kind": kind, **plain}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return written(value)
    return list(value) if isinstance(value, tuple) else value


def read(cls: type[R], table: Any, where: str, made: Mapping[str, Any] | None = None) -> R:
    """A dataclass of plain fields from JSON, each of its type; raises UserError. `made` are fields that were read."""
    given, hints, made = mapping(table, where), get_type_hints(cls), made or {}
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if unknown := sorted(given.keys() - set(names)):
        raise UserError(f"{where} wants no field but {', '.join(names)}, got also {unknown[0]!r}; {NEWER}")
    missing = dataclasses.MISSING
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.name not in given.keys() | made.keys() and default_of(f) is missing:
            raise UserError(f"{where} wants the field {f.name}, got none; is it a run's file?")
    plain = {n: typed(hints[n], v, f"{where}.{n}") for n, v in given.items() if n not in made}
    return cls(**{**plain, **made})


def read_kind(kinds: Callable[[], Mapping[str, type[R]]], value: Any, where: str) -> R:
    """The record that `written` made of one of several kinds, which installed plugins may add to."""
    given = mapping(value, where)
    kind = given.get("kind")
    if kind not in [*kinds()]:
        load_installed()
    known = kinds()
    if not isinstance(kind, str) or kind not in known:
        raise UserError(
            f"{where}.kind wants one of {', '.join(known)}, got {kind!r}; a newer netc or a --plugin has it: use that"
        )
    return read(known[kind], {k: v for k, v in given.items() if k != "kind"}, where)


def mapping(value: Any, where: str) -> dict[str, Any]:
    """`value`, if it is an object."""
    if not isinstance(value, dict):
        raise UserError(f"{where} wants an object, got {type(value).__name__}; is it a run's file?")
    return value


def typed(want: Any, value: Any, where: str) -> Any:
    """`value`, if it is of the type; an integer is a number too, within the range of numbers; a list is a tuple."""
    if get_origin(want) is tuple and isinstance(value, list):
        return tuple(typed(get_args(want)[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if isinstance(want, type) and dataclasses.is_dataclass(want):
        return read(want, value, where)
    want = tuple if get_origin(want) is tuple else want
    if want is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    fits = isinstance(value, want) and not (isinstance(value, bool) and want is not bool)
    if not fits or (isinstance(value, float) and not math.isfinite(value)) or (want is int and abs(value) >= 2**64):
        name = getattr(want, "__name__", "value")
        raise UserError(f"{where} wants a finite {name}, got {type(value).__name__}; is it a run's file?")
    return value
