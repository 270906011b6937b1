"""How each record of a trace is one line of JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import NoReturn

from netc.traces.errors import TraceError
from netc.traces.schema import (
    JSON,
    ChangeRecord,
    EvalRecord,
    Header,
    Record,
    SealRecord,
    StepRecord,
    TimingRecord,
    brief,
)

_ENCODER = json.JSONEncoder(allow_nan=False)  # json.dumps would make one for each line

KINDS: Mapping[str, type[Record]] = MappingProxyType(
    {record.kind: record for record in (Header, StepRecord, EvalRecord, ChangeRecord, TimingRecord, SealRecord)}
)
"""The record class for each word that a line may have under "kind"."""


def to_line(record: Record) -> bytes:
    """The record as one line of ASCII JSON with its newline, "kind" first and the fields in a fixed order."""
    body: dict[str, JSON] = {"kind": record.kind}
    unsaid = {field.name for field in fields(record) if field.default in ("", None)}
    for name, kind in record.kinds.items():
        if (value := getattr(record, name)) not in ("", None) or name not in unsaid:
            body[name] = kind.to_json(value)
    return _ENCODER.encode(body).encode("ascii") + b"\n"


def from_line(line: bytes) -> Record:
    """The record that one line holds. The inverse of `to_line`.

    Raises TraceError, without the line's number, which only the reader knows: not UTF-8, not JSON, a key
    twice, a bare NaN, an unknown kind, a field too many, too few, or of the wrong type.
    """
    try:
        body = json.loads(line, object_pairs_hook=_without_twins, parse_constant=_refuse_constant, parse_float=_finite)
    except TraceError:
        raise  # from the hooks; TraceError is a ValueError too
    except (ValueError, RecursionError) as error:
        raise TraceError(f"wants one JSON object, got {brief(line)} ({error})") from error
    if not isinstance(body, dict):
        raise TraceError(f"wants one JSON object, got {brief(body)}")
    word = body.pop("kind", None)
    kind = KINDS.get(word) if isinstance(word, str) else None
    if kind is None:
        raise TraceError(f"wants a kind among {', '.join(KINDS)}, got {brief(word)}")
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    if missing := sorted(required - body.keys()):
        raise TraceError(f"wants the {kind.kind} fields {', '.join(missing)}, got none of them")
    if extra := sorted(body.keys() - {field.name for field in fields(kind)}):
        raise TraceError(
            f"wants no field but those of {kind.kind}, got {brief(', '.join(extra))}; a newer netc wrote it: use that"
        )
    return kind(**body)


def _without_twins(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise TraceError(f"wants each key once, got {brief([key for key, _ in pairs])}")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise TraceError(f'wants standard JSON, got a bare {name}; spell it "{name}"')


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # Python reads 1e999 as infinity
        raise TraceError(f'wants numbers that fit in 64 bits, got {brief(text)}; "Infinity" is a string')
    return number
