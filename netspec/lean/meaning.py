"""From an evaluated structure to a NetSpec: its fields, its input, and its layers one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.netspec.layer import Layer
from netc.netspec.layers import COUNTED, Flatten
from netc.netspec.lean.arguments import ACTIVATION_WORDS, LARGEST, bind, is_whole, shown
from netc.netspec.lean.constructors import TABLE, Constructor
from netc.netspec.lean.sequence import Reader, Settings, is_original, want_known
from netc.netspec.lean.source import Built, Misread, Product, Record, Span, Value
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

IMAGE = 28  # pixels a side that the original assumes
FIELDS = (
    "name", "layers", "imageH", "imageW", "convBnAct", "convPadStyle", "detStride", "buildTag",  # the original's
    "channels", "input", "inputDtype", "source",  # netc's
)  # fmt: skip
PAD_STYLES = {"symmetric": "same-symmetric", "xlaSame": "same"}
IDLE = {
    "detStride": "detStride: netc reads the grid from the layers",
    "buildTag": "buildTag: netc names its runs and artefacts itself",
}


@dataclass(frozen=True)
class Meaning:
    """A spec, and what there is to say about how it was read.

    `disagreements` are sizes of the file that do not follow from one another, where it was read to be counted: then
    the spec has what the file states, and cannot be trained. `counted` are the kinds that netc only counts.
    """

    spec: NetSpec
    notes: tuple[str, ...]
    disagreements: tuple[Misread, ...] = ()
    counted: tuple[str, ...] = ()


def spec_of(record: Record) -> NetSpec:
    """The NetSpec that a structure describes; raises Misread at whatever is wrong in it."""
    return read(record).spec


def counted(record: Record) -> Meaning:
    """The NetSpec to be shown and counted: sizes that disagree are as the file states them; raises Misread."""
    return read(record, strict=False)


def read(record: Record, *, strict: bool = True) -> Meaning:
    """The NetSpec and the notes; raises Misread, where `strict` for sizes that disagree too."""
    fields = record.fields
    for field, (_, at) in fields.items():
        if field not in FIELDS:
            raise Misread(at, f"a NetSpec has no field {field!r}; it has {', '.join(FIELDS)}")
    name = _text(fields, "name", record.at)
    items, at = _layers(record)
    settings = Settings(
        _word(fields, "convBnAct", ACTIVATION_WORDS, "relu"),
        _word(fields, "convPadStyle", PAD_STYLES, "same-symmetric"),
    )
    reader = Reader(settings, strict)
    x, before = _input(record, items, at, reader)
    reader.notes.extend(sentence for field, sentence in IDLE.items() if field in fields)
    out = x
    for layer in before:
        out = layer.signature(out).out
    made = reader.sequence(items, out)
    source = _text(fields, "source", record.at) if "source" in fields else ""
    spec = NetSpec(name, x.shape, (*before, *made), source, dtype="i32" if x.dtype == "i32" else "f32")
    kinds = dict.fromkeys(layer.kind for layer in reader.counted if layer.kind in COUNTED)
    return Meaning(spec, tuple(dict.fromkeys(reader.notes)), tuple(reader.disagreements), tuple(kinds))


Fields = Mapping[str, tuple[Value, Span]]


def _text(fields: Fields, field: str, at: Span) -> str:
    if field not in fields:
        raise Misread(at, f'a NetSpec wants {field}, got none; write {field} := "my-net"')
    value, place = fields[field]
    if not isinstance(value, str):
        raise Misread(place, f'{field} wants a string, got {shown(value)}; write {field} := ".."')
    return value


def _word(fields: Fields, field: str, words: Mapping[str, str], default: str) -> str:
    if field not in fields:
        return default
    value, at = fields[field]
    word = words.get(value.head) if isinstance(value, Built) and not value.args and not value.named else None
    if word is None:
        known = " ".join(f".{word}" for word in words)
        raise Misread(at, f"{field} wants one of {known}, got {shown(value)}; change it")
    return word


def _size(fields: Fields, field: str, default: int) -> int:
    if field not in fields:
        return default
    value, at = fields[field]
    if not is_whole(value) or not 1 <= value <= LARGEST:  # type: ignore[operator]
        raise Misread(at, f"{field} wants a positive integer, got {shown(value)}; change it")
    return int(value)  # type: ignore[arg-type]


def _layers(record: Record) -> tuple[tuple[Built, ...], Span]:
    if "layers" not in record.fields:
        raise Misread(record.at, "a NetSpec wants layers, got none; write layers := [.dense 784 10 .identity]")
    value, at = record.fields["layers"]
    if not isinstance(value, tuple):
        raise Misread(at, f"layers wants a list of layers, got {shown(value)}; write layers := [..]")
    if not value:
        raise Misread(at, "layers wants at least one layer, got none; add layers")
    for item in value:
        if not isinstance(item, Built):
            raise Misread(at, f"layers wants layers, got {shown(item)} among them; write .dense 784 10 .identity")
    return value, at  # type: ignore[return-value]


def _input(record: Record, items: tuple[Built, ...], at: Span, reader: Reader) -> tuple[TensorType, tuple[Layer, ...]]:
    """The type of one example, and the layers that stand before the first one written."""
    fields = record.fields
    if "input" in fields:
        return _given_input(fields), ()
    if "inputDtype" in fields:
        raise Misread(fields["inputDtype"][1], "inputDtype wants input beside it, got none; write input := [64]")
    height, width = _size(fields, "imageH", IMAGE), _size(fields, "imageW", IMAGE)
    want_known(items[0])
    first = _first_stated(items)
    if "channels" in fields:
        channels = _size(fields, "channels", 1)
        if first is not None and first[0].form == "vector":
            return TensorType((height, width, channels)), (Flatten(),)
        return TensorType((height, width, channels)), ()
    if first is None:
        raise Misread(
            items[0].at,
            f"{items[0].head} does not say how many channels the input has, and no layer after it does; write "
            "channels := 3, or input := [224, 224, 3], in the NetSpec",
        )
    row, index, arguments = first
    if row.form == "ids":
        return TensorType((arguments["seqLen"],), "i32"), ()
    stated = arguments[row.reads]
    if row.form == "tokens" and index == 0:
        return TensorType((height * width, stated)), ()
    if row.form == "vector":
        return _flat_input(record, items, index, stated, arguments.place(row.reads), (height, width), reader)
    return TensorType((height, width, stated)), ()


def _flat_input(
    record: Record,
    items: tuple[Built, ...],
    index: int,
    stated: int,
    place: Span,
    size: tuple[int, int],
    reader: Reader,
) -> tuple[TensorType, tuple[Layer, ...]]:
    """What a net takes whose first layer that counts is dense: an image laid out as one row, a vector, or tokens."""
    pixels = size[0] * size[1]
    flat = (Flatten(),) if index == 0 else ()
    if index == 0 and _before_tokens(items):
        return TensorType((pixels,), "i32"), ()
    if items[0].head not in ("dense", "flatten"):  # pooled before: the channels stay
        return TensorType((*size, stated)), ()
    if pixels == 1 and index == 0:
        return TensorType((stated,)), ()
    if stated % pixels == 0:
        return TensorType((*size, stated // pixels)), flat
    if index == 0 and not {"imageH", "imageW"} & record.fields.keys():
        return TensorType((stated,)), ()
    if index or min(size) > 1:  # of an image; one that is a row of places is a sequence
        error = Misread(
            place,
            f"dense: fanIn wants a multiple of {size[0]} x {size[1]} = {pixels} pixels, got {stated}; change it, "
            f"imageH and imageW, or write input := [{stated}]",
        )
        if index and not reader.strict:  # the dense layer will say so
            return TensorType((*size, 1)), ()
        reader.disagree(error)
    return TensorType((pixels, stated)), ()


def _before_tokens(items: tuple[Built, ...]) -> bool:
    """Whether the first layer that is not dense takes tokens: then the first dense one is their embedding."""
    past = next((item for item in items if item.head != "dense"), None)
    row = TABLE.get(past.head) if past is not None else None
    return past is not None and row is not None and row.form == "tokens" and is_original(past, row)


def _first_stated(items: tuple[Built, ...]) -> tuple[Constructor, int, Any] | None:
    """The first layer that states what arrives at it, before any that would change it without a word."""
    for index, item in enumerate(items):
        row = TABLE.get(item.head)
        if row is None or not is_original(item, row):
            return None
        if row.reads or row.form == "ids":
            return row, index, bind(item, row.parameters, frozenset(item.named))
        if item.head not in ("maxPool", "globalAvgPool", "flatten", "bilinearUpsample", "spatialFlatten"):
            return None
    return None


def _given_input(fields: Fields) -> TensorType:
    value, at = fields["input"]
    items = value.items if isinstance(value, Product) else value
    if not isinstance(items, tuple) or not items or not all(is_whole(n) and 1 <= n <= LARGEST for n in items):  # type: ignore[operator]
        raise Misread(at, f"input wants positive sizes, got {shown(value)}; write input := [224, 224, 3]")
    for other in ("imageH", "imageW", "channels"):
        if other in fields:
            raise Misread(fields[other][1], f"{other} wants no input beside it, got both; leave one out")
    dtype = _text(fields, "inputDtype", at) if "inputDtype" in fields else "f32"
    if dtype not in ("f32", "i32"):
        raise Misread(fields["inputDtype"][1], f'inputDtype wants "f32" or "i32" (token ids), got {dtype!r}; change it')
    return TensorType(tuple(int(n) for n in items), "i32" if dtype == "i32" else "f32")  # type: ignore[arg-type]
