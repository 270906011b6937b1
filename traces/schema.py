"""The records of a trace.

A trace is two sibling files. `trace.jsonl` holds what must be equal when a run is repeated: a header, then
step and evaluation records in order of step. `timing.jsonl` holds the wall times, which never are. Two
runs that computed the same thing therefore have `trace.jsonl` files that are equal byte for byte. A run that
was continued as another one, on request, has a record of what changed, and from which step on.

A number that was computed in float32 is written as the shortest decimal that reads back as that float32
(Steele and White 1990, as NumPy's `unique=True` does it), so `0.1` and not `0.10000000149011612`.
JSON has no spelling for a number that is not finite; those are the strings in `NON_FINITE`.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, TypeAlias

import numpy as np

from netc.traces.errors import TraceError

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""A plain JSON value. Floats in it are finite."""

FORMAT = 1
"""The version of the trace format that this code writes and reads."""

NON_FINITE: Mapping[str, float] = MappingProxyType({"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf})
"""The strings that stand for numbers JSON cannot spell. All NaNs are one: a payload is not kept."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SINGLE = struct.Struct("=f")
_LARGEST = (2 - 2**-23) * 2.0**127  # of float32


def plain(value: object, where: str) -> JSON:
    """Copy `value` as plain JSON: tuples become lists, the keys of mappings are sorted.

    `where` names the value in errors (`recipe.betas[1]`).

    Raises TraceError for a key that is no string, a float that is not finite, and any other type (a NumPy
    scalar too: `float(x)` it, so that its width is the caller's choice).
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case float():
            raise TraceError(f'{where} wants a finite number, got {value!r}; write the string "{value!r}"')
        case list() | tuple():
            return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
        case Mapping():
            keys = list(value)
            for key in keys:
                if not isinstance(key, str):
                    raise TraceError(f"{where} wants string keys, got {key!r}; write it as {str(key)!r}")
            return {key: plain(value[key], f"{where}.{key}") for key in sorted(keys)}
    raise TraceError(
        f"{where} wants plain JSON (null, bool, int, float, str, list, mapping), got {type(value).__name__};"
        " convert it first, as with float(x)"
    )


def single(value: object, where: str) -> float:
    """Round `value` to float32 and widen it back; the result is one of the 2**32 float32 values.

    Raises TraceError for what is no number, and for a finite number beyond the range of float32.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        raise TraceError(f"{where} wants a float32 number, got {value!r}")
    try:
        # struct rounds to nearest, ties to even, as NumPy does, and takes a tenth of its time
        rounded = float(_SINGLE.unpack(_SINGLE.pack(float(value)))[0])
    except OverflowError:
        rounded = math.inf
    if math.isinf(rounded) and value not in (math.inf, -math.inf):
        raise TraceError(f"{where} wants a number in the range of float32, got {brief(value)}")
    return rounded


def single_to_json(value: float) -> float | str:
    """The float32 `value` as the JSON that stands for it in a trace.

    The shortest decimal of a float32 has at most 9 digits, and the double nearest to a decimal of at most 15
    digits prints as that same decimal. So the double returned here is one that `json` writes as the
    shortest float32 decimal, and rounding that double to float32 gives `value` back.

    There is one exception among the 2**32 (found by trying them all): 0x15ae43fd and its negative. The double
    nearest to its shortest decimal, 7.038531e-26, lies midway between two float32 values, so a reader that
    goes through a double would get the other one. It is written with 9 digits, which are always enough.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    shortest = float(np.format_float_scientific(np.float32(value), unique=True, trim="-"))
    return shortest if np.float32(shortest) == value else float(f"{value:.9g}")


def brief(value: object) -> str:
    """A value as a message shows it."""
    try:
        text = repr(value)
    except ValueError:  # an int with more digits than Python agrees to print
        text = "an enormous int"
    return text if len(text) <= 60 else f"{text[:60]}..."


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise TraceError(f"{where} wants a string, got {brief(value)}")
    return value


def _sha256_or_none(value: object, where: str) -> str:
    return "" if value == "" else _sha256(value, where)


def _sha256(value: object, where: str) -> str:
    if not _SHA256.fullmatch(_text(value, where)):
        raise TraceError(f"{where} wants a SHA-256 as 64 lower-case hex digits, got {brief(value)}")
    return str(value)


def _integer(value: object, where: str) -> int:
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, int)):
        raise TraceError(f"{where} wants an int, got {brief(value)}; convert it with int(x)")
    if not -(2**63) <= value < 2**64:
        raise TraceError(f"{where} wants an int of 64 bits, got {brief(value)}")
    return value


def _count(value: object, where: str) -> int:
    number = _integer(value, where)
    if number < 0:
        raise TraceError(f"{where} wants 0 or more, got {value}")
    return number


def _positive(value: object, where: str) -> int:
    if _integer(value, where) < 1:
        raise TraceError(f"{where} wants 1 or more, got {value}")
    return _integer(value, where)


def _format(value: object, where: str) -> int:
    if _integer(value, where) != FORMAT:
        raise TraceError(f"{where} wants trace format {FORMAT}, got {value}; use the netc that wrote it")
    return FORMAT


def _seconds(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TraceError(f"{where} wants a number of seconds, got {brief(value)}")
    # The upper bound refuses infinity and an int that no float can hold; a NaN fails both comparisons.
    if not 0 <= value < 2**53:
        raise TraceError(f"{where} wants seconds that are finite and not negative, got {brief(value)}")
    return float(value)


def _mapping(value: object, where: str) -> dict[str, JSON]:
    copy = plain(value, where) if isinstance(value, Mapping) else None
    if not isinstance(copy, dict):
        raise TraceError(f"{where} wants a mapping, got {brief(value)}")
    return copy


def _versions(value: object, where: str) -> dict[str, str]:
    return {key: _text(item, f"{where}.{key}") for key, item in _mapping(value, where).items()}


def _single_or_name(value: object, where: str) -> float:
    if type(value) is float and -_LARGEST <= value <= _LARGEST:  # what a training loop makes
        return float(_SINGLE.unpack(_SINGLE.pack(value))[0])
    # In a file the non-finite numbers are strings; a record made in Python holds the floats themselves.
    if isinstance(value, str):
        if value not in NON_FINITE:
            raise TraceError(f"{where} wants a number or one of {', '.join(NON_FINITE)}, got {brief(value)}")
        return NON_FINITE[value]
    return single(value, where)


def _same(value: JSON) -> JSON:
    return value


@dataclass(frozen=True)
class _Kind:
    """How one kind of value is checked when a record is made, and turned to JSON when it is written."""

    check: Callable[[object, str], object]
    to_json: Callable[..., JSON] = _same


_TEXT, _DIGEST, _FLOAT32 = _Kind(_text), _Kind(_sha256), _Kind(_single_or_name, single_to_json)
_PERHAPS_FLOAT32 = _Kind(
    lambda value, where: None if value is None else _single_or_name(value, where),
    lambda value: None if value is None else single_to_json(value),
)
_COUNT, _POSITIVE, _INTEGER = _Kind(_count), _Kind(_positive), _Kind(_integer)


@dataclass(frozen=True)
class Record:
    """What the records share: every field is checked against the table `kinds` when a record is made.

    Raises TraceError naming the field.
    """

    kind: ClassVar[str]
    kinds: ClassVar[Mapping[str, _Kind]]
    checks: ClassVar[tuple[tuple[str, Callable[[object, str], object], str], ...]] = ()

    def __init_subclass__(cls) -> None:
        # made once: a training loop makes two records a step
        cls.checks = tuple((name, kind.check, f"{cls.kind}.{name}") for name, kind in cls.kinds.items())

    def __post_init__(self) -> None:
        for name, check, where in self.checks:
            object.__setattr__(self, name, check(getattr(self, name), where))  # the dataclass is frozen from here on


@dataclass(frozen=True)
class Header(Record):
    """Line 1 of a trace: everything that decides the numbers below it.

    `net` names the network; `spec_sha256`, `module_sha256` and `data_sha256` are the digests of its spec,
    of the text that is compiled and of the data set `data`; `program_sha256` is that of the program in plain StableHLO,
    before any target's forms, or empty in a trace that is older than it; `recipe` is the training recipe as plain JSON;
    `batch` is in examples; `target` is the target word (`cpu`, `cuda:sm_80`); `versions` are those of the programs
    that took part. Mappings are copied with their keys sorted, so equal headers have equal lines.
    """

    kind = "header"
    net: str
    spec_sha256: str
    module_sha256: str
    data: str
    data_sha256: str
    recipe: Mapping[str, JSON]
    seed: int
    batch: int
    target: str
    versions: Mapping[str, str]
    format: int = FORMAT
    program_sha256: str = ""

    kinds = MappingProxyType(
        {
            "format": _Kind(_format),
            "net": _TEXT,
            "spec_sha256": _DIGEST,
            "module_sha256": _DIGEST,
            "program_sha256": _Kind(_sha256_or_none),
            "data": _TEXT,
            "data_sha256": _DIGEST,
            "recipe": _Kind(_mapping),
            "seed": _INTEGER,
            "batch": _POSITIVE,
            "target": _TEXT,
            "versions": _Kind(_versions),
        }
    )


CHANGEABLE = ("module_sha256", "program_sha256", "data_sha256", "recipe", "target", "versions")
"""The fields of a header that may change within a run: the rest make it another one."""


def changed(header: Header, fields: Mapping[str, JSON]) -> Header:
    """The header with these values of its fields; raises TraceError for a field of another type."""
    return replace(header, **fields)  # type: ignore[arg-type]


def _header_fields(value: object, where: str) -> dict[str, JSON]:
    fields = _mapping(value, where)
    if not fields or not fields.keys() <= set(CHANGEABLE):
        raise TraceError(f"{where} wants some of {', '.join(CHANGEABLE)}, got {brief(', '.join(fields))}")
    for name, field in fields.items():
        Header.kinds[name].check(field, f"{where}.{name}")
    return fields


@dataclass(frozen=True)
class StepRecord(Record):
    """One optimizer step.

    `step` and `epoch` count from wherever the trainer starts; `loss` is the mean over the batch, `lr` the
    learning rate used, `grad_norm` and `param_norm` the Euclidean norms over all parameters. The four are
    float32 values, rounded to it when the record is made, and may be non-finite. Of a net with experts
    `expert_most` and `expert_least` are the largest and the smallest share of a layer's choices that fell on one
    expert; else None.
    """

    kind = "step"
    step: int
    epoch: int
    loss: float
    lr: float
    grad_norm: float
    param_norm: float
    expert_most: float | None = None
    expert_least: float | None = None

    kinds = MappingProxyType(
        {
            "step": _COUNT,
            "epoch": _COUNT,
            "loss": _FLOAT32,
            "lr": _FLOAT32,
            "grad_norm": _FLOAT32,
            "param_norm": _FLOAT32,
            "expert_most": _PERHAPS_FLOAT32,
            "expert_least": _PERHAPS_FLOAT32,
        }
    )


@dataclass(frozen=True)
class EvalRecord(Record):
    """One evaluation, made after step `step`.

    `loss` is the mean over the `count` examples seen and `accuracy` the fraction of them (0 to 1) that was
    right; both are float32 values, rounded to it when the record is made. Where the recipe keeps averages of the
    weights, `averaged_loss` and `averaged_accuracy` are theirs; else None.
    """

    kind = "eval"
    step: int
    epoch: int
    loss: float
    accuracy: float
    count: int
    averaged_loss: float | None = None
    averaged_accuracy: float | None = None

    kinds = MappingProxyType(
        {
            "step": _COUNT,
            "epoch": _COUNT,
            "loss": _FLOAT32,
            "accuracy": _FLOAT32,
            "count": _COUNT,
            "averaged_loss": _PERHAPS_FLOAT32,
            "averaged_accuracy": _PERHAPS_FLOAT32,
        }
    )


def averages_of(*both: EvalRecord) -> tuple[tuple[str, float, float], ...]:
    """(name, of the first, of the second) of what both evaluated with averaged weights."""
    named = (
        ("averaged loss", [e.averaged_loss for e in both]),
        ("averaged accuracy", [e.averaged_accuracy for e in both]),
    )
    return tuple((name, a, b) for name, (a, b) in named if a is not None and b is not None)


@dataclass(frozen=True)
class ChangeRecord(Record):
    """The run went on as another one: from step `step` on, `fields` of the header have these values."""

    kind = "change"
    step: int
    fields: Mapping[str, JSON]

    kinds = MappingProxyType({"step": _COUNT, "fields": _Kind(_header_fields)})


@dataclass(frozen=True)
class TimingRecord(Record):
    """The wall time of one step, which goes to `timing.jsonl`: `seconds`, and before them `waited`, for its batch.

    Both are float64, finite and not negative.
    """

    kind = "timing"
    step: int
    seconds: float
    waited: float = 0.0

    kinds = MappingProxyType({"step": _COUNT, "seconds": _Kind(_seconds), "waited": _Kind(_seconds)})


@dataclass(frozen=True)
class SealRecord(Record):
    """The SHA-256 of all bytes before it in `timing.jsonl`, written with each checkpoint."""

    kind = "seal"
    sha256: str

    kinds = MappingProxyType({"sha256": _DIGEST})
