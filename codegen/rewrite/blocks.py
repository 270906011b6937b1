"""The blocks of a function: which operations belong to each, in an order that can be run, and which are the same.

A block is what has one part `block0`, `block1`, .. in its place, in one phase of the step: its forward pass, its
pullback (with what that computes again), its update. Operations of a block are gathered where that reorders nothing
that they need; two blocks are the same if their operations, read in order, are. Constants and what is cheap to make of
them or of other values (a value repeated along an axis, compared, converted) are made anew in each block that reads
them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace

from netc.codegen.ir import Function, Op, Value
from netc.codegen.location import PHASES, location_of
from netc.codegen.rules import BLOCK

CHEAP = frozenset(("constant", "iota", "broadcast", "reshape", "convert", "compare"))

Key = tuple[str, ...]  # the path down to the block, and the phase


@dataclass(eq=False)
class Part:
    """A block of one function, or a single operation outside of blocks (`key` is None).

    `inputs` are the values of others that it reads, `results` those of its own that others read or the function gives.
    """

    key: Key | None
    first: int
    ops: list[Op] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)

    @property
    def block(self) -> Key:
        """The path of the block, without the phase."""
        return (self.key or ())[:-1]


def layer_parts(function: Function, phases: Collection[str] = PHASES) -> list[Part]:
    """The function in parts, in an order that can be run. A block that something outside would split is not one."""
    dissolved: set[Key] = set()
    while True:
        parts = _gathered(function, phases, dissolved)
        order, stuck = in_order(parts)
        if not stuck:
            return order
        dissolved.update(part.key for part in stuck[:1] if part.key is not None)


def _key(loc: str, phases: Collection[str]) -> Key | None:
    place = location_of(loc)
    if place.phase in phases:
        for n, part in enumerate(place.path):
            if BLOCK.fullmatch(part):
                return (*place.path[: n + 1], "vjp" if place.phase == "remat" else place.phase)
    return None


def _gathered(function: Function, phases: Collection[str], dissolved: set[Key]) -> list[Part]:
    blocks: dict[Key, Part] = {}
    of: dict[Value, Part] = {}
    made: dict[Value, Op] = {}
    chain: list[Part] = []
    for index, op in enumerate(function.ops):
        key = _key(op.loc, phases)
        part = blocks.get(key) if key is not None and key not in dissolved else None
        if part is None:
            part = Part(key if key not in dissolved else None, index)
            chain.append(part)
            if part.key is not None:
                blocks[part.key] = part
        part.ops.append(op)
        of.update(dict.fromkeys(op.results, part))
        made.update(dict.fromkeys(op.results, op))
    used: dict[Part, dict[Value, None]] = {part: {} for part in chain}
    for part in chain:
        part.ops = _Local(part, of, made, used).ops()
    for v in function.results:
        if v in of:
            used[of[v]][v] = None
    for part in chain:
        live = set(used[part])
        kept = []
        for op in reversed(part.ops):
            if not live.isdisjoint(op.results):
                live.update(op.operands)
                kept.append(op)
        part.ops = kept[::-1]
        part.results = [v for op in part.ops for v in op.results if v in used[part]]
        part.inputs = [v for v in part.inputs if v in live]
    return [part for part in chain if part.ops]


class _Local:
    """The operations of a part with what is cheap made anew, and its inputs found."""

    def __init__(
        self, part: Part, of: dict[Value, Part], made: dict[Value, Op], used: dict[Part, dict[Value, None]]
    ) -> None:
        self.part, self.of, self.made, self.used = part, of, made, used
        self.copies: dict[Value, Value] = {}
        self.found: list[Op] = []

    def ops(self) -> list[Op]:
        for op in self.part.ops:
            operands = tuple([self._here(v) for v in op.operands])
            self.found.append(op if operands == op.operands else replace(op, operands=operands))
        return self.found

    def _here(self, v: Value) -> Value:
        home = self.of.get(v)
        if home is self.part or v in self.copies:
            return self.copies.get(v, v)
        if home is not None and (self.part.key or home.key) and _cheap(self.made[v]):
            op = self.made[v]
            self.copies[v] = Value(v.type)
            operands = tuple([self._here(x) for x in op.operands])
            self.found.append(replace(op, operands=operands, result=self.copies[v]))
            return self.copies[v]
        self.part.inputs.append(v)
        self.copies[v] = v
        if home is not None:
            self.used[home][v] = None
        return v


def _cheap(op: Op) -> bool:
    """Whether an operation is made anew where its result is used: see CHEAP; and arithmetic of scalars."""
    return op.kind in CHEAP or (not op.extra_results and all(v.shape == () for v in (op.result, *op.operands)))


def in_order(parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """The parts in an order that can be run, near to the one they are in; and the blocks that stand in a ring."""
    of = {v: part for part in parts for v in part.results}
    waits = {part: {of[v] for v in part.inputs if v in of} for part in parts}
    after: dict[Part, list[Part]] = {part: [] for part in parts}
    for part, before in waits.items():
        for other in before:
            after[other].append(part)
    ready = [(part.first, n) for n, part in enumerate(parts) if not waits[part]]
    place = {part: n for n, part in enumerate(parts)}
    heapq.heapify(ready)
    order = []
    while ready:
        part = parts[heapq.heappop(ready)[1]]
        order.append(part)
        for other in after[part]:
            waits[other].discard(part)
            if not waits[other]:
                heapq.heappush(ready, (other.first, place[other]))
    done = set(order)
    return order, [part for part in parts if part not in done and part.key is not None]


def form_of(part: Part) -> Hashable:
    """What two blocks have in common if one function does for both."""
    number: dict[Value, int] = {v: n for n, v in enumerate(part.inputs)}
    rows = []
    for op in part.ops:
        rows.append((op.kind, tuple([number[v] for v in op.operands]), repr(op.attrs), len(op.results)))
        for v in op.results:
            number[v] = len(number)
    types = tuple([v.type for v in part.inputs])
    return (part.key and part.key[-1], types, tuple(rows), tuple([number[v] for v in part.results]))


def function_of(name: str, part: Part) -> Function:
    """A private function (inputs) -> (results); its places say `block*`, because it is the work of several blocks."""
    new = {v: Value(v.type) for v in part.inputs}
    for op in part.ops:
        new.update({v: Value(v.type) for v in op.results})
    ops = tuple(
        Op(op.kind, tuple([new[v] for v in op.operands]), op.attrs, new[op.result], starred(op.loc),
           tuple([new[v] for v in op.extra_results]))
        for op in part.ops
    )  # fmt: skip
    params = tuple([new[v] for v in part.inputs])
    results = tuple([new[v] for v in part.results])
    names = (tuple(f"{stem}{n}" for n in range(len(vs))) for stem, vs in (("in", params), ("out", results)))
    return Function(name, params, next(names), ops, results, next(names), private=True)


def starred(loc: str) -> str:
    """The place with every block's number as a star.

    >>> starred("stage2.block0.conv1 (vjp)")
    'stage2.block*.conv1 (vjp)'
    """
    return ".".join("block*" if BLOCK.fullmatch(p) else p for p in loc.split("."))
