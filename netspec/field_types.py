"""Whether what a spec's layers hold is of the types that their fields state: Python does not ask, and TOML does."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

from netc.netspec.layer import Layer

SPELLED = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
UNIONS = (types.UnionType, typing.Union)


@lru_cache(maxsize=512)
def hints_of(cls: type[Layer]) -> Mapping[str, Any]:
    """The type of each field of a kind of layer."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def shown(got: Any) -> str:
    """A value as messages show it."""
    if got is None:
        return "nothing"
    try:
        text = repr(got)
    except ValueError:  # an integer with more digits than Python agrees to print
        text = "an enormous number"
    return text if len(text) <= 80 else f"{text[:80]}.."


def spelled(want: Any) -> str:
    """A type as messages say it."""
    if want in SPELLED:
        return SPELLED[want]
    if get_origin(want) is typing.Literal:
        return " or ".join(map(repr, get_args(want)))
    options = [a for a in get_args(want) if a is not type(None)]
    return " or ".join(spelled(a) if get_origin(a) is not tuple else "a list" for a in options) or "another value"


def type_problems(where: str, layers: tuple[Layer, ...]) -> Iterator[str]:
    """A sentence for each field of the layers, and of the layers in them, that holds another type than it states."""
    for index, layer in enumerate(layers):
        if not _sound(layer):
            yield from _of_layer(f"{where}: layer {index}", layer)


def _sound(layer: Any) -> bool:
    """Whether there is nothing to say of it; asked at every change of a spec, and so in few calls."""
    if not isinstance(layer, Layer):
        return False
    for name, plain, fits in _checks(type(layer)):
        value = getattr(layer, name)
        if type(value) not in plain and (fits is None or not fits(value)):
            return False
    return True


@lru_cache(maxsize=512)
def _checks(cls: type[Layer]) -> tuple[tuple[str, frozenset[type], Callable[[Any], bool] | None], ...]:
    """For each field: its name, the plain types that it takes, and what judges any other value."""
    return tuple((name, _plain_of(want), _judge(want)) for name, want in hints_of(cls).items())


def _plain_of(want: Any) -> frozenset[type]:
    if get_origin(want) in UNIONS:
        return frozenset[type]().union(*map(_plain_of, get_args(want)))
    return frozenset({float, int} if want is float else {want} if want in (*SPELLED, type(None)) else ())


def _judge(want: Any) -> Callable[[Any], bool] | None:
    if want in (*SPELLED, type(None)):
        return None
    return lambda got: not any(True for _ in _of_value("", want, got))


def _of_layer(where: str, got: Any) -> Iterator[str]:
    if isinstance(got, type) and issubclass(got, Layer):
        yield f"{where} wants a layer, got the class {got.__name__}; write {got.__name__}()"
    elif not isinstance(got, Layer):
        yield f"{where} wants a layer, got {shown(got)}; write one such as layers.Dense(10)"
    else:
        for name, want in hints_of(type(got)).items():
            yield from _of_value(f"{where} ({got.kind}): {name}", want, getattr(got, name))


def _of_value(where: str, want: Any, got: Any) -> Iterator[str]:
    origin, args = get_origin(want), get_args(want)
    if origin in UNIONS:
        trials = [[*_of_value(where, option, got)] for option in args]
        if all(trials):
            layers = [t for t, option in zip(trials, args, strict=True) if _is_layer(option) and isinstance(got, Layer)]
            yield from layers[0] if layers else (f"{where} wants {_either(args)}, got {shown(got)}",)
    elif origin is tuple:
        variadic = len(args) == 2 and args[1] is Ellipsis
        if not isinstance(got, tuple) or (not variadic and len(got) != len(args)):
            yield f"{where} wants a tuple{'' if variadic else f' of {len(args)}'}, got {shown(got)}"
            return
        for index, value in enumerate(got):
            yield from _of_value(f"{where}[{index}]", args[0] if variadic else args[index], value)
    elif _is_layer(want):
        if not _sound(got):
            yield from _of_layer(where, got)
    elif want in (*SPELLED, type(None)) and not _plain(want, got):
        yield f"{where} wants {spelled(want)}, got {shown(got)}"


def _is_layer(want: Any) -> bool:
    return isinstance(want, type) and issubclass(want, Layer)


def _plain(want: type, got: Any) -> bool:
    """Whether it is of the type; a whole number is a number, and a truth value is none."""
    return type(got) is want or (want is float and type(got) is int)


def _either(options: tuple[Any, ...]) -> str:
    return " or ".join(dict.fromkeys(map(_option, options)))


def _option(want: Any) -> str:
    if want is type(None):
        return "None"
    return "a layer" if _is_layer(want) else "a tuple" if get_origin(want) is tuple else spelled(want)
