"""Where each value of a function lies: in a slot of the state, in a result, in one arena, or in a local variable.

Kernels are put in an order that frees memory early and reads a slot before it is written. A value whose last reader
makes one of its size element by element gives its memory to it. The arena is packed by lifetimes, largest first.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from netc.codegen.c.any_batch import Size, size
from netc.codegen.c.expressions import C_TYPES
from netc.codegen.c.fusion import Fused, Kernel, reads
from netc.codegen.c.views import View
from netc.codegen.ir import Function, IrError, Op, Value

ALIGNMENT = 64  # bytes
REGIONS = {"double": "d", "float": "f", "int64_t": "l", "int32_t": "i", "uint32_t": "u", "uint8_t": "b"}
WIDTHS = {"d": 8, "f": 4, "l": 8, "i": 4, "u": 4, "b": 1}
Sizes = dict[str, int]  # elements of each region


def region_of(v: Value) -> str:
    """The part of the arena that holds values of that C type: memory never changes its type."""
    return REGIONS[C_TYPES[v.type.dtype]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a root lies. `slot` and `result` count the function's; `offset` counts elements of the arena's region."""

    kind: Literal["argument", "slot", "result", "arena", "local", "constant"]
    index: int = 0


@dataclass(eq=False)
class Buffer:
    """A part of the arena while it is used, from one kernel to another, both included."""

    region: str
    size: int
    birth: int
    death: int
    offset: int = 0


@dataclass(eq=False)
class Plan:
    """`order`: the kernels as they run. `copies`: (result, its number) that are written at the end.

    `scratch`: what a kernel needs besides its results, by region. `sizes`: the arena; `live`: its largest live set, in
    bytes.
    """

    order: list[Kernel]
    places: dict[Value, Place]
    copies: list[int]
    scratch: dict[Kernel, dict[str, Buffer]]
    sizes: Sizes
    live: int
    buffers: dict[Value, Buffer] = field(default_factory=dict)


def plan(function: Function, fused: Fused, donated: int, needs: dict[Kernel, Sizes]) -> Plan:
    """`donated` results take the place of the arguments of their number; `needs` are what kernels need besides."""
    return _Planner(function, fused, donated, needs).run()


class _Planner:
    def __init__(self, function: Function, fused: Fused, donated: int, needs: dict[Kernel, Sizes]) -> None:
        self.function, self.fused, self.donated, self.needs = function, fused, donated, needs
        self.readers: dict[Value, list[Kernel]] = defaultdict(list)
        for kernel in fused.kernels:
            for root in dict.fromkeys(v.root for op in kernel.ops for v in reads(op, fused.sources)):
                assert root is not None
                if fused.maker.get(root) is not kernel:
                    self.readers[root].append(kernel)
        self.after: dict[Kernel, set[Kernel]] = {k: set() for k in fused.kernels}
        for root, kernels in self.readers.items():
            if maker := fused.maker.get(root):
                self.after[maker].update(kernels)
        self.places: dict[Value, Place] = {p: Place("argument", i) for i, p in enumerate(function.params)}
        self.copies: list[int] = []

    def run(self) -> Plan:
        for kernel in self.fused.kernels:
            for v in kernel.stored:
                if kernel.shape is not None and v.shape == ():
                    self.places[v] = Place("local")
        self._results()
        for kernel in self.fused.kernels:
            for v in kernel.stored:
                constant = kernel.ops[0].kind == "constant"
                self.places.setdefault(v, Place("constant" if constant else "arena"))
        order = self._order()
        buffers, scratch = self._lifetimes(order)
        live = _largest(buffers, scratch, len(order))
        sizes = _pack(
            list(dict.fromkeys([*buffers.values(), *(b for held in scratch.values() for b in held.values())]))
        )
        return Plan(order, self.places, self.copies, scratch, sizes, live, buffers)

    def _results(self) -> None:
        """Say which results are made where they are wanted; the others are copied there at the end."""
        params = self.function.params
        kept = {  # arguments that a copy at the end reads
            s.root
            for i, v in enumerate(self.function.results)
            if isinstance(s := self.fused.sources[v], View)
            and s.root in params
            and not (i < self.donated and params[i] is s.root and s.whole)
        }
        for i, v in enumerate(self.function.results):
            source, slot = self.fused.sources[v], self.function.params[i] if i < self.donated else None
            if isinstance(source, View) and slot is not None and source.root is slot and source.whole:
                continue
            root = source.root if isinstance(source, View) and source.whole else None
            kernel = self.fused.maker.get(root) if root is not None else None
            free = root is not None and kernel is not None and root not in self.places
            free = free and kernel is not None and kernel.ops[0].kind != "constant"
            if free and slot is not None:
                assert root is not None and kernel is not None
                free = slot not in kept and root.type == slot.type and self._may_write(kernel, slot, root)
            if not free:
                self.copies.append(i)
                continue
            assert root is not None
            self.places[root] = Place("slot" if slot is not None else "result", i)
        self.copies = self._in_turn()

    def _in_turn(self) -> list[int]:
        """The copies, each before the one that writes over the slot that it reads. Raises IrError where none may."""
        slots = {p: i for i, p in enumerate(self.function.params[: self.donated])}
        read = {}
        for i in self.copies:
            source = self.fused.sources[self.function.results[i]]
            read[i] = slots.get(source.root) if isinstance(source, View) and source.root is not None else None
        left, order = self.copies, list[int]()
        while left:
            wanted = {read[i] for i in left}
            if not (free := [i for i in left if i not in wanted]):
                names = ", ".join(self.function.result_names[i] for i in left)
                raise IrError(f"{self.function.name}: C wants no slots that are made of each other alone, got {names}")
            order += free
            left = [i for i in left if i in wanted]
        return order

    def _may_write(self, kernel: Kernel, slot: Value, new: Value) -> bool:
        """Whether a kernel may write over a slot: all others that read it can run before, and it reads as it writes."""
        if not self._in_place(kernel, slot, new):
            return False
        others = [k for k in self.readers[slot] if k is not kernel]
        seen, left = {kernel}, [kernel]
        while left:
            for k in self.after[left.pop()]:
                if k not in seen:
                    seen.add(k)
                    left.append(k)
        if seen.intersection(others):
            return False
        for k in others:
            self.after[k].add(kernel)
        return True

    def _in_place(self, kernel: Kernel, old: Value, new: Value) -> bool:
        """Whether a kernel reads each element of `old` no later than it writes that of `new`, and no other."""
        views = [v for op in kernel.ops for v in reads(op, self.fused.sources) if v.root is old]
        if kernel.ops[0].kind == "loop":
            return not views or _carries(kernel.ops[0], old, new, self.fused)
        if kernel.ops[0].kind == "update":
            return len(views) == 1 and views[0].whole and self.fused.sources[kernel.ops[0].operands[0]] is views[0]
        if kernel.shape is None or (kernel.reduction is not None and new is kernel.reduction.result):
            return not views
        return all(v.whole and v.shape == kernel.shape for v in views)

    def _order(self) -> list[Kernel]:
        """A topological order: what takes no more memory than it frees first, else as the function has it."""
        kernels = self.fused.kernels
        position = {k: n for n, k in enumerate(kernels)}
        waits = dict.fromkeys(kernels, 0)
        for k in (k for others in self.after.values() for k in others):
            waits[k] += 1
        inputs: dict[Kernel, list[Value]] = defaultdict(list)
        for root, k in ((r, k) for r, readers in self.readers.items() if r in self.fused.maker for k in readers):
            inputs[k].append(root)
        left = {v: len(self.readers[v]) for v in self.readers}

        def frees(k: Kernel) -> bool:
            freed = sum(r.type.bytes for r in inputs[k] if left[r] == 1 and self._held(r))
            return freed >= sum(v.type.bytes for v in k.stored if self._held(v))

        ready = sorted(position[k] for k, n in waits.items() if n == 0)
        urgent = [n for n in ready if frees(kernels[n])]
        order: dict[Kernel, None] = {}
        while ready or urgent:
            kernel = kernels[heapq.heappop(urgent or ready)]
            if kernel in order:
                continue
            order[kernel] = None
            for r in inputs[kernel]:
                left[r] -= 1
            touched = [k for r in inputs[kernel] if left[r] == 1 for k in self.readers[r]]
            for k in self.after[kernel]:
                waits[k] -= 1
            free = [k for k in self.after[kernel] if waits[k] == 0]
            for k in free:
                heapq.heappush(ready, position[k])
            for k in (*touched, *free):
                if k not in order and waits[k] == 0 and frees(k):
                    heapq.heappush(urgent, position[k])
        return list(order)

    def _held(self, v: Value) -> bool:
        return self.places[v].kind == "arena"

    def _lifetimes(self, order: list[Kernel]) -> tuple[dict[Value, Buffer], dict[Kernel, dict[str, Buffer]]]:
        at = {k: n for n, k in enumerate(order)}
        last: dict[Value, int] = {}
        for root, kernels in self.readers.items():
            last[root] = max(map(at.__getitem__, kernels))
        for i in self.copies:
            source = self.fused.sources[self.function.results[i]]
            if isinstance(source, View) and source.root is not None:
                last[source.root] = len(order)
        buffers: dict[Value, Buffer] = {}
        scratch: dict[Kernel, dict[str, Buffer]] = {}

        def inputs_of(kernel: Kernel) -> list[Value]:
            if kernel.shape is None and kernel.ops[0].kind != "loop":
                return []
            roots = dict.fromkeys(v.root for op in kernel.ops for v in reads(op, self.fused.sources))
            return [r for r in roots if r is not None and r in buffers]

        for n, kernel in enumerate(order):
            scratch[kernel] = {r: Buffer(r, size, n, n) for r, size in self.needs.get(kernel, {}).items() if size}
            dying = [r for r in inputs_of(kernel) if last[r] == n]
            for v in kernel.stored:
                if not self._held(v):
                    continue
                end = last.get(v, n)
                heir = next((r for r in dying if _alike(r, v) and self._in_place(kernel, r, v)), None)
                if heir is None:
                    buffers[v] = Buffer(region_of(v), v.type.size, n, end)
                    continue
                dying.remove(heir)
                buffers[v] = buffers[heir]
                buffers[v].death = end
        return buffers, scratch


def _carries(op: Op, old: Value, new: Value, fused: Fused) -> bool:
    """Whether a loop reads a root only as the first value of what it carries as `new`."""
    places = [n for n, v in enumerate(op.operands) if isinstance(s := fused.sources[v], View) and s.root is old]
    source = fused.sources[op.operands[places[0]]]
    return places == [op.results.index(new)] and isinstance(source, View) and source.whole


def _alike(x: Value, y: Value) -> bool:
    return x.type.dtype == y.type.dtype and x.type.size == y.type.size


def _largest(buffers: dict[Value, Buffer], scratch: dict[Kernel, dict[str, Buffer]], count: int) -> int:
    """The bytes that are live at once, at most: the sum over the regions of each one's largest."""
    changes: dict[str, list[int]] = {}
    for b in dict.fromkeys([*buffers.values(), *(b for held in scratch.values() for b in held.values())]):
        steps = changes.setdefault(b.region, [0] * (count + 2))
        steps[b.birth] += b.size
        steps[b.death + 1] -= b.size
    total = 0
    for region, steps in changes.items():
        held = most = 0
        for change in steps:
            held += change
            most = max(most, held)
        total += most * WIDTHS[region]
    return total


def _pack(buffers: list[Buffer]) -> Sizes:
    """Give each buffer its offset; the size of each region. What grows with the batch lies behind what does not."""
    growing = [b for b in buffers if isinstance(b.size, Size)]
    sizes = _packed([b for b in buffers if not isinstance(b.size, Size)], lambda b: b.size)
    for b in growing:
        sizes.setdefault(b.region, 0)
    more = _packed(growing, lambda b: _for_each(b.size))
    for b in growing:
        b.offset = size(sizes[b.region], b.offset)
    return {region: size(fixed, more.get(region, 0)) for region, fixed in sizes.items()}


def _for_each(n: int) -> int:
    """Elements for each example that hold a size at every batch."""
    assert isinstance(n, Size)
    return n.fixed + n.times


def _packed(buffers: list[Buffer], room_of: Callable[[Buffer], int]) -> Sizes:
    """Give each buffer its offset, largest first, at the lowest free place; the size of each region."""
    sizes: Sizes = {}
    placed: dict[str, list[tuple[Buffer, int]]] = defaultdict(list)
    for b in sorted(buffers, key=lambda b: (-room_of(b), b.birth)):
        unit = ALIGNMENT // WIDTHS[b.region]
        room = -(-room_of(b) // unit) * unit
        start = 0
        for other, end in placed[b.region]:  # in order of their offsets
            if other.birth > b.death or other.death < b.birth:
                continue
            if start + room <= other.offset:
                break
            start = max(start, end)
        b.offset = start
        insort(placed[b.region], (b, start + room), key=lambda held: held[0].offset)
        sizes[b.region] = max(sizes.get(b.region, 0), start + room)
    return sizes
