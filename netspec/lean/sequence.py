"""A list of constructors as layers, each checked against what arrives at it; a U-Net's steps are paired here."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netc.netspec.layer import Layer, LayerError, signature_of
from netc.netspec.layers import VOCABULARY, BilinearUpsample, Chain, Concat, Identity, MaxPool, UnetUp
from netc.netspec.lean.arguments import Arguments, bind, shown
from netc.netspec.lean.constructors import TABLE, TAKES_TOKENS, Here, Row, unet_convolutions
from netc.netspec.lean.kinds import Nested, NestedList, Reading, build, hints_of, options
from netc.netspec.lean.source import Built, Misread, Span, Value
from netc.netspec.types import TensorType, batched

DEEPEST = 32  # levels of nesting in a layer

# kind -> what arrives at each option that holds a layer: x itself, or what the option before it gives
SEES: dict[str, dict[str, str]] = {
    "chain": {"layers": "in order"},
    "residual": {"body": "x", "shortcut": "x"},
    "gate": {"body": "x"},
    "concat": {"branches": "x"},
    "repeat": {"body": "x"},
    "unetUp": {"inner": "x"},
    "fpnModule": {"stages": "in order"},
    "tiedHead": {"embed": "x"},
}


@dataclass(frozen=True)
class Settings:
    """What a NetSpec says of all its convBn: the activation, and how a strided `same` is spelled."""

    activation: str = "relu"
    strided: str = "same-symmetric"


def is_original(built: Built, row: Row) -> bool:
    """Whether an application means the original's constructor, and not netc's kind of that name.

    It does with a positional argument, with an argument that only the original has, and where all arguments are the
    original's.
    """
    cls = VOCABULARY.get(built.head)
    if built.args or cls is None:
        return True
    names = {name for parameter in row.parameters for name in parameter.names}
    given = built.named.keys() - {"name"}
    needed = all(p.optional or any(n in given for n in p.names) for p in row.parameters)
    return bool((given & names) - hints_of(cls).keys()) or (needed and given <= names)


@dataclass
class Reader:
    """Reads constructors in order and gathers the notes of those that it meets."""

    settings: Settings
    notes: list[str] = field(default_factory=list)
    depth: int = 0

    def sequence(self, items: Sequence[Built], x: TensorType | None) -> tuple[Layer, ...]:
        """The layers of a list; raises Misread at the first that does not fit what arrives."""
        partners = _partners(items)
        made: list[Layer] = []
        index = 0
        while index < len(items):
            item = items[index]
            if index in partners:
                layers = self._unet(items, index, partners[index], x)
                index = partners[index]
            else:
                following = items[index + 1].head if index + 1 < len(items) else ""
                layers = self._layers(item, x, following)
            for layer in layers:
                x = _through(item, layer, x)
            made += layers
            index += 1
        return tuple(made)

    def one(self, item: Built, x: TensorType | None) -> Layer:
        """A constructor as a single layer: what is several becomes a chain."""
        layers = self.sequence((item,), x)
        return layers[0] if len(layers) == 1 else Chain(layers)

    def _layers(self, item: Built, x: TensorType | None, following: str) -> tuple[Layer, ...]:
        row = TABLE.get(item.head)
        if row is not None and is_original(item, row):
            return self._original(item, row, x, following)
        want_known(item)
        return (self._kind(item, x),)

    def _original(self, item: Built, row: Row, x: TensorType | None, following: str) -> tuple[Layer, ...]:
        if item.head == "unetUp":
            raise Misread(item.at, "unetUp wants a unetDown before it whose skip it takes, got none left; add one")
        arguments = bind(item, row.parameters, frozenset(item.named))
        want_channels(item.head, row, arguments, x)
        here = Here(x, following, self.settings.activation, self.settings.strided)
        made = row.make(arguments, here)
        if item.head in PLACED:
            PLACED[item.head](arguments, x)
        self._note(row, arguments)
        self._note_of_following(item.head, arguments, following)
        return self._with_options(item, row, made, x)

    def _note(self, row: Row, arguments: Arguments) -> None:
        if row.note and (not row.noted or arguments[row.noted]):
            self.notes.append(row.note)

    def _note_of_following(self, head: str, arguments: Arguments, following: str) -> None:
        if head == "patchEmbed" and following == "swinStage":
            self.notes.append(
                "patchEmbed: before a swinStage it is Swin's, without class token and positions, with a norm"
            )
        if head == "transformerEncoder" and following in TAKES_TOKENS and not arguments["keepSequence"]:
            self.notes.append(f"transformerEncoder: all tokens go on to {following}, which takes a sequence")

    def _with_options(self, item: Built, row: Row, made: tuple[Layer, ...], x: TensorType | None) -> tuple[Layer, ...]:
        """The first layer with netc's further options, a name among them."""
        own = {name for parameter in row.parameters for name in parameter.names}
        rest = frozenset(item.named) - own
        if not rest:
            return made
        known = hints_of(type(made[0]))
        for name in item.named:
            if name in rest and name not in known:
                has = ", ".join(p.name for p in row.parameters) or "none of its own"
                more = ", ".join(option for option in known if option not in own)
                raise Misread(
                    item.named_spans.get(name, item.at),
                    f"{item.head} has no argument {name!r}; it has {has}, and of netc's {more}",
                )
        reading = Reading(item.head, self._nested(x, {}), self._nested_list(x, {}))
        return (replace(made[0], **options(item, reading, type(made[0]), rest)), *made[1:])

    def _kind(self, item: Built, x: TensorType | None) -> Layer:
        if self.depth >= DEEPEST:
            raise Misread(item.at, f"{item.head} is nested more than {DEEPEST} deep; flatten it")
        sees = SEES.get(item.head, {})
        self.depth += 1
        try:
            return build(item, self._nested(x, sees), self._nested_list(x, sees))
        finally:
            self.depth -= 1

    def _nested(self, x: TensorType | None, sees: dict[str, str]) -> Nested:
        def read(name: str, value: Value, at: Span) -> Layer:
            assert isinstance(value, Built)
            return self.one(value, x if name in sees else None)

        return read

    def _nested_list(self, x: TensorType | None, sees: dict[str, str]) -> NestedList:
        def read(name: str, values: tuple[Value, ...], at: Span) -> tuple[Layer, ...]:
            for value in values:
                if not isinstance(value, Built):
                    raise Misread(at, f"{name} wants layers, got {shown(value)} among them; write .relu as a layer")
            items = tuple(v for v in values if isinstance(v, Built))
            if sees.get(name) == "in order":
                return self.sequence(items, x)
            return tuple(self.one(item, x if name in sees else None) for item in items)

        return read

    def _unet(self, items: Sequence[Built], down: int, up: int, x: TensorType | None) -> tuple[Layer, ...]:
        """unetDown, what lies between, and its unetUp: two convolutions, then the way down and up beside the skip."""
        first, last = items[down], items[up]
        row, other = TABLE["unetDown"], TABLE["unetUp"]
        arguments = bind(first, row.parameters, frozenset({"name"}))
        rising = bind(last, other.parameters, frozenset({"name", "rise"}))
        want_channels("unetDown", row, arguments, x)
        features = arguments["oc"]
        if rising["oc"] != features:
            raise Misread(
                rising.place("oc"),
                f"unetUp: oc wants {features}, the channels of the skip that it takes, got {rising['oc']}; change it",
            )
        if "name" in first.named:
            raise Misread(first.named_spans.get("name", first.at), "unetDown wants no name; name its unetUp")
        convolutions = tuple(
            replace(layer, name=f"{_name(last, 'unet')}_conv{i}") if "name" in last.named else layer
            for i, layer in enumerate(unet_convolutions(features), 1)
        )
        for layer in convolutions:
            x = _through(first, layer, x)
        pooled = _through(first, MaxPool(2), x)
        inner = self.sequence(items[down + 1 : up], pooled)
        below = pooled
        for item, layer in zip([last] * len(inner), inner, strict=True):
            below = _through(item, layer, below)
        if below is not None and (below.rank != 3 or below.shape[-1] != rising["ic"]):
            raise Misread(
                rising.place("ic"),
                f"unetUp: ic wants {below.shape[-1]}, the channels that arrive ({batched(below.shape)}), got "
                f"{rising['ic']}; change it",
            )
        return (*convolutions, self._rise(last, inner, features))

    def _rise(self, up: Built, inner: tuple[Layer, ...], features: int) -> Layer:
        name = _name(up, "") or None
        way = up.named.get("rise")
        descent = Chain((MaxPool(2, name="pool"), *inner), name="inner")
        if way is not None:
            if way not in ("transpose", "bilinear", "nearest"):
                place = up.named_spans.get("rise", up.at)
                raise Misread(place, f'unetUp: rise wants "transpose", "bilinear" or "nearest", got {shown(way)}')
            return UnetUp(descent, features, str(way), name=name)
        self.notes.append(TABLE["unetUp"].note)
        below = Chain((descent, BilinearUpsample(2, name="larger")), name="below")
        both = Concat((Identity(name="skip"), below), name="join")
        conv1, conv2 = unet_convolutions(features)
        return Chain((both, replace(conv1, name="conv1"), replace(conv2, name="conv2")), name=name)


def _name(item: Built, default: str) -> str:
    value = item.named.get("name", default)
    if not isinstance(value, str):
        place = item.named_spans.get("name", item.at)
        raise Misread(place, f'{item.head}: name wants a string, got {shown(value)}; write (name := "stage1")')
    return value


def want_channels(head: str, row: Row, arguments: Arguments, x: TensorType | None) -> None:
    """Raise Misread unless the channels that the constructor states are those that arrive."""
    if not row.reads or x is None or x.rank == 0 or x.dtype != "f32":
        return
    if row.form == "vector" and x.rank > 2:
        return  # the layer itself says what to put before it
    arrives, stated = x.shape[-1], arguments[row.reads]
    if stated != arrives:
        raise Misread(
            arguments.place(row.reads),
            f"{head}: {row.reads} wants {arrives}, the channels that arrive ({batched(x.shape)}), got {stated}; change "
            "it, or the layer before it",
        )


def _want_patches(arguments: Arguments, x: TensorType | None) -> None:
    patch = arguments["patchSize"]
    if x is None or x.rank != 3 or x.shape[0] % patch or x.shape[1] % patch:
        return  # the layer itself says what is wrong
    count = (x.shape[0] // patch) * (x.shape[1] // patch)
    if arguments["nPatches"] != count:
        raise Misread(
            arguments.place("nPatches"),
            f"patchEmbed: nPatches wants {count}, the {patch}x{patch} patches of {batched(x.shape)}, got "
            f"{arguments['nPatches']}; change it",
        )


def _want_length(arguments: Arguments, x: TensorType | None) -> None:
    if x is not None and x.rank >= 1 and arguments["seqLen"] != x.shape[0]:
        raise Misread(
            arguments.place("seqLen"),
            f"seqLen wants {x.shape[0]}, the tokens that arrive ({batched(x.shape)}), got {arguments['seqLen']}; "
            "change it",
        )


# constructor -> what else it states of its input
PLACED = {"patchEmbed": _want_patches, "tokenPositionEmbed": _want_length, "lmHead": _want_length}


def _partners(items: Sequence[Built]) -> dict[int, int]:
    """unetDown -> its unetUp, by their places: the innermost pair first, as brackets match."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for index, item in enumerate(items):
        row = TABLE.get(item.head)
        if item.head == "unetDown" and row is not None and is_original(item, row):
            opened.append(index)
        elif item.head == "unetUp" and row is not None and is_original(item, row) and opened:
            pairs[opened.pop()] = index
    return pairs


def _through(item: Built, layer: Layer, x: TensorType | None) -> TensorType | None:
    """What the layer gives for `x`; raises Misread if one of its options is wrong or it does not fit."""
    for problem in layer.problems():
        raise Misread(item.at, f"{item.head}: {problem}")
    if x is None:
        return None
    try:
        return signature_of(layer, x).out
    except LayerError as error:
        problem = error.problem.replace("GlobalAvgPool()", ".globalAvgPool").replace("Flatten()", ".flatten")
        raise Misread(item.at, f"{item.head} {problem}") from error


def want_known(item: Built) -> None:
    """Raise Misread unless there is a constructor or a kind of that name."""
    if item.head in TABLE or item.head in VOCABULARY:
        return
    near = difflib.get_close_matches(item.head, [*TABLE, *VOCABULARY], n=3, cutoff=0.5)
    do = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "see docs/lean.md for those there are"
    raise Misread(item.at, f"no layer is called {item.head!r}; {do}")
