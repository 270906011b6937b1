"""From a NetSpec to a CheckedNet, or every reason why not."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netc.netspec.errors import SpecError
from netc.netspec.layer import (
    MOST_LAYERS,
    TOO_MANY,
    Combinator,
    Composite,
    Layer,
    LayerError,
    expanded,
    part_names,
    signature_of,
)
from netc.netspec.layers.combine import Repeat
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.netspec.types import ParamSpec, Signature, StateSpec, TensorType, batched


@dataclass(frozen=True)
class CheckedLayer:
    """A layer with the input that it sees: `path` names it, `depth` is 0 for the spec's own layers."""

    path: str
    depth: int
    layer: Layer
    x: TensorType
    signature: Signature


@dataclass(frozen=True)
class CheckedNet:
    """A spec whose every layer fits; the only kind of net that codegen takes."""

    spec: NetSpec
    signature: Signature

    @property
    def x(self) -> TensorType:
        """The type of one example."""
        return self.spec.x

    @property
    def out(self) -> TensorType:
        """The type of one example's output."""
        return self.signature.out

    @property
    def params(self) -> tuple[ParamSpec, ...]:
        """Every trained tensor, in the order of the module's state."""
        return self.signature.params

    @property
    def state(self) -> tuple[StateSpec, ...]:
        """Every tensor that training updates without a gradient."""
        return self.signature.state

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every such tensor by its name: of the parameters, then of the state."""
        return {p.name: p.shape for p in self.params} | {s.name: s.shape for s in self.state}

    @property
    def count(self) -> int:
        """The number of trained scalars."""
        return self.signature.count

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text of the spec."""
        return hashlib.sha256(to_toml(self.spec).encode()).hexdigest()

    def walk(self) -> Iterator[CheckedLayer]:
        """Every layer, parents before parts, in the order of computation."""
        x = self.spec.x
        for name, layer in zip(part_names(self.spec.layers), self.spec.layers, strict=True):
            yield from _walk(name, 0, layer, x)
            x = signature_of(layer, x).out


def check(spec: NetSpec) -> CheckedNet:
    """Check every option and every shape; raises SpecError with all problems, each naming its layer."""
    problems = _Problems(_input_problems(spec))
    if not spec.layers:
        problems.append(f"{spec.name}: wants at least one layer, got none; add layers")
    problems += [f"{spec.name}: {p}" for p in spec.body.problems()]
    x: TensorType | None = None if problems else spec.x
    for index, (name, layer) in enumerate(zip(part_names(spec.layers), spec.layers, strict=True)):
        x = _check_layer(f"{spec.name}: layer {index}", name, layer, x, problems)
    if problems:
        raise SpecError(problems.sentences())
    net = CheckedNet(spec, signature_of(spec.body, spec.x))
    if net.count > LARGEST_TENSOR:
        raise SpecError(
            (f"{spec.name}: wants at most 2^40 parameters, which are 4 TB, got {net.count:,}; make layers smaller",)
        )
    return net


class _Problems(list[str]):
    """The sentences found so far, and how many layers were looked at for them.

    `told` are the layers with problems by value and input: the place of their first sentence, and the output that was
    taken for theirs. Of equal ones behind them only the number is told, `copies` by that place.
    """

    def __init__(self, found: Iterable[str]) -> None:
        super().__init__(found)
        self.looked_at = 0
        self.told: dict[tuple[Layer, TensorType | None], tuple[int, TensorType | None]] = {}
        self.copies: Counter[int] = Counter()

    def equal_to(self, layer: Layer, x: TensorType | None) -> tuple[int, TensorType | None] | None:
        """What was told of an equal layer, whatever its name."""
        nameless = dataclasses.replace(layer, name=None)
        return self.told.get((nameless, x)) or self.told.get((nameless, None))

    def sentences(self) -> tuple[str, ...]:
        """Each problem once."""
        more = {i: f" (and {n} more like it)" for i, n in self.copies.items()}
        return tuple(problem + more.get(i, "") for i, problem in enumerate(self))


STEP_PLACES = ("loss", "optimizer", "accumulate", "norms", "labels")
"""What the step's own operations are called in a text; passes for IREE find their places by these words."""

LARGEST_INPUT = 1 << 27  # elements of one example; more is a mistake
LARGEST_OUTPUT = 1 << 31  # of a layer, likewise
LARGEST_TENSOR = 1 << 40  # elements of a parameter, and of all together: 4 TB
MANY_TENSORS = 8  # so many tensors of a layer without parts count as a layer more


def _input_problems(spec: NetSpec) -> Iterator[str]:
    if not spec.name.isprintable():  # it names files, modules and places
        yield f"a net's name wants printable characters, got {spec.name!r}; rename it"
    if spec.input and all(n > 0 for n in spec.input) and spec.x.size > LARGEST_INPUT:
        yield f"{spec.name}: input wants at most {LARGEST_INPUT} elements, got {spec.input}; give a smaller `input`"
    if spec.dtype not in ("f32", "i32"):
        yield f"{spec.name}: dtype wants 'f32' or 'i32' (token ids), got {spec.dtype!r}"
    if not spec.input or any(n < 1 for n in spec.input):
        yield f"{spec.name}: input wants positive sizes such as 224x224x3, got {spec.input}; write `input` like that"


def _check_layer(where: str, path: str, layer: Layer, x: TensorType | None, problems: _Problems) -> TensorType | None:
    """Append the problems of `layer` and its parts; return its output type if that can be known."""
    if problems and (found := problems.equal_to(layer, x)):
        place, out = found
        problems.copies[place] += 1
        return out
    before = len(problems)
    out = _check_first(where, path, layer, x, problems)
    if len(problems) > before:
        nameless = dataclasses.replace(layer, name=None)
        problems.told[nameless, x] = before, out
        if any(True for _ in layer.problems()):  # whatever arrives
            problems.told[nameless, None] = before, None
    return out


def _check_first(where: str, path: str, layer: Layer, x: TensorType | None, problems: _Problems) -> TensorType | None:
    problems.looked_at += 1
    if problems.looked_at > MOST_LAYERS:
        raise SpecError((f"{where}: {TOO_MANY}",))
    options = [*_name_problems(layer, path), *layer.problems()]
    here = f"{where} ({layer.label()}) at {_printable(path)}"
    problems += [f"{here}: {p}" for p in options]
    if x is None:
        for name, part in _direct_parts(layer):
            _check_layer(where, f"{path}.{name}", part, None, problems)
    if options or x is None:
        return None
    try:
        if isinstance(layer, Composite):
            if not _parts_are_sound(where, path, layer, problems):  # the expression asks the parts for their shapes
                return None
            layer = expanded(layer, x)
        if isinstance(layer, Combinator):
            return _check_parts(where, path, layer, x, problems)
        signature = signature_of(layer, x)
        out = signature.out
        for param in signature.params:
            if math.prod(param.shape) > LARGEST_TENSOR:
                raise LayerError(
                    f"wants tensors of at most 2^40 elements, got {param.name} of {list(param.shape)}; make it smaller"
                )
        problems.looked_at += len(signature.params) // MANY_TENSORS
        if out.size > LARGEST_OUTPUT:
            raise LayerError(
                f"wants an output of at most {LARGEST_OUTPUT} elements, got {batched(out.shape)}; make it smaller"
            )
        return out
    except LayerError as error:
        problems.append(f"{here} {error.problem}")
        return error.guess


def _printable(path: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def _name_problems(layer: Layer, path: str) -> Iterator[str]:
    """A dot separates the parts of a path, a slash a moment from its parameter; places of the step are no layers."""
    name = layer.name
    if name is not None and (not name or not name.isprintable() or set(name) & set("./")):
        yield f"name wants printable characters without . and /, got {name!r}; rename it"
    if path in STEP_PLACES:
        words = ", ".join(STEP_PLACES)
        yield f"name wants none of {words}, which are names of the training step, got {name!r}; rename it"


def _parts_are_sound(where: str, path: str, layer: Layer, problems: _Problems) -> bool:
    """Append the problems of the options of every part; return whether there were none."""
    before = len(problems)
    for name, part in _direct_parts(layer):
        _check_layer(where, f"{path}.{name}", part, None, problems)
    return len(problems) == before


class _LostError(Exception):
    """A part failed so that nothing after it can be judged by its shapes."""


def _check_parts(where: str, path: str, layer: Combinator, x: TensorType, problems: _Problems) -> TensorType | None:
    seen: set[str] = set()

    def visit(name: str, part: Layer, x: TensorType) -> TensorType:
        seen.add(name)
        out = _check_layer(where, f"{path}.{name}", part, x, problems)
        if out is None:
            raise _LostError
        return out

    options = list(layer.problems())
    problems += [f"{where} ({layer.label()}) at {path}: {p}" for p in options]
    try:
        if not options:
            return layer.flow(x, visit)
    except _LostError:
        pass
    for name, part in _direct_parts(layer):  # of those that no shape reaches, at least the options
        if name not in seen:
            _check_layer(where, f"{path}.{name}", part, None, problems)
    return None


def _direct_parts(layer: Layer) -> Iterator[tuple[str, Layer]]:
    """The layers in a layer's fields, by the names that `flow` gives them."""
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if isinstance(value, Layer):
            yield ("block0" if isinstance(layer, Repeat) else field.name), value
        elif isinstance(value, tuple) and value and all(isinstance(v, Layer) for v in value):
            yield from zip(part_names(value), value, strict=True)


def _walk(path: str, depth: int, layer: Layer, x: TensorType) -> Iterator[CheckedLayer]:
    yield CheckedLayer(path, depth, layer, x, signature_of(layer, x))
    inner = expanded(layer, x) if isinstance(layer, Composite) else layer
    if not isinstance(inner, Combinator):
        return
    parts: list[tuple[str, Layer, TensorType]] = []

    def visit(name: str, part: Layer, x: TensorType) -> TensorType:
        parts.append((name, part, x))
        return signature_of(part, x).out

    inner.flow(x, visit)
    for name, part, part_x in parts:
        yield from _walk(f"{path}.{name}", depth + 1, part, part_x)
