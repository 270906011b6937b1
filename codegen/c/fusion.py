"""Kernels: which operations of a function become one loop nest.

An elementwise operation goes into the nest of the operation that reads it, if all who read it element by element are in
that one nest, or if it can be stored there for those who are not. One that costs next to nothing and reads one tensor
is computed again in each. Everything else that computes is a kernel of its own. Nothing is reordered here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from netc.codegen.c.expressions import CHEAP, EXPRESSIONS
from netc.codegen.c.views import Source, View, of_root, sources
from netc.codegen.ir import Function, Op, Value
from netc.codegen.ops.contraction import REDUCTIONS

COPY = "copy"  # no row of the op table: a value in memory of its own
LONGEST = 400  # operations in one nest: compilers take long over more


@dataclass(eq=False)
class Kernel:
    """Operations that are computed together. `shape` is that of a nest's loops, None for any other kernel.

    `stored` are the results that others read or the function gives.
    """

    number: int
    ops: list[Op]
    shape: tuple[int, ...] | None
    stored: list[Value] = field(default_factory=list)

    @property
    def reduction(self) -> Op | None:
        """The reduction at the end of the nest."""
        return next((op for op in self.ops if op.kind in REDUCTIONS), None)


@dataclass(eq=False)
class Fused:
    """The kernels of a function in the order of its operations, and where each value is read."""

    kernels: list[Kernel]
    sources: dict[Value, Source]
    maker: dict[Value, Kernel]


def reads(op: Op, found: dict[Value, Source]) -> list[View]:
    """What an operation reads of memory."""
    return [s for v in op.operands if isinstance(s := found[v], View) and s.root is not None]


def fuse(function: Function) -> Fused:
    """The kernels of a function."""
    found: dict[Value, Source] = {p: of_root(p) for p in function.params}
    computed = []
    for op in function.ops:
        if not sources(op, found):
            computed.append(op)
    return _Fusion(function, found, computed).run()


class _Fusion:
    def __init__(self, function: Function, found: dict[Value, Source], ops: list[Op]) -> None:
        self.found, self.ops = found, ops
        self.users: dict[Value, list[tuple[Op, View]]] = defaultdict(list)
        for op in ops:
            for view in reads(op, found):
                assert view.root is not None
                self.users[view.root].append((op, view))
        self.given = {s.root for v in function.results if isinstance(s := found[v], View)}
        self.kernels: list[Kernel] = []
        self.inside: dict[Op, list[Kernel]] = {}  # the kernels that compute an operation
        self.reached: list[int] = []  # of each kernel, those that come after it, as bits

    def run(self) -> Fused:
        index = {op: i for i, op in enumerate(self.ops)}
        for op in reversed(self.ops):
            self.place(op)
        maker: dict[Value, Kernel] = {}
        for kernel in self.kernels:
            kernel.ops.sort(key=index.__getitem__)
            maker.update(dict.fromkeys(kernel.stored, kernel))
        self.kernels.sort(key=lambda k: index[k.ops[-1]])
        for kernel in self.kernels:
            kernel.stored.sort(key=[v for op in kernel.ops for v in op.results].index)
        return Fused(self.kernels, self.found, maker)

    def place(self, op: Op) -> None:
        """Put an operation, all of whose readers are placed, into a nest of them or into one of its own."""
        if op.kind not in EXPRESSIONS:
            shape = self._shape(op)
            self._own(op, shape)
            return
        where: dict[Kernel, bool] = {}  # whether all that a kernel reads of it is element by element
        for user, view in self.users[op.result]:
            for kernel in self.inside[user]:
                fits = kernel.shape == op.result.shape == view.shape and view.contiguous and len(kernel.ops) < LONGEST
                where[kernel] = where.get(kernel, True) and fits
        wanted = op.result in self.given
        if where and all(where.values()) and not wanted and (len(where) == 1 or self._cheap(op)):
            for kernel in where:
                kernel.ops.append(op)
            self.inside[op] = list(where)
            return
        for kernel in sorted((k for k, fits in where.items() if fits), key=lambda k: -k.number):
            others = [k for k in where if k is not kernel]
            if not any(self.reached[k.number] >> kernel.number & 1 for k in others):
                kernel.ops.append(op)
                kernel.stored.append(op.result)
                self.inside[op] = [kernel]
                self._lead(kernel, others)
                return
        self._own(op, op.result.shape)

    def _cheap(self, op: Op) -> bool:
        """Whether it may be computed again by each reader."""
        roots = {view.root for view in reads(op, self.found)}
        return op.kind in CHEAP and len(roots) <= 1

    def _shape(self, op: Op) -> tuple[int, ...] | None:
        """The loops of an operation that is a nest of its own: a reduction, or a copy in another order."""
        return op.operands[0].shape if op.kind in REDUCTIONS or op.kind in ("reshape", COPY) else None

    def _own(self, op: Op, shape: tuple[int, ...] | None) -> None:
        made = op.extra_results if op.kind == "loop" else op.results  # the index after the last is a number
        kernel = Kernel(len(self.kernels), [op], shape, list(made))
        self.kernels.append(kernel)
        self.reached.append(0)
        self.inside[op] = [kernel]
        self._lead(kernel, [k for v in op.results for user, _ in self.users[v] for k in self.inside[user]])

    def _lead(self, kernel: Kernel, to: Iterable[Kernel]) -> None:
        """Note that others come after a kernel, and so after all that come before it."""
        further = 0
        for other in to:
            further |= self.reached[other.number] | 1 << other.number
        new = further & ~self.reached[kernel.number]
        if not new:
            return
        bit = 1 << kernel.number
        self.reached[kernel.number] |= further
        for n, after in enumerate(self.reached):
            if after & bit:
                self.reached[n] |= further
