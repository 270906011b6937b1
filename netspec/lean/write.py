"""A NetSpec as a Lean definition, which reads back as the equal NetSpec.

A layer is written as the original's constructor where it is exactly what that means, with netc's further options
named behind it where it is nearly so, and else as netc's own kind. Whatever is proposed is read again before it is
taken, so that a wrong proposal cannot change a net.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from netc.netspec.layer import Layer, LayerError, signature_of
from netc.netspec.layers import Flatten, TransformerEncoder
from netc.netspec.lean.constructors import TABLE, TAKES_TOKENS
from netc.netspec.lean.positional import POSITIONAL, Word
from netc.netspec.lean.sequence import SEES, Reader, Settings, is_original
from netc.netspec.lean.source import Built, Misread, Span, Value
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

WIDTH = 118  # columns of a line
STRING = r'"(?:\\.|[^"\\])*"'
WORD = re.compile(rf'(?:{STRING}|[^\s"])+')  # what stands between spaces outside strings
MARK = re.compile(rf"{STRING}|[][(),]")
NOWHERE = Span(1, 1, 1)
KEYWORDS = frozenset({
    "abbrev", "at", "axiom", "by", "class", "def", "deriving", "do", "else", "end", "example", "for", "from", "fun",
    "have", "if", "import", "in", "inductive", "infix", "instance", "let", "macro", "match", "mutual", "namespace",
    "notation", "opaque", "open", "partial", "private", "protected", "return", "section", "set_option", "show",
    "structure", "syntax", "then", "theorem", "universe", "unsafe", "variable", "where", "with", "Type", "Prop", "Sort",
})  # fmt: skip


def to_lean(spec: NetSpec) -> str:
    """The definition as text: its input, then a layer a line."""
    lines = [
        f"/-! {_commented(spec.name)}, written by netc, which reads it back as the same net (docs/lean.md). -/",
        "",
        f"def {identifier(spec.name)} : NetSpec where",
        f"  name := {quoted(spec.name)}",
    ]
    written = _layers(spec.layers, spec.x)
    head, written = _input(spec, written)
    lines += [f"  {line}" for line in head]
    if spec.source:
        lines.append(f"  source := {quoted(spec.source)}")
    if not written:
        return "\n".join([*lines, "  layers := []"]) + "\n"
    lines.append("  layers := [")
    lines += _lines(written)
    return "\n".join([*lines, "  ]"]) + "\n"


def identifier(name: str) -> str:
    """A name that a definition can have: what is no letter, digit or underscore becomes an underscore."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII) or "net"
    return f"net_{plain}" if plain[0].isdigit() or plain in KEYWORDS or set(plain) == {"_"} else plain


def quoted(text: str) -> str:
    """A string literal of Lean."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    shown = (escapes.get(c) or (c if c.isprintable() or ord(c) > 0xFFFF else f"\\u{ord(c):04x}") for c in text)
    return '"' + "".join(shown) + '"'


def _commented(text: str) -> str:
    """Text that ends no comment and opens none."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("-/", "- /").replace("/-", "/ -")


def _lines(written: Sequence[str]) -> list[str]:
    commas = [text + ("," if i + 1 < len(written) else "") for i, text in enumerate(written)]
    return [line for text in commas for line in _folded(text, 4)]


def _folded(text: str, indent: int) -> list[str]:
    """A layer on one line, or its outermost list one item a line, or broken at spaces where there is none."""
    if indent + len(text) <= WIDTH:
        return [" " * indent + text]
    group = _outermost_list(text)
    if group is None:
        return _wrapped(text, indent)
    first, last = group
    inner = _split(text[first + 1 : last])
    lines = _wrapped(text[: first + 1], indent)
    for index, item in enumerate(inner):
        lines += _folded(item + ("," if index + 1 < len(inner) else ""), indent + 2)
    return [*lines, *_wrapped(text[last:], indent)]


def _marks(text: str) -> Iterator[tuple[int, str, int]]:
    """Every bracket and comma outside strings: its place, itself, and how many square brackets are open around it."""
    depth = rounds = 0
    for found in MARK.finditer(text):
        mark = found.group()
        if len(mark) > 1:  # a string
            continue
        if mark in "])":
            depth, rounds = depth - (mark == "]"), rounds - (mark == ")")
        if mark in "[]" or (mark == "," and not rounds):
            yield found.start(), mark, depth
        if mark in "[(":
            depth, rounds = depth + (mark == "["), rounds + (mark == "(")


def _outermost_list(text: str) -> tuple[int, int] | None:
    """Where the longest of the outermost lists begins and ends, if it holds layers."""
    starts = [at for at, mark, depth in _marks(text) if mark == "[" and depth == 0]
    ends = [at for at, mark, depth in _marks(text) if mark == "]" and depth == 0]
    spans = [(a, b) for a, b in zip(starts, ends, strict=True) if text[a + 1 : a + 2] == "."]
    return max(spans, key=lambda span: span[1] - span[0], default=None)


def _split(text: str) -> list[str]:
    """The items of a list."""
    commas = [at for at, mark, depth in _marks(text) if mark == "," and depth == 0]
    return [text[a + 1 : b].strip() for a, b in zip((-1, *commas), (*commas, len(text)), strict=True)]


def _wrapped(text: str, indent: int) -> list[str]:
    """Broken at spaces outside strings, what follows the first line further in."""
    lines, line = [], " " * indent
    for index, word in enumerate(WORD.findall(text)):
        if index and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = " " * (indent + 4) + word
        else:
            line += f" {word}" if index else str(word)
    return [*lines, line]


def _input(spec: NetSpec, written: list[str]) -> tuple[list[str], list[str]]:
    """The fields that say the input, and the layers as they then stand: without a flatten that goes without saying."""
    shape = spec.input
    if spec.dtype == "i32":
        return [f"input := {_list(shape)}", 'inputDtype := "i32"'], written
    if len(shape) == 3:
        size = [f"imageH := {shape[0]}", f"imageW := {shape[1]}"]
        states = _stated_channels(written)
        if states == shape[2] and spec.layers and spec.layers[0] != Flatten():
            return size, written
        if spec.layers and spec.layers[0] == Flatten() and _fan_in(written, 1) == shape[0] * shape[1] * shape[2]:
            return (size, written[1:]) if shape[0] * shape[1] > 1 else (_whole(shape), written)
    return _whole(shape), written


def _whole(shape: tuple[int, ...]) -> list[str]:
    return [f"input := {_list(shape)}"]


def _list(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _stated_channels(written: list[str]) -> int | None:
    """The channels that the first line states, if it is an image constructor's with its arguments in order."""
    words = written[0].split() if written else [""]
    row = TABLE.get(words[0][1:])
    if row is None or row.form != "image" or not row.reads:
        return None
    place = 1 + [p.name for p in row.parameters].index(row.reads)
    in_order = [word for word in words[1 : place + 1] if not word.startswith("(")]
    return int(words[place]) if len(in_order) == place and words[place].isdigit() else None


def _fan_in(written: list[str], index: int) -> int | None:
    words = written[index].split() if len(written) > index else []
    return int(words[1]) if words[:1] == [".dense"] and len(words) > 1 and words[1].isdigit() else None


def _layers(layers: Sequence[Layer], x: TensorType | None) -> list[str]:
    """Each layer's text, knowing what arrives at it."""
    written, index = [], 0
    while index < len(layers):
        count, text = _encoder(layers[index : index + 4], x)
        written.append(text or layer_text(layers[index], x))
        for layer in layers[index : index + count]:
            x = _out(layer, x)
        index += count
    return written


def _encoder(layers: Sequence[Layer], x: TensorType | None) -> tuple[int, str]:
    """How many layers the original's transformerEncoder stands for here, and its text; 1 and nothing if it does not."""
    first = layers[0]
    if not isinstance(first, TransformerEncoder) or x is None or x.rank != 2:
        return 1, ""
    sizes = (x.shape[1], first.heads, first.mlp, first.blocks)
    switches = (first.causal, False, first.tile > 0, first.rope)
    for keep in (False, True):
        flags = (switches[0], keep, *switches[2:])
        made = _read_again("transformerEncoder", (*sizes, *flags), x)
        count = len(made)
        if not made or type(made[0]) is not type(first) or tuple(layers[1:count]) != made[1:]:
            continue
        after = layers[count].kind if len(layers) > count else ""
        differ = _differences(made[0], first)
        if differ.keys() - {"name"} or (not keep and after in TAKES_TOKENS):
            continue
        given = [_text(v, None, "") for v in (*sizes, *(flags if any(flags) else ()))]
        return count, " ".join((".transformerEncoder", *given, *_named(differ, None, "")))
    return 1, ""


def _out(layer: Layer, x: TensorType | None) -> TensorType | None:
    if x is None or next(layer.problems(), None) is not None:
        return None
    try:
        return signature_of(layer, x).out
    except LayerError:
        return None


def layer_text(layer: Layer, x: TensorType | None) -> str:
    """One layer: the original's constructor where it means just this, else netc's kind with named options."""
    return _original(layer, x) or _own(layer, x)


def _read_again(head: str, values: Sequence[Any], x: TensorType) -> tuple[Layer, ...]:
    """The layers that a constructor with these arguments in order stands for; none if it is refused."""
    built = Built(head, tuple(map(_value_of, values)), {}, NOWHERE, (NOWHERE,) * len(values))
    try:
        return Reader(Settings()).sequence((built,), x)
    except Misread:
        return ()


def _differences(made: Layer, wanted: Layer) -> dict[str, Any]:
    """The options of `wanted` that are not those of `made`, which is of the same kind."""
    names = [f.name for f in dataclasses.fields(wanted)]
    return {n: getattr(wanted, n) for n in names if getattr(wanted, n) != getattr(made, n)}


def _original(layer: Layer, x: TensorType | None) -> str | None:
    propose = POSITIONAL.get(layer.kind)
    if propose is None or x is None or x.rank == 0:
        return None
    try:
        words = propose(layer, x)
    except (TypeError, LayerError):  # a pair where the constructor has one number
        return None
    if words is None:
        return None
    head, *values = words
    row = TABLE[str(head)]
    made = _read_again(str(head), values, x)
    if len(made) != 1 or type(made[0]) is not type(layer):
        return None
    while values and row.parameters[len(values) - 1].optional and _read_again(str(head), values[:-1], x) == made:
        values.pop()
    differ = _differences(made[0], layer)
    own = {name for parameter in row.parameters for name in parameter.names}
    if differ.keys() & own or replace(made[0], **differ) != layer:
        return None
    return " ".join((f".{head}", *map(_bare, values), *_named(_name_last(differ), x, layer.kind)))


def _value_of(value: Any) -> Value:
    return Built(value.text, (), {}, NOWHERE) if isinstance(value, Word) else value


def _own(layer: Layer, x: TensorType | None) -> str:
    values = {}
    for f in dataclasses.fields(layer):
        value = getattr(layer, f.name)
        default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        if value != default:
            values[f.name] = value
    values = _name_last({**values, **_kept_apart(layer, values)})
    return " ".join((f".{layer.kind}", *_named(values, x, layer.kind)))


def _name_last(values: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in values.items() if k != "name"}, **{k: v for k, v in values.items() if k == "name"}}


def _kept_apart(layer: Layer, values: dict[str, Any]) -> dict[str, Any]:
    """An option more, at its default, where the options alone would be read as the original's constructor."""
    row = TABLE.get(layer.kind)
    if row is None or not row.parameters:
        return {}
    probe = Built(layer.kind, (), dict.fromkeys(values, 0), NOWHERE)
    if not is_original(probe, row):
        return {}
    own = {name for parameter in row.parameters for name in parameter.names}
    return next(
        ({f.name: getattr(layer, f.name)} for f in dataclasses.fields(layer) if f.name not in {*own, "name"}), {}
    )


def _named(values: dict[str, Any], x: TensorType | None, kind: str) -> list[str]:
    sees = SEES.get(kind, {})
    return [f"({name} := {_text(value, x, sees.get(name, ''))})" for name, value in values.items()]


def _bare(value: Any) -> str:
    return f".{value.text}" if isinstance(value, Word) else _text(value, None, "")


def _text(value: Any, x: TensorType | None, sees: str) -> str:
    """A value; `sees` says what arrives at the layers in it."""
    write = WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, tuple):
        layers = [item for item in value if isinstance(item, Layer)]
        if layers and sees == "in order":
            return "[" + ", ".join(_layers(layers, x)) + "]"
        return "[" + ", ".join(_text(item, x, sees) for item in value) + "]"
    if isinstance(value, Layer):
        return layer_text(value, x if sees else None)
    raise TypeError(f"no Lean form for {value!r}")


def number(value: float) -> str:
    """A numeral: Lean wants digits around the point, and takes an exponent."""
    text = repr(float(value)).replace("e+", "e").replace("e0", "e").replace("e-0", "e-")
    return f"({text})" if value < 0 else text


WRITERS: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    int: lambda value: str(value) if value >= 0 else f"({value})",
    float: number,
    str: quoted,
    type(None): lambda value: "none",
}
