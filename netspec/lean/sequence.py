"""A list of constructors as layers, each checked against what arrives at it; a U-Net's steps are paired here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from netc.netspec.layer import Layer, LayerError, signature_of
from netc.netspec.layers import VOCABULARY, Chain, MaxPool, SpatialUnflatten
from netc.netspec.layers.counted import Counted
from netc.netspec.lean.arguments import LARGEST, Arguments, bind, shown
from netc.netspec.lean.constructors import TABLE, TAKES_IMAGE, TAKES_TOKENS, Constructor, Here, unet_convolutions
from netc.netspec.lean.fitting import Grid, Misfit, bridge, bridge_note, grid_after, misfits
from netc.netspec.lean.kinds import Nested, NestedList, Reading, build, hints_of, options
from netc.netspec.lean.rising import name_of, rise, tap, without_skip
from netc.netspec.lean.source import Built, Misread, Span, Value
from netc.netspec.lean.stated import Stated
from netc.netspec.nearest import did_you_mean
from netc.netspec.types import TensorType, batched

DEEPEST = 32  # levels of nesting in a layer
MOST_DISAGREEMENTS = 100  # that a net is counted in spite of

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


def is_original(built: Built, row: Constructor) -> bool:
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
    strict: bool = True  # whether sizes that disagree are an error; else they are counted as stated
    notes: list[str] = field(default_factory=list)
    disagreements: list[Misread] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    depth: int = 0

    def sequence(self, items: Sequence[Built], x: TensorType | None, after: str = "") -> tuple[Layer, ...]:
        """The layers of a list, which `after` follows; raises Misread at the first that does not fit what arrives."""
        partners = _partners(items)
        made: list[Layer] = []
        outs: list[TensorType | None] = []
        grid: Grid | None = None
        index = 0

        def add(item: Built, layers: tuple[Layer, ...]) -> None:
            nonlocal x, grid
            for layer in layers:
                out = self._through(item, layer, x)
                grid = grid_after(layer, x, out, grid)
                x = out
                made.append(layer)
                outs.append(out)

        while index < len(items):
            item, row = items[index], _original_row(items[index])
            if row is not None and (between := bridge(row, x, grid)):
                self.notes.append(bridge_note(item.head, between))
                add(item, between)
            if index in partners:
                layers = self._unet(items, index, partners[index], x)
                index = partners[index]
            elif row is not None and row.head == "unetUp":
                layers, kept = self._rise(item, row, made, outs, x)
                del made[kept:], outs[kept:]
                x = outs[-1]
            else:
                rest = (*(other.head for other in items[index + 1 :]), after)
                layers = self._layers(item, row, x, rest, grid)
            add(item, layers)
            index += 1
        return tuple(made)

    def one(self, item: Built, x: TensorType | None) -> Layer:
        """A constructor as a single layer: what is several becomes a chain."""
        layers = self.sequence((item,), x)
        return layers[0] if len(layers) == 1 else Chain(layers)

    def disagree(self, error: Misread) -> None:
        """Two sizes of the file do not follow from one another: an error, or, where it is counted, a thing to say."""
        if self.strict:
            raise Misread(error.span, f"{error.sentence} (netc show counts the net as it is written)")
        self.disagreements.append(error)
        if len(self.disagreements) > MOST_DISAGREEMENTS:
            raise Misread(error.span, f"more than {MOST_DISAGREEMENTS} sizes disagree up to here; {error.sentence}")

    def _layers(
        self, item: Built, row: Constructor | None, x: TensorType | None, rest: Sequence[str], grid: Grid | None
    ) -> tuple[Layer, ...]:
        if row is not None:
            return self._original(item, row, x, rest, grid)
        want_known(item)
        return (self._kind(item, x),)

    def _original(
        self, item: Built, row: Constructor, x: TensorType | None, rest: Sequence[str], grid: Grid | None
    ) -> tuple[Layer, ...]:
        arguments = bind(item, row.parameters, frozenset(item.named))
        before: list[Layer] = []
        for misfit in misfits(row, arguments, x):
            self.disagree(misfit.error)
            if misfit.shape is not None:
                before.append(Stated(misfit.shape))
                x = self._through(item, before[-1], x)
        on = _goes_on(rest, grid)
        made = row.make(arguments, Here(x, rest[0], on, self.settings.activation, self.settings.strided))
        self._note(row, arguments)
        self._note_of_following(item.head, arguments, rest[0], on)
        if item.head == "dense" and x is not None and x.dtype == "i32":
            self.notes.append("dense: what arrives is token ids, of which it takes rows of its matrix, as if one-hot")
        return (*before, *self._with_options(item, row, made, x))

    def _note(self, row: Constructor, arguments: Arguments) -> None:
        if row.note and (not row.noted or arguments[row.noted]):
            self.notes.append(row.note)

    def _note_of_following(self, head: str, arguments: Arguments, following: str, on: bool) -> None:
        if head == "patchEmbed" and following == "swinStage":
            self.notes.append(
                "patchEmbed: before a swinStage it is Swin's, without class token and positions, with a norm"
            )
        if head == "transformerEncoder" and on and not arguments["keepSequence"]:
            which = ", which takes a sequence" if following in TAKES_TOKENS else ""
            self.notes.append(f"transformerEncoder: all tokens go on to {following}{which}")

    def _with_options(
        self, item: Built, row: Constructor, made: tuple[Layer, ...], x: TensorType | None
    ) -> tuple[Layer, ...]:
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
        before = tuple(Stated(m.shape) for m in self._told(misfits(row, arguments, x)) if m.shape is not None)
        features = arguments["oc"]
        if "name" in first.named:
            raise Misread(first.named_spans.get("name", first.at), "unetDown wants no name; name its unetUp")
        convolutions = tuple(
            replace(layer, name=f"{name_of(last, 'unet')}_conv{i}") if "name" in last.named else layer
            for i, layer in enumerate(unet_convolutions(features), 1)
        )
        for layer in (*before, *convolutions):
            x = self._through(first, layer, x)
        skip: Layer | None = None
        if rising["oc"] != features:
            error = Misread(
                rising.place("oc"),
                f"unetUp: oc wants {features}, the channels of the skip that it takes, got {rising['oc']}; change it",
            )
            if x is None:
                raise error
            self.disagree(error)
            skip = Stated((*x.shape[:-1], rising["oc"]))
        pooled = self._through(first, MaxPool(2), x)
        inner = self.sequence(items[down + 1 : up], pooled, "unetUp")
        below = pooled
        for layer in inner:
            below = self._through(last, layer, below)
        joined = self._joined(rising, below, pooled)
        if not skip:
            self.notes.extend([other.note] if "rise" not in last.named else [])
        descent = (MaxPool(2, name="pool"), *inner, *joined)
        return (*before, *convolutions, rise(last, descent, rising["oc"], skip))

    def _told(self, found: Iterator[Misfit]) -> Iterator[Misfit]:
        for misfit in found:
            self.disagree(misfit.error)
            yield misfit

    def _joined(self, rising: Arguments, below: TensorType | None, pooled: TensorType | None) -> tuple[Layer, ...]:
        """What stands between what comes from below and the step up: tokens become an image again, and sizes agree."""
        if below is None or pooled is None:
            return ()
        made: list[Layer] = []
        if below.rank == 2 and below.shape[0] == pooled.shape[0] * pooled.shape[1]:
            made.append(SpatialUnflatten(*pooled.shape[:2]))
            below = signature_of(made[-1], below).out
        if below.rank != 3 or below.shape[-1] != rising["ic"]:
            error = Misread(
                rising.place("ic"),
                f"unetUp: ic wants {below.shape[-1]}, the channels that arrive ({batched(below.shape)}), got "
                f"{rising['ic']}; change it",
            )
            if below.rank != 3:
                raise error
            self.disagree(error)
            made.append(Stated((*below.shape[:-1], rising["ic"])))
        return tuple(made)

    def _rise(
        self,
        up: Built,
        row: Constructor,
        made: Sequence[Layer],
        outs: Sequence[TensorType | None],
        x: TensorType | None,
    ) -> tuple[tuple[Layer, ...], int]:
        """A unetUp without a unetDown, and how many of the layers before it stay before it; the others come inside."""
        rising = bind(up, row.parameters, frozenset({"name", "rise"}))
        if x is None:
            raise Misread(up.at, "unetUp wants a unetDown before it whose skip it takes, got none left; add one")
        joined = self._joined(rising, x, x)
        at = tap(outs, rising, x)
        if at is None:
            error, layer = without_skip(up, rising, x)
            self.disagree(error)
            return (*joined, layer), len(made)
        self.notes.append(f"unetUp: its skip is what {made[at].label()} gives, the newest layer of that size")
        return (rise(up, (*made[at + 1 :], *joined), rising["oc"]),), at + 1

    def _through(self, item: Built, layer: Layer, x: TensorType | None) -> TensorType | None:
        """What the layer gives for `x`; raises Misread if one of its options is wrong or it does not fit."""
        for problem in layer.problems():
            raise Misread(item.at, f"{item.head}: {problem}")
        if isinstance(layer, Counted):
            self.counted.append(layer)
        if x is None:
            return None
        try:
            out = signature_of(layer, x).out
        except LayerError as error:
            problem = error.problem.replace("GlobalAvgPool()", ".globalAvgPool").replace("Flatten()", ".flatten")
            raise Misread(item.at, f"{item.head} {problem}") from error
        if max(out.shape, default=0) > LARGEST:
            raise Misread(
                item.at, f"{item.head} wants no axis longer than {LARGEST} in its output, got a longer one; lower it"
            )
        return out


def _original_row(item: Built) -> Constructor | None:
    """The row of the original's constructor that an application means, if it means one."""
    row = TABLE.get(item.head)
    return row if row is not None and is_original(item, row) else None


def _goes_on(rest: Sequence[str], grid: Grid | None) -> bool:
    """Whether what follows takes the whole sequence, at once or behind dense layers, or an image where one is known."""
    past = next((head for head in rest if head != "dense"), "")
    return past in TAKES_TOKENS or (grid is not None and rest[0] in TAKES_IMAGE)


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


def want_known(item: Built) -> None:
    """Raise Misread unless there is a constructor or a kind of that name."""
    if item.head in TABLE or item.head in VOCABULARY:
        return
    do = did_you_mean(item.head, [*TABLE, *VOCABULARY], "check its spelling")
    raise Misread(item.at, f"no layer is called {item.head!r}; {do}")
