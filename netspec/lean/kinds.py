"""netc's own layers as constructors: `.batchNorm (epsilon := 1e-3)`, the kind's name and its options, all named."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_origin

from netc.netspec.layer import Layer
from netc.netspec.layers import VOCABULARY
from netc.netspec.lean.arguments import ACTIVATION_WORDS, LARGEST, PADDING_WORDS, activation_word, is_whole, shown
from netc.netspec.lean.source import Built, Misread, Product, Span, Value

LARGEST_FLOAT = 3.4e38  # what float32, in which everything is computed, can hold
# option -> words that it may be given as, besides a string
WORDS: dict[str, dict[str, str]] = {
    "activation": ACTIVATION_WORDS,
    "function": ACTIVATION_WORDS,
    "gate": ACTIVATION_WORDS,
    "padding": PADDING_WORDS,
    "norm": {"ln": "layer", "bn": "batch"},
}
NAMES = {int: "an integer", float: "a number", str: "a string", bool: "true or false", type(None): "none"}

# a nested layer, by the option that holds it -> the layer
Nested = Callable[[str, Value, Span], Layer]
# several of them in a list
NestedList = Callable[[str, tuple[Value, ...], Span], tuple[Layer, ...]]


@lru_cache(maxsize=256)
def hints_of(cls: type[Layer]) -> dict[str, Any]:
    """The type of each option of a kind."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


@lru_cache(maxsize=256)
def required_of(cls: type[Layer]) -> tuple[str, ...]:
    """The options that have no default."""
    missing = dataclasses.MISSING
    return tuple(f.name for f in dataclasses.fields(cls) if f.default is missing and f.default_factory is missing)


@dataclasses.dataclass(frozen=True)
class Reading:
    """Reads options by their types; nested layers are read by whoever knows what arrives at them."""

    head: str
    nested: Nested
    nested_list: NestedList

    def option(self, name: str, hint: Any, value: Value, at: Span) -> Any:
        """The option's value; raises Misread if it is of another type."""
        found, wanted = self._read(name, hint, value, at)
        if wanted:
            raise Misread(at, f"{self.head}: {name} wants {wanted}, got {shown(value)}; change it")
        return found

    def _read(self, name: str, hint: Any, value: Value, at: Span) -> tuple[Any, str]:
        """The value, and what was wanted where it is not that."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (types.UnionType, typing.Union):
            return self._first(name, arguments, value, at)
        if origin is tuple:
            return self._several(name, arguments, value, at)
        if isinstance(hint, type) and issubclass(hint, Layer):
            if not isinstance(value, Built):
                return None, "a layer"
            return self.nested(name, value, at), ""
        return self._scalar(name, str if origin is typing.Literal else hint, value)

    def _scalar(self, name: str, hint: Any, value: Value) -> tuple[Any, str]:
        if hint is type(None):
            return None, "" if isinstance(value, Built) and value.head == "none" else "none"
        if hint is str and isinstance(value, Built) and not value.args and not value.named:
            words = WORDS.get(name, {})
            word = activation_word(value.head) if words is ACTIVATION_WORDS else words.get(value.head)
            return word, "" if word is not None else _words(name)
        if hint is bool and isinstance(value, bool):
            return value, ""
        if hint is int and is_whole(value) and abs(value) <= LARGEST:  # type: ignore[arg-type]
            return int(value), ""  # type: ignore[arg-type]
        number = is_whole(value) or isinstance(value, float)
        if hint is float and number and abs(value) <= LARGEST_FLOAT:  # type: ignore[arg-type]
            return float(value), ""  # type: ignore[arg-type]
        if hint is str and isinstance(value, str):
            return value, ""
        return None, _words(name) if hint is str else NAMES[hint]

    def _first(self, name: str, options: tuple[Any, ...], value: Value, at: Span) -> tuple[Any, str]:
        """As the first of several types that fits."""
        if isinstance(value, Built) and value.head == "some" and len(value.args) == 1:
            value = value.args[0]
        wants = []
        for option in options:
            found, wanted = self._read(name, option, value, at)
            if not wanted:
                return found, ""
            wants.append(wanted)
        return None, " or ".join(dict.fromkeys(wants))

    def _several(self, name: str, hints: tuple[Any, ...], value: Value, at: Span) -> tuple[Any, str]:
        items = value.items if isinstance(value, Product) else value
        variadic = len(hints) == 2 and hints[1] is Ellipsis
        if not isinstance(items, tuple) or (not variadic and len(items) != len(hints)):
            return None, "a list" if variadic else f"a list of {len(hints)}"
        if variadic and isinstance(hints[0], type) and issubclass(hints[0], Layer):
            return self.nested_list(name, items, at), ""
        found = []
        for hint, item in zip((hints[0],) * len(items) if variadic else hints, items, strict=True):
            one, wanted = self._read(name, hint, item, at)
            if wanted:
                return None, f"a list whose items are each {wanted}"
            found.append(one)
        return tuple(found), ""


def _words(name: str) -> str:
    words = WORDS.get(name)
    return "a string" if words is None else "a string or one of " + " ".join(f".{word}" for word in words)


def build(built: Built, nested: Nested, nested_list: NestedList) -> Layer:
    """A layer of netc's own from its kind and named options; raises Misread for whatever is not one of them."""
    head = built.head
    cls = VOCABULARY[head]
    if built.args:
        raise Misread(
            built.spans[0] if built.spans else built.at,
            f"{head} is netc's own constructor and wants named arguments only, got a positional one; write "
            f"({_first_option(cls)} := ..)",
        )
    reading = Reading(head, nested, nested_list)
    values = options(built, reading, cls, frozenset(built.named))
    missing = [name for name in required_of(cls) if name not in values]
    if missing:
        raise Misread(built.at, f"{head} wants {', '.join(missing)}, got nothing; write ({missing[0]} := ..)")
    return cls(**values)


def _first_option(cls: type[Layer]) -> str:
    return next(f.name for f in dataclasses.fields(cls) if f.name != "name" or len(dataclasses.fields(cls)) == 1)


def options(built: Built, reading: Reading, cls: type[Layer], names: frozenset[str]) -> dict[str, Any]:
    """The values of those named arguments as options of `cls`."""
    hints = hints_of(cls)
    values = {}
    for name, value in built.named.items():
        if name not in names:
            continue
        at = built.named_spans.get(name, built.at)
        if name not in hints:
            raise Misread(at, f"{built.head} has no option {name!r}; netc's {cls.kind} has {', '.join(hints)}")
        values[name] = reading.option(name, hints[name], value, at)
    return values
