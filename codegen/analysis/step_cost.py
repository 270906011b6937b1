"""What a lowered training step costs before anything is compiled: flops, bytes, and the least time for both.

How bytes are counted, so that a form can be judged without a compiler. A step is cut into passes over memory:

- constants, iotas, reshapes, broadcasts, slices and barriers move nothing; who reads through a slice or a broadcast
  reads what it shows, and no more than its source holds;
- elementwise operations that hand each other values of one size are one pass; it reads what comes from outside once
  and writes what others read once;
- a reduction belongs to the pass that makes its operand and ends it: what reads the sum is a later pass, and what the
  pass made before must then be read again. A barrier ends a pass too;
- a product that sums over one element is elementwise; every other operation (products, convolutions, transposes,
  pads, concatenations, gathers, scatters) is a pass by itself.

So it is the traffic of a compiler that fuses well and keeps nothing in a cache between two passes. A compiler that
folds a transpose into a product, or a pass into the convolution before it, does with less.

A loop costs what the function that it calls costs, as often as it calls it, and writes the carried values that are made
from nothing. A part of a batch is a view of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.location import PHASES, forward_first, location_of
from netc.codegen.ops import OPS
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.ops.loop import loop_operands
from netc.codegen.ops.movement import BARRIERS, MADE

VIEWS = frozenset({"reshape", "broadcast", "slice"}) | BARRIERS


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a machine does at most: floating-point operations and bytes a second, both measured."""

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Work:
    """What one pass does for one place: flops, bytes read, bytes written. `number` tells the passes apart."""

    number: int
    loc: str
    flops: int
    read: int
    written: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return self.read + self.written

    def seconds(self, ceiling: Ceiling) -> float:
        """The roofline: the longer of arithmetic and traffic, each at its ceiling (Williams et al. 2009)."""
        return max(self.flops / ceiling.flops, self.bytes / ceiling.bytes)


@dataclass(frozen=True, slots=True)
class CostRow:
    """The sums over one layer's work in one phase. `seconds`: the roofline's; `arithmetic`: its part bound by flops."""

    layer: str
    phase: str
    flops: int
    bytes: int
    seconds: float
    arithmetic: float

    @property
    def bound(self) -> str:
        """What most of the least time goes to: flops or bytes."""
        return "flops" if 2 * self.arithmetic > self.seconds else "bytes"


def elementwise_like(op: Op) -> bool:
    """Whether each element of the result needs one element of each operand, an outer product's too."""
    if op.kind == "dot":
        return all(op.operands[0].shape[axis] == 1 for axis in op.attr("contract")[0])
    return op.kind in ELEMENTWISE


def useful_flops(module: Module, name: str = "train_step") -> int:
    """The flops of a step as the rules emit it, before any target's forms: the same for all.

    A convolution counts what its mathematics needs, so a form that multiplies by zeros gains nothing.
    """
    calls = _calls(module, name)
    return sum(count * OPS[op.kind].flops(op) for function, count in calls for op in function.ops)


def _calls(module: Module, name: str, times: int = 1) -> Iterator[tuple[Function, int]]:
    """The function and those that its loops call, each with how often it runs."""
    function = module.function(name)
    yield function, times
    for op in function.ops:
        if op.kind == "loop":
            yield from _calls(module, op.attr("callee"), times * op.attr("trips"))


class Passes:
    """Which pass each operation belongs to, and what is read from where.

    An operation's stage is the number of passes that must have ended before it. Elementwise operations wait: they are
    computed at the stage of their first reader, as a compiler that fuses them into it does.
    """

    def __init__(self, function: Function) -> None:
        self.source: dict[Value, Value | None] = {v: v for v in function.params}  # None: made from nothing
        self.shown: dict[Value, int] = {v: v.type.bytes for v in function.params}  # bytes seen through views
        self.stage: dict[Op, int] = {}
        self.of: dict[Op, int] = {}
        self._fuses = {op for op in function.ops if elementwise_like(op)}
        self._parent: list[int] = []  # a forest: passes that are one have one root
        for op in function.ops:
            self._look(op)
        self._earliest(function)
        self._wait(function)
        self._join(function)

    def root(self, number: int) -> int:
        """The number of the pass that this one became part of."""
        while self._parent[number] != number:
            self._parent[number] = number = self._parent[self._parent[number]]
        return number

    def _look(self, op: Op) -> None:
        result = op.result
        if op.kind in MADE:
            self.source[result], self.shown[result] = None, 0
        elif op.kind in VIEWS:
            for of, made in zip(op.operands, op.results, strict=True):
                self.source[made], self.shown[made] = self.source[of], min(self.shown[of], made.type.bytes)
        else:
            for made in op.results:
                self.source[made], self.shown[made] = made, made.type.bytes

    def _earliest(self, function: Function) -> None:
        ready: dict[Value, int] = dict.fromkeys(function.params, 0)
        for op in function.ops:
            stage = max((ready[v] for v in op.operands), default=0)
            if op.kind not in MADE | VIEWS:
                self.stage[op] = stage
            ends = op.kind in BARRIERS or (op in self.stage and op not in self._fuses)
            ready.update(dict.fromkeys(op.results, stage + ends))

    def _wait(self, function: Function) -> None:
        needed: dict[Value, int] = {}  # the stage of the first reader
        for op in reversed(function.ops):
            by = min((needed[v] for v in op.results if v in needed), default=None)
            if op in self._fuses and by is not None:
                self.stage[op] = max(by, self.stage[op])
            at = self.stage.get(op, by)
            if at is not None:
                for v in op.operands:
                    needed[v] = min(needed.get(v, at), at - (op.kind in BARRIERS))

    def _join(self, function: Function) -> None:
        makers: dict[Value, Op] = {}
        for op in function.ops:
            if op not in self.stage:
                continue
            number = self.of[op] = len(self._parent)
            self._parent.append(number)
            makers[op.result] = op
            if op not in self._fuses and op.kind not in REDUCTIONS:
                continue
            size = max(v.type.size for v in (*op.operands, *([op.result] if op in self._fuses else [])))
            for v in op.operands:
                source = self.source[v]
                maker = makers.get(source) if source is not None else None
                if maker is None or maker not in self._fuses or self.stage[maker] != self.stage[op]:
                    continue
                if v.type.size == maker.result.type.size == size:
                    self._parent[self.root(number)] = self.root(self.of[maker])


def step_works(module: Module, name: str = "train_step") -> tuple[Work, ...]:
    """What the passes of a function of a lowered module do, those of what it calls as often as it calls it."""
    found: list[Work] = []
    for function, times in _calls(module, name):
        first = max((w.number for w in found), default=-1) + 1
        found += [
            Work(first + w.number, w.loc, times * w.flops, times * w.read, times * w.written) for w in works(function)
        ]
    return tuple(found)


def works(function: Function) -> tuple[Work, ...]:
    """What the passes of a lowered function do, each cut by place; in order. What loops call is not in it."""
    passes = Passes(function)
    makers = {op.result: op for op in passes.of}
    flops: dict[tuple[int, str], int] = {}
    read: dict[tuple[int, Value], dict[Value, int]] = {}  # what a pass reads of a source, by the view it reads through
    reader: dict[tuple[int, Value], str] = {}  # the place that reads it first
    stored: set[Value] = {v for r in function.results if (v := passes.source[r]) is not None}
    for op in function.ops:
        if op not in passes.of:
            continue
        own = passes.root(passes.of[op])
        flops[own, op.loc] = flops.get((own, op.loc), 0) + OPS[op.kind].flops(op)
        for v in op.operands:
            source = passes.source[v]
            if source is None or (source in makers and passes.root(passes.of[makers[source]]) == own):
                continue
            stored.add(source)
            if op.kind == "loop":  # what it calls reads it
                continue
            read.setdefault((own, source), {})[v] = passes.shown[v]
            reader.setdefault((own, source), op.loc)
    bytes_read: dict[tuple[int, str], int] = {}
    for (own, source), views in read.items():
        key = own, reader[own, source]
        bytes_read[key] = bytes_read.get(key, 0) + min(source.type.bytes, sum(views.values()))
    written: dict[tuple[int, str], int] = {}
    for op in function.ops:
        if op in passes.of and op.result in stored:
            key = passes.root(passes.of[op]), op.loc
            written[key] = written.get(key, 0) + op.result.type.bytes
        if op.kind == "loop":
            carried = loop_operands(op, op.operands).carried
            zeros = sum(v.type.bytes for v in carried if passes.source[v] is None)
            written[passes.root(passes.of[op]), op.loc] = zeros
    return tuple(
        Work(own, loc, count, bytes_read.get((own, loc), 0), written.get((own, loc), 0))
        for (own, loc), count in flops.items()
    )


def table(found: Iterable[Work], ceiling: Ceiling, depth: int = 0) -> tuple[CostRow, ...]:
    """The work by layer, down to `depth`, and phase; layers in the order of the forward pass."""
    found = tuple(found)
    sums: dict[tuple[str, str], list[float]] = {}
    for work in found:
        place = location_of(work.loc)
        total = sums.setdefault((place.layer(depth), place.phase), [0, 0, 0.0, 0.0])
        seconds = work.seconds(ceiling)
        by_flops = seconds if work.flops / ceiling.flops >= work.bytes / ceiling.bytes else 0.0
        for index, value in enumerate((work.flops, work.bytes, seconds, by_flops)):
            total[index] += value
    return tuple(
        CostRow(layer, phase, int(own[0]), int(own[1]), own[2], own[3])
        for layer in forward_first((w.loc for w in found), depth)
        for phase in PHASES
        if (own := sums.get((layer, phase))) is not None
    )


def by_layer(rows: Iterable[CostRow]) -> Mapping[str, Mapping[str, CostRow]]:
    """The rows by layer, then by phase, in order."""
    layers: dict[str, dict[str, CostRow]] = {}
    for row in rows:
        layers.setdefault(row.layer, {})[row.phase] = row
    return layers
