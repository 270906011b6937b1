"""The arguments of a constructor: what a signature declares, and what an application of it gives.

A signature is text such as `ic oc kSize|k stride pad:padding act:activation=relu`: names in order, each with its type
after a colon (`size` if none), what it is otherwise called after a bar, and its default after an equals sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.lean.source import Built, Misread, Product, Span, Value

LARGEST = 2**31 - 1  # no axis, stride or count of a real network is larger

# the original's word -> netc's
ACTIVATION_WORDS: dict[str, str] = {
    "relu": "relu",
    "relu6": "relu6",
    "identity": "identity",
    "swish": "swish",
    "hSwish": "h-swish",
    "gelu": "gelu-tanh",  # the original's GELU is the tanh form
    "hSigmoid": "h-sigmoid",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "leakyRelu": "leaky-relu",
    "geluErf": "gelu",
}


def activation_word(head: str) -> str | None:
    """netc's word for the original's, or for one of netc's own: `.leakyRelu`, `.mish`."""
    return ACTIVATION_WORDS.get(head) or ACTIVATIONS.word(head)


PADDING_WORDS: dict[str, str] = {"same": "same", "valid": "valid"}
NORM_WORDS: dict[str, str] = {"ln": "layer", "bn": "batch"}


@dataclass(frozen=True)
class Parameter:
    """One argument of a constructor: its names, the first of which is the usual one, its type and its default."""

    names: tuple[str, ...]
    type: str
    default: Any = None
    optional: bool = False

    @property
    def name(self) -> str:
        """The usual name."""
        return self.names[0]


@dataclass(frozen=True)
class Arguments:
    """The values of an application by the parameters' usual names, and where each was written."""

    values: Mapping[str, Any]
    places: Mapping[str, Span]
    at: Span

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def place(self, name: str) -> Span:
        """Where that argument stands; the constructor itself for a default."""
        return self.places.get(name, self.at)


def shown(value: Value) -> str:
    """A value as a message prints it."""
    match value:
        case bool():
            return "true" if value else "false"
        case Built():
            return f".{value.head}" + (" .." if value.args or value.named else "")
        case tuple():
            return "a list"
        case int() | float() | str():
            text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 64 else "an enormous number"
            return text if len(text) <= 60 else f"{text[:60]}.."
        case _:
            return "another value"


def is_whole(value: Value) -> bool:
    """Whether a value is a number without a fraction (and not true or false)."""
    return isinstance(value, int) and not isinstance(value, bool)


def _nat(value: Value, least: int) -> Any:
    return int(value) if is_whole(value) and least <= value <= LARGEST else None  # type: ignore[arg-type, operator]


def _word(words: Mapping[str, str]) -> Callable[[Value], Any]:
    return lambda value: (
        words.get(value.head) if isinstance(value, Built) and not value.args and not value.named else None
    )


def _sizes(value: Value) -> Any:
    if (one := _nat(value, 1)) is not None:
        return one
    items = value.items if isinstance(value, Product) else value if isinstance(value, tuple) else ()
    both = tuple(_nat(item, 1) for item in items)
    return both if len(both) == 2 and None not in both else None


def _activation(value: Value) -> Any:
    if isinstance(value, bool):  # older files: useHSwish
        return "h-swish" if value else "relu"
    bare = isinstance(value, Built) and not value.args and not value.named
    return activation_word(value.head) if bare else None  # type: ignore[union-attr]


def _words(words: Mapping[str, str]) -> str:
    return "one of " + " ".join(f".{word}" for word in words)


# type -> what a message calls it, and its reading: the value for netc, or None
TYPES: dict[str, tuple[str, Callable[[Value], Any]]] = {
    "size": ("a positive integer", lambda value: _nat(value, 1)),
    "nat": ("an integer of at least 0", lambda value: _nat(value, 0)),
    "sizes": ("a positive integer or two of them", _sizes),
    "bool": ("true or false", lambda value: value if isinstance(value, bool) else None),
    "activation": (_words(ACTIVATION_WORDS), _activation),
    "padding": (_words(PADDING_WORDS), _word(PADDING_WORDS)),
    "norm": (_words(NORM_WORDS), _word(NORM_WORDS)),
}
DEFAULTS: dict[str, Any] = {"true": True, "false": False}


def signature(text: str) -> tuple[Parameter, ...]:
    """Read a signature's text."""
    return tuple(map(_parameter, text.split()))


def _parameter(text: str) -> Parameter:
    left, equals, default = text.partition("=")
    names, _, type_ = left.partition(":")
    value = DEFAULTS.get(default, default)
    return Parameter(tuple(names.split("|")), type_ or "size", value, bool(equals))


def described(head: str, parameters: tuple[Parameter, ...]) -> str:
    """`.convBn ic oc kSize stride pad`, optional ones in brackets."""
    return " ".join((f".{head}", *(f"[{p.name}]" if p.optional else p.name for p in parameters)))


def bind(built: Built, parameters: tuple[Parameter, ...], further: frozenset[str] = frozenset()) -> Arguments:
    """The arguments of an application; names in `further` are left to somebody else.

    Raises Misread for too many, too few, one given twice, an unknown name, or a value of another type.
    """
    head, form = built.head, described(built.head, parameters)
    if len(built.args) > len(parameters):
        raise Misread(
            built.spans[len(parameters)] if built.spans else built.at,
            f"{head} wants at most {len(parameters)} arguments, got {len(built.args)}; write {form}",
        )
    given: dict[str, tuple[Value, Span]] = {}
    for index, (parameter, value) in enumerate(zip(parameters, built.args, strict=False)):
        given[parameter.name] = (value, built.spans[index] if built.spans else built.at)
    names = {name: p.name for p in parameters for name in p.names}
    for name, value in built.named.items():
        place = built.named_spans.get(name, built.at)
        usual = names.get(name)
        if usual is None:
            if name in further:
                continue
            known = ", ".join((*(p.name for p in parameters), *sorted(further - {"name"}), "name"))
            raise Misread(place, f"{head} has no argument {name!r}; it has {known}")
        if usual in given:
            raise Misread(place, f"{head} wants {usual} once, got it twice; leave one out")
        given[usual] = (value, place)
    missing = [p.name for p in parameters if not p.optional and p.name not in given]
    if missing:
        raise Misread(built.at, f"{head} wants {', '.join(missing)}, got nothing; write {form}")
    values = {p.name: p.default for p in parameters if p.name not in given}
    for parameter in parameters:
        if parameter.name in given:
            values[parameter.name] = _typed(head, parameter, *given[parameter.name])
    return Arguments(values, {name: place for name, (_, place) in given.items()}, built.at)


def _typed(head: str, parameter: Parameter, value: Value, place: Span) -> Any:
    what, read = TYPES[parameter.type]
    found = read(value)
    if found is None:
        raise Misread(place, f"{head}: {parameter.name} wants {what}, got {shown(value)}; change it")
    return found
