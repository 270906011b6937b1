"""Which axis of each value the mesh's `model` axis, or its `sequence`, splits, and what must be exchanged for it.

It follows a lowered function from its split arguments on, as a partitioner does: an operation keeps the axis where it
can; a product or a sum over the split axis gives a partial sum on each device, which an all-reduce makes whole; a cut
across it moves pieces between neighbours; and what cannot be computed in parts is gathered first. XLA may do better or
worse; docs/distributed.md has both. Of a product whose operands are both split by tokens, as in attention, one is
gathered, once for all that read it.

Values of the optimizer's and the norms' own work move nothing: parameters, gradients and moments are split alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.location import location_of
from netc.codegen.ops import OPS
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.ops.loop import loop_operands
from netc.codegen.ops.movement import BARRIERS
from netc.netspec.check import STEP_PLACES

EXCHANGING = frozenset({"forward", "vjp", "remat"})  # phases
ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, PERMUTE = "all-reduce", "all-gather", "reduce-scatter", "permute"
SEQUENCE = "sequence"
WEIGHTS = "gradients"  # in the place of a loc: the sums of all of them over tokens are one


@dataclass(frozen=True, slots=True)
class Exchange:
    """One collective: its kind, the axis of the mesh, the bytes of the whole tensor, where, and how often."""

    kind: str
    axis: str
    bytes: int
    loc: str
    times: int = 1


@dataclass
class Spread:
    """The split axis of each value of a step, the exchanges, and the operations that each device has a part of.

    `name` is that of the mesh's axis, of so many `parts`.
    """

    parts: int
    name: str = "model"
    gathered: set[Value] = field(default_factory=set)
    axis: dict[Value, int] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    split: set[Op] = field(default_factory=set)

    def follow(self, function: Function, module: Module, times: int = 1) -> None:
        """Every operation in order, and those of the functions that its loops call."""
        for op in function.ops:
            if op.kind == "loop":
                self._loop(op, module, times)
            else:
                self._follow(op, times)

    def _loop(self, op: Op, module: Module, times: int) -> None:
        called, given = module.function(op.attr("callee")), loop_operands(op, op.operands)
        own = [(v, 0) for v in given.carried] + [(v, 1) for v in given.stacked] + [(v, 0) for v in given.constants]
        for (outer, ahead), inner in zip(own, called.params, strict=False):
            if (axis := self.axis.get(outer, -1) - ahead) >= 0:
                self.axis[inner] = axis
        self.follow(called, module, times * op.attr("trips"))
        for outer, inner in zip(op.results, called.results, strict=False):
            if inner in self.axis and outer.shape == inner.shape:
                self.axis[outer] = self.axis[inner]

    def _follow(self, op: Op, times: int) -> None:
        given = [v for v in op.operands if v in self.axis]
        if not given:
            return
        axis = _kept(op, self.axis, self.parts)
        if axis is None and op.kind == "dot" and self.name == SEQUENCE:
            axis = self._by_one(op, times)
        if axis is not None and axis.partial:
            self._exchange(ALL_REDUCE, op.result, op, times)
        elif axis is not None and axis.moved:
            self._exchange(PERMUTE, op.result, op, times)
        elif axis is None:
            for v in given:
                self._exchange(ALL_GATHER, v, op, times)
        if axis is None:
            return
        self.split.add(op)
        if axis.of_result is not None:
            self.axis.update(dict.fromkeys(op.results, axis.of_result))

    def _by_one(self, op: Op, times: int) -> _Kept | None:
        """A product by the rows of one operand; the other, which is split too, is gathered."""
        for own, other in (op.operands, op.operands[::-1]):
            kept = _dot(op, {own: self.axis[own]}, self.parts)
            if kept is not None and not kept.partial:
                if other not in self.gathered:
                    self._exchange(ALL_GATHER, other, op, times)
                self.gathered.add(other)
                return kept
        return None

    def _exchange(self, kind: str, value: Value, op: Op, times: int) -> None:
        place = location_of(op.loc)
        if place.phase in EXCHANGING and place.path[0] not in STEP_PLACES:
            weights = self.name == SEQUENCE and kind == ALL_REDUCE and value.type.rank < 3
            self.exchanges.append(Exchange(kind, self.name, value.type.bytes, WEIGHTS if weights else op.loc, times))


@dataclass(frozen=True, slots=True)
class _Kept:
    """The result's split axis; whether devices have partial sums of it, or pieces of it that others need."""

    of_result: int | None
    partial: bool = False
    moved: bool = False


def spread(
    module: Module, split: Mapping[str, int], parts: int, name: str = "train_step", axis: str = "model"
) -> Spread:
    """The spread of a function whose arguments are split at these axes, by name, into the parts of a mesh's `axis`."""
    found, function = Spread(parts, axis), module.function(name)
    if parts > 1:
        found.axis = {v: split[n] for v, n in zip(function.params, function.names, strict=True) if n in split}
        found.follow(function, module)
    return found


def _kept(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    """What an operation makes of the split axes of its operands; None where it cannot be computed in parts."""
    if op.kind in ELEMENTWISE | BARRIERS:
        found = {axes[v] for v in op.operands if v in axes and v.shape == op.result.shape}
        return _Kept(found.pop()) if len(found) == 1 else None
    rule = _RULES.get(op.kind)
    return rule(op, axes, parts) if rule else None


def _sum(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    axis, dims = axes[op.operands[0]], op.attr("dims")
    if axis in dims:
        return _Kept(None, partial=True)
    return _Kept(axis - sum(d < axis for d in dims))


def _reshape(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    before, after = op.operands[0].shape, op.result.shape
    ahead = math.prod(before[: axes[op.operands[0]]])
    for axis, size in enumerate(after):
        if size > 1 and math.prod(after[:axis]) == ahead:
            return _Kept(axis) if size % parts == 0 else None
    return None


def _transpose(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    return _Kept(op.attr("perm").index(axes[op.operands[0]]))


def _broadcast(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    return _Kept(op.attr("dims")[axes[op.operands[0]]])


def _cut(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    """Slices, pads and concatenations: along another axis nothing moves."""
    split = {axes[v] for v in op.operands if v in axes}
    if len(split) > 1:
        return None
    axis = split.pop()
    whole = all(v.shape[axis] == op.result.shape[axis] for v in op.operands if v.type.rank)
    if not whole and op.result.shape[axis] % parts:
        return None
    return _Kept(axis, moved=not whole)


def _dot(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    contract, batch = op.attr("contract"), op.attr("batch")
    free = [[i for i in range(v.type.rank) if i not in (*contract[n], *batch[n])] for n, v in enumerate(op.operands)]
    found: list[_Kept] = []
    for n, v in enumerate(op.operands):
        if v not in axes:
            continue
        axis = axes[v]
        if axis in contract[n]:
            found.append(_Kept(None, partial=True))
        elif axis in batch[n]:
            found.append(_Kept(batch[n].index(axis)))
        else:
            found.append(_Kept(len(batch[0]) + n * len(free[0]) + free[n].index(axis)))
    return found[0] if len(set(found)) == 1 else None


def _conv(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    """NHWC by HWIO: by outputs, by inputs, by both in groups, or by examples."""
    x, kernel = (axes.get(v) for v in op.operands)
    last = op.result.type.rank - 1
    if op.attr("groups") > 1:
        return _Kept(last) if (x, kernel) == (last, last) else None
    if (x, kernel) == (last, last - 1):
        return _Kept(None, partial=True)
    return {(None, last): _Kept(last), (0, None): _Kept(0)}.get((x, kernel))


def _take(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    """Rows of a table: split by rows each device has zeros for those of others, by columns nothing is exchanged."""
    table = axes.get(op.operands[0])
    if table is None:
        return _Kept(axes[op.operands[1]])
    return _Kept(None, partial=True) if table == 0 else _Kept(op.result.type.rank - 1) if table == 1 else None


def _add_rows(op: Op, axes: Mapping[Value, int], parts: int) -> _Kept | None:
    """Of rows of some ids each device has the sum of its own."""
    if op.operands[1] in axes and op.operands[0] not in axes:
        return _Kept(None, partial=True)
    return _Kept(axes[op.operands[0]]) if op.operands[0] in axes else None


_RULES = {
    "reshape": _reshape, "transpose": _transpose, "broadcast": _broadcast, "slice": _cut, "pad": _cut,
    "concatenate": _cut, "dot": _dot, "conv": _conv, "take": _take, "add_rows": _add_rows,
    "reverse": lambda op, axes, parts: _Kept(axes[op.operands[0]]), **dict.fromkeys(REDUCTIONS, _sum),
}  # fmt: skip


def shares(found: Spread, functions: Iterable[Function]) -> dict[str, tuple[float, float]]:
    """By place: the share of its flops, and of the bytes that it makes, that each device has."""
    sums: dict[str, list[float]] = {}
    for function in functions:
        for op in function.ops:
            own, total = 1 / found.parts if op in found.split else 1.0, sums.setdefault(op.loc, [0.0, 0.0, 0.0, 0.0])
            flops, size = OPS[op.kind].flops(op) + 1, op.result.type.bytes + 1
            for index, value in enumerate((flops, own * flops, size, own * size)):
                total[index] += value
    return {loc: (own / flops, mine / size) for loc, (flops, own, size, mine) in sums.items()}
