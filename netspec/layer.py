"""What a layer is: a frozen value with a signature. Leaves, combinators and composites."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, ClassVar, get_type_hints

from netc.netspec.errors import SpecError
from netc.netspec.types import LARGEST_NUMBER, ParamSpec, Signature, StateSpec, TensorType
from netc.netspec.vocabulary import Vocabulary

MOST_LAYERS = 200_000  # of a net, parts of parts counted; more is a mistake, and would take all memory
TOO_MANY = f"wants at most {MOST_LAYERS} layers in all, got more; lower times or blocks"

Visit = Callable[[str, "Layer", TensorType], TensorType]


class LayerError(Exception):
    """A layer does not fit its input. `guess` is the output it would have given, where that is plain."""

    def __init__(self, problem: str, guess: TensorType | None = None) -> None:
        self.problem = problem
        self.guess = guess
        super().__init__(problem)


@dataclass(frozen=True)
class Layer(ABC):
    """A layer as a value: fields are its options, `signature` is the only place that knows its parameters."""

    kind: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()  # what others call the kind
    takes_ids: ClassVar[bool] = False  # whether an example may be of integers (token ids)
    adds_to_loss: ClassVar[bool] = False  # whether it may add a scalar to the loss of a training step
    name: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name, words in _vocabularies(type(self)):
            given = getattr(self, name)
            if (word := words.word(given)) not in (None, given):
                object.__setattr__(self, name, word)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each option that no input could make right."""
        return iter(())

    @abstractmethod
    def signature(self, x: TensorType) -> Signature:
        """Parameters, states and output type for one example of type `x`; raises LayerError if it does not fit."""

    def label(self) -> str:
        """The kind and its main sizes, as messages and tables show it: `conv2d 64 3x3/2`."""
        return self.kind


@lru_cache(maxsize=512)
def _vocabularies(cls: type[Layer]) -> tuple[tuple[str, Vocabulary[Any]], ...]:
    """The fields whose type names the vocabulary that their words are from; an alias becomes the word."""
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        said = f"{cls.__name__} states a field's type by {error.name!r}; import it at the top of its module"
        raise SpecError((said,)) from error
    noted = ((f.name, v) for f in fields(cls) for v in getattr(hints[f.name], "__metadata__", ()))
    return tuple((name, v) for name, v in noted if isinstance(v, Vocabulary))


def signature_of(layer: Layer, x: TensorType) -> Signature:
    """`layer.signature(x)`, remembered: nested layers ask for the same signature many times."""
    return _remembered(layer, x)


@lru_cache(maxsize=8192)
def _remembered(layer: Layer, x: TensorType) -> Signature:
    if x.dtype == "i32" and not layer.takes_ids:
        raise LayerError(f"wants an input of floats, got integers {x}; put an embedding before it")
    return layer.signature(x)


class Combinator(Layer):
    """A layer made of parts. `flow` says which part sees what; everything else follows from it."""

    takes_ids: ClassVar[bool] = True  # if its parts do

    @abstractmethod
    def flow(self, x: TensorType, visit: Visit) -> TensorType:
        """Send `x` through the parts by `visit(name, part, its input)` and return the output type."""

    def signature(self, x: TensorType) -> Signature:
        """The parts' parameters and states, each under `part.`, and the output that `flow` gives."""
        params: list[ParamSpec] = []
        state: list[StateSpec] = []
        draws, layers = False, 1

        def visit(name: str, part: Layer, x: TensorType) -> TensorType:
            nonlocal draws, layers
            own = signature_of(part, x)
            draws |= own.draws
            layers += own.layers
            if layers > MOST_LAYERS:
                raise LayerError(TOO_MANY)
            params.extend(replace(p, name=f"{name}.{p.name}") for p in own.params)
            state.extend(replace(s, name=f"{name}.{s.name}") for s in own.state)
            return own.out

        out = self.flow(x, visit)
        return Signature(tuple(params), tuple(state), out, draws, layers)


class Composite(Layer):
    """A layer that is only a name for an expression in combinators; it has no backward of its own."""

    takes_ids: ClassVar[bool] = True  # if the expression does

    @abstractmethod
    def expand(self, x: TensorType) -> Layer:
        """The expression, for one example of type `x`."""

    def signature(self, x: TensorType) -> Signature:
        """The expression's signature."""
        return signature_of(expanded(self, x), x)


@lru_cache(maxsize=8192)
def expanded(layer: Composite, x: TensorType) -> Layer:
    """`layer.expand(x)`, remembered."""
    return layer.expand(x)


def part_names(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """A name for each layer of a sequence: its own, or its kind and index (`dense3`)."""
    return tuple(layer.name or f"{layer.kind}{index}" for index, layer in enumerate(layers))


def want_positive(**values: int) -> Iterator[str]:
    """Yield a sentence for each value that is not a positive integer."""
    for name, value in values.items():
        if value < 1:
            yield f"{name} wants a positive integer, got {value}"


def want_spread(**values: float) -> Iterator[str]:
    """Yield a sentence for each value that is no standard deviation."""
    for name, value in values.items():
        if not 0 <= value < math.inf:
            yield f"{name} wants a finite number of at least 0, got {value}"
        elif value > LARGEST_NUMBER:
            yield f"{name} wants a number of at most {LARGEST_NUMBER:g}, got {value}"


def want_finite(**values: float) -> Iterator[str]:
    """Yield a sentence for each value that float32 has no use for."""
    for name, value in values.items():
        if not math.isfinite(value):
            yield f"{name} wants a finite number, got {value}"
        elif abs(value) > LARGEST_NUMBER:
            yield f"{name} wants a number of at most {LARGEST_NUMBER:g}, got {value}"


LARGEST_RATIO = 10_000  # of the widths of two layers; more is a mistake


def want_ratio(**values: float) -> Iterator[str]:
    """Yield a sentence for each value that is no sensible ratio of two widths."""
    for name, value in values.items():
        if not 0 < value <= LARGEST_RATIO:
            yield f"{name} wants a positive number up to {LARGEST_RATIO}, got {value}"


MOST_COPIES = 10_000  # of one layer in a row; more is a mistake, and would take all memory before anything else failed


def want_copies(**values: int) -> Iterator[str]:
    """Yield a sentence for each value that is no sensible number of copies of a layer."""
    for name, value in values.items():
        if not 1 <= value <= MOST_COPIES:
            yield f"{name} wants an integer from 1 to {MOST_COPIES}, got {value}"


def want_rank(layer: Layer, x: TensorType, rank: int, form: str, do: str) -> None:
    """Raise LayerError unless the example has `rank` axes; `form` names them, `do` is the advice."""
    if x.rank != rank:
        got = ", ".join(("batch", *map(str, x.shape)))
        raise LayerError(f"wants [batch, {form}], got [{got}]; {do}")
