"""Specs as TOML files: `name`, `input`, and a `[[layers]]` table for each layer."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.errors import SpecError, UserError
from netc.netspec.field_types import hints_of, shown, spelled
from netc.netspec.layer import Layer
from netc.netspec.layers import VOCABULARY
from netc.netspec.spec import NetSpec
from netc.netspec.text_file import read_text

LARGEST_FILE = 1 << 20  # bytes; a spec is text that somebody wrote
LARGEST_INTEGER = 2**31 - 1  # no axis, stride or count of a real network is larger
LARGEST_FLOAT = 3.4e38  # what float32, in which everything is computed, can hold
LINE = 100  # characters; a longer list of layers is broken in a readable text
DEEPEST = 64  # levels of nesting in a layer; a U-Net of four steps, written out, has 34

# more parts with dots between than a spec has levels; it begins where no part goes on, or each letter would be a start
_LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{DEEPEST}}}""", re.ASCII)


def load(path: Path) -> NetSpec:
    """Read a spec; raises UserError (unreadable) or SpecError (every wrong field, each with its place)."""
    text = read_text(path, LARGEST_FILE, "a spec of ", "is it the right file?")
    return from_toml(text.replace("\r\n", "\n").replace("\r", "\n"), str(path))


def from_toml(text: str, where: str = "spec") -> NetSpec:
    """Parse a spec; `where` names the text in messages."""
    if _LONG_KEY.search(text):  # which tomllib takes the square of its length for
        raise UserError(f"{where}: wants keys of at most {DEEPEST} parts, got a longer one; is it a spec?")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and integers that Python refuses to read
        raise UserError(f"{where}: wants TOML, got {error}; see `netc show NET --toml` for an example") from error
    return from_table(table, where)


def from_table(table: Mapping[str, Any], where: str) -> NetSpec:
    """A spec from what a TOML file, or a table of one, holds; raises SpecError with every wrong field."""
    problems: list[str] = []
    for key in table.keys() - {"name", "input", "dtype", "layers", "source"}:
        problems.append(f"{where}: unknown field {key!r}; a spec has name, input, dtype, layers and source")
    name = _value(str, table.get("name"), f"{where}: name", problems, 0)
    shape = _value(tuple[int, ...], table.get("input"), f"{where}: input", problems, 0)
    dtype = _value(str, table.get("dtype", "f32"), f"{where}: dtype", problems, 0)
    source = _value(str, table.get("source", ""), f"{where}: source", problems, 0)
    layers = _value(tuple[Layer, ...], table.get("layers"), f"{where}: layers", problems, 0)
    if problems:
        raise SpecError(tuple(problems))
    return NetSpec(name, shape, layers, source, dtype=dtype)


def _value(want: Any, got: Any, where: str, problems: list[str], depth: int) -> Any:
    """`got`, read as the type `want`; appends a problem and returns None if it is not one."""
    if depth > DEEPEST:
        problems.append(f"{where} is nested more than {DEEPEST} deep; flatten it")
        return None
    origin = get_origin(want)
    if origin in (types.UnionType, typing.Union, typing.Literal) or want in (int, float, str, bool):
        return _scalar_or_choice(want, got, where, problems, depth)
    if origin is tuple:
        return _sequence(get_args(want), got, where, problems, depth)
    if isinstance(want, type) and issubclass(want, Layer):
        return _layer(got, where, problems, depth)
    raise TypeError(f"no TOML form for {want}")


def _scalar_or_choice(want: Any, got: Any, where: str, problems: list[str], depth: int) -> Any:
    options = get_args(want) if get_origin(want) in (types.UnionType, typing.Union) else (want,)
    # which words a Literal admits is the layer's own check
    for option in (str if get_origin(o) is typing.Literal else o for o in options):
        trial: list[str] = []
        value = (
            _plain(option, got, trial)
            if option in (int, float, str, bool, type(None))
            else _value(option, got, where, trial, depth + 1)
        )
        if not trial:
            return value
    wanted = spelled(want)
    if type(got) is int and abs(got) > LARGEST_INTEGER:
        wanted = "an integer below 2^31"
    elif type(got) is float and math.isfinite(got) and abs(got) > LARGEST_FLOAT:
        wanted = f"a number up to {LARGEST_FLOAT}, which float32 can hold"
    problems.append(f"{where} wants {wanted}, got {shown(got)}")
    return None


def _plain(want: type, got: Any, problems: list[str]) -> Any:
    if type(got) is int and abs(got) > LARGEST_INTEGER:
        problems.append("too large")
        return got
    if want is float and type(got) is int:
        return float(got)
    if type(got) is not want or (isinstance(got, float) and not abs(got) <= LARGEST_FLOAT):
        problems.append("wrong")
    return got


def _sequence(args: tuple[Any, ...], got: Any, where: str, problems: list[str], depth: int) -> Any:
    variadic = len(args) == 2 and args[1] is Ellipsis
    if not isinstance(got, list) or (not variadic and len(got) != len(args)):
        problems.append(f"{where} wants {'a list' if variadic else f'{len(args)} values'}, got {shown(got)}")
        return None
    wants = (args[0],) * len(got) if variadic else args
    return tuple(
        _value(w, g, f"{where}[{i}]", problems, depth + 1) for i, (w, g) in enumerate(zip(wants, got, strict=True))
    )


def _layer(got: Any, where: str, problems: list[str], depth: int) -> Layer | None:
    if not isinstance(got, Mapping):
        problems.append(f"{where} wants a table with a kind, got {shown(got)}")
        return None
    kind = got.get("kind")
    word = VOCABULARY.word(kind)
    if word is None:
        problems.append(f"{where}: {VOCABULARY.problem(kind)}{_as_activation(kind)}")
        return None
    cls = VOCABULARY[word]
    hints = hints_of(cls)
    before = len(problems)
    for key in sorted(got.keys() - hints.keys() - {"kind"}):
        problems.append(f"{where} ({kind}): unknown option {key!r}; {kind} has {', '.join(hints)}")
    values = {
        k: _value(hints[k], v, f"{where} ({kind}): {k}", problems, depth + 1) for k, v in got.items() if k in hints
    }
    for missing in sorted(_required(cls) - values.keys()):
        problems.append(f"{where} ({kind}): wants {missing}, got nothing")
    return cls(**values) if len(problems) == before else None


def _as_activation(kind: Any) -> str:
    """What to write where an activation stands in place of a kind; "" for another word."""
    if (function := ACTIVATIONS.word(kind)) is None:
        return ""
    return f'; write activation = "{function}" on the layer, or kind = "activation" and function = "{function}"'


def _required(cls: type[Layer]) -> set[str]:
    missing = dataclasses.MISSING
    return {f.name for f in dataclasses.fields(cls) if f.default is missing and f.default_factory is missing}


def to_toml(spec: NetSpec, *, readable: bool = False) -> str:
    """The canonical text of a spec: fields in order, defaults left out. `from_toml` gives the equal spec back.

    A `readable` text, which no digest is taken of, has the parts of a layer on lines of their own where they are long.
    """
    lines = [f"name = {write_value(spec.name)}", f"input = {write_value(spec.input)}"]
    if spec.dtype != "f32":
        lines.append(f"dtype = {write_value(spec.dtype)}")
    for layer in spec.layers:
        lines += ["", "[[layers]]", *(f"{k} = {write_value(v, 0 if readable else None)}" for k, v in _fields(layer))]
    return "\n".join(lines) + "\n"


def _fields(layer: Layer) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("kind", layer.kind)]
    for f in dataclasses.fields(layer):
        value = getattr(layer, f.name)
        default = f.default_factory() if f.default_factory is not dataclasses.MISSING else f.default
        if value != default:
            found.append((f.name, value))
    return found


def write_value(value: Any, indent: int | None = None) -> str:
    """A value as TOML; with an `indent`, a list of layers that is longer than a line is broken between them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        text = "[" + ", ".join(map(write_value, value)) + "]"
        if indent is None or len(text) <= LINE - indent or not any(isinstance(v, Layer) for v in value):
            return text
        inner = " " * (indent + 2)
        return "[\n" + "".join(f"{inner}{write_value(v, indent + 2)},\n" for v in value) + " " * indent + "]"
    if isinstance(value, Layer):
        return "{ " + ", ".join(f"{k} = {write_value(v, indent)}" for k, v in _fields(value)) + " }"
    raise TypeError(f"no TOML form for {value!r}")


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    spelt = (escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return '"' + "".join(spelt) + '"'
