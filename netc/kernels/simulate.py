"""A kernel on the CPU, all threads a statement at a time, with every fault that comes up: races, indices outside an
array, shared memory that nobody wrote, barriers that a part of a block does not meet, loops that do not end.

The threads of many blocks go through the kernel together, each statement by those that meet it (a mask, as a GPU has
it). Where there is no race the order of threads does not matter; where there is one, it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netc.kernels import arithmetic
from netc.kernels.ir import (
    Assign,
    Atomic,
    Barrier,
    Binary,
    Call,
    Cast,
    Const,
    Expr,
    For,
    If,
    Kernel,
    Let,
    Load,
    Number,
    Place,
    Select,
    Stmt,
    Store,
    Unary,
    Var,
    While,
)
from netc.kernels.launch import DTYPES, Launch, Memory
from netc.kernels.watch import Clash, Watch

TOGETHER = 1 << 16  # threads that go together, and
HELD = 1 << 20  # elements of shared memory of theirs at most: each is held with who touched it, some 80 bytes
MOST_TURNS = 1_000_000  # of a while loop
MOST_FAULTS = 20
Lanes = NDArray[np.intp]


@dataclass(frozen=True)
class Fault:
    """What is wrong, at a line of the kernel's text. `kind`: race, outside, unset, divergence or endless."""

    kind: str
    line: int
    sentence: str


class _Stopped(Exception):  # noqa: N818 (it is no error: what comes after a divergent barrier means nothing)
    """Nothing more can be said."""


def simulate(
    kernel: Kernel, launch: Launch, scalars: Mapping[str, Number], memory: Mapping[str, Memory]
) -> tuple[Fault, ...]:
    """Run a kernel; what it writes stands in `memory`. The faults found, at most 20, none of them twice."""
    run = _Run(kernel, launch, scalars, memory)
    several = max(1, min(TOGETHER // launch.threads, HELD // max(sum(launch.shared), 1)))
    with np.errstate(all="ignore"):
        for first in range(0, launch.blocks, several):
            run.blocks(first, min(several, launch.blocks - first))
            if run.stopped:
                break
    return tuple(run.faults.values())


class _Run:
    """One launch. `lanes` are the numbers of threads among those that go together."""

    def __init__(
        self, kernel: Kernel, launch: Launch, scalars: Mapping[str, Number], memory: Mapping[str, Memory]
    ) -> None:
        self.kernel, self.launch = kernel, launch
        self.values: dict[str, Any] = {s.name: DTYPES[s.type](scalars[s.name]) for s in kernel.scalars}
        self.scalars = dict(self.values)
        self.shared = {a.name for a in kernel.shared}
        self.memory = dict(memory)
        self.watches = {a.name: Watch(len(memory[a.name]), launch.threads) for a in kernel.globals}
        self.sizes = {a.name: len(memory[a.name]) for a in kernel.globals}
        self.sizes |= {a.name: n for a, n in zip(kernel.shared, launch.shared, strict=True)}
        self.faults: dict[tuple[str, int, int, str], Fault] = {}
        self.stopped = False

    def blocks(self, first: int, count: int) -> None:
        """Run `count` blocks from the block `first` on."""
        threads = self.launch.threads
        self.first, self.count = first * threads, count * threads
        self.places = _places(self.launch, first, count)
        self.epochs = np.zeros(count, np.int32)
        self.values = dict(self.scalars)
        for array in self.kernel.shared:
            size = count * self.sizes[array.name]
            self.memory[array.name] = np.zeros(size, DTYPES[array.type])
            self.watches[array.name] = Watch(size, threads)
        try:
            self.body(self.kernel.body, np.arange(self.count))
        except _Stopped:
            self.stopped = True

    def body(self, body: tuple[Stmt, ...], lanes: Lanes) -> None:
        """The statements, by these threads."""
        for s in body:
            if len(lanes):
                _STATEMENTS[type(s)](self, s, lanes)

    def value(self, e: Expr, lanes: Lanes) -> Any:
        """What an expression is for each of the threads."""
        return _EXPRESSIONS[type(e)](self, e, lanes)

    # expressions

    def _const(self, e: Const, lanes: Lanes) -> Any:
        return DTYPES[e.type](e.value)

    def _var(self, e: Var, lanes: Lanes) -> Any:
        held = self.values[e.name]
        return held if e.name in self.scalars or len(lanes) == self.count else held[lanes]

    def _place(self, e: Place, lanes: Lanes) -> Any:
        held = self.places[e.name][e.axis]
        return held if np.ndim(held) == 0 or len(lanes) == self.count else held[lanes]

    def _unary(self, e: Unary, lanes: Lanes) -> Any:
        value = self.value(e.value, lanes)
        return np.logical_not(value) if e.symbol == "!" else np.negative(value)

    def _binary(self, e: Binary, lanes: Lanes) -> Any:
        if e.symbol in ("&&", "||"):
            return self._logic(e, lanes)
        return arithmetic.binary(e.symbol, e.left.type, self.value(e.left, lanes), self.value(e.right, lanes))

    def _logic(self, e: Binary, lanes: Lanes) -> Any:
        left = np.array(np.broadcast_to(self.value(e.left, lanes), lanes.shape))
        more = left if e.symbol == "&&" else ~left
        if more.any():
            left[more] = self.value(e.right, lanes[more])
        return left

    def _select(self, e: Select, lanes: Lanes) -> Any:
        which = np.broadcast_to(self.value(e.condition, lanes), lanes.shape)
        found = np.zeros(lanes.shape, DTYPES[e.type])
        for side, mask in ((e.left, which), (e.right, ~which)):
            if mask.any():
                found[mask] = self.value(side, lanes[mask])
        return found

    def _call(self, e: Call, lanes: Lanes) -> Any:
        return arithmetic.FUNCTIONS[e.name](*(self.value(a, lanes) for a in e.args))

    def _cast(self, e: Cast, lanes: Lanes) -> Any:
        return arithmetic.cast(self.value(e.value, lanes), e.value.type, e.type)

    def _load(self, e: Load, lanes: Lanes) -> Any:
        at, inside = self._elements(e.array, e.index, lanes, e.line, "reads")
        by = self._threads(lanes[inside])
        watch = self.watches[e.array]
        self._unset(e, at, by)
        self._race(e.array, "reads", watch.read(at, by, self._epochs(by), e.line))
        found = np.zeros(lanes.shape, DTYPES[e.type])
        found[inside] = self.memory[e.array][at]
        return found

    # statements

    def _let(self, s: Let, lanes: Lanes) -> None:
        value = self.value(s.value, lanes)
        held = self.values.get(s.name)
        if held is None or len(lanes) == self.count:
            held = self.values[s.name] = np.zeros(self.count, DTYPES[s.value.type])
        held[lanes] = value

    def _assign(self, s: Assign, lanes: Lanes) -> None:
        self.values[s.name][lanes] = self.value(s.value, lanes)

    def _store(self, s: Store, lanes: Lanes) -> None:
        value = np.broadcast_to(self.value(s.value, lanes), lanes.shape)
        at, inside = self._elements(s.array, s.index, lanes, s.line, "writes")
        by = self._threads(lanes[inside])
        self._race(s.array, "writes", self.watches[s.array].write(at, by, self._epochs(by), s.line))
        self.memory[s.array][at] = value[inside]

    def _atomic(self, s: Atomic, lanes: Lanes) -> None:
        value = np.broadcast_to(self.value(s.value, lanes), lanes.shape)
        at, inside = self._elements(s.array, s.index, lanes, s.line, "changes")
        by = self._threads(lanes[inside])
        self._unset(s, at, by)
        self._race(s.array, "changes", self.watches[s.array].change(at, by, self._epochs(by), s.line))
        {"add": np.add, "min": np.minimum, "max": np.maximum}[s.name].at(self.memory[s.array], at, value[inside])

    def _if(self, s: If, lanes: Lanes) -> None:
        which = np.broadcast_to(self.value(s.condition, lanes), lanes.shape)
        self.body(s.then, lanes[which])
        self.body(s.otherwise, lanes[~which])

    def _for(self, s: For, lanes: Lanes) -> None:
        start, stop, step = (
            np.array(np.broadcast_to(self.value(e, lanes), lanes.shape), np.int64) for e in (s.start, s.stop, s.step)
        )
        if (step < 1).any():
            self._fault("endless", s.line, 0, f"the range's step wants 1 or more, got {int(step.min())}")
            raise _Stopped
        while len(lanes):
            more = start < stop
            if not more.all():
                lanes, start, stop, step = lanes[more], start[more], stop[more], step[more]
            if len(lanes):
                held = self.values.setdefault(s.name, np.zeros(self.count, np.int32))
                held[lanes] = start
                self.body(s.body, lanes)
                start = start + step

    def _while(self, s: While, lanes: Lanes) -> None:
        for _ in range(MOST_TURNS):
            lanes = lanes[np.broadcast_to(self.value(s.condition, lanes), lanes.shape)]
            if not len(lanes):
                return
            self.body(s.body, lanes)
        who = self.launch.who(int(self._threads(lanes)[0]))
        self._fault("endless", s.line, 0, f"{who} has gone round this loop {MOST_TURNS:,} times; it does not end")
        raise _Stopped

    def _barrier(self, s: Barrier, lanes: Lanes) -> None:
        threads = self.launch.threads
        come = np.bincount(lanes // threads, minlength=self.count // threads)
        torn = (come > 0) & (come < threads)
        if torn.any():
            block = int(torn.argmax())
            here = lanes[lanes // threads == block]
            away = np.setdiff1d(np.arange(block * threads, (block + 1) * threads), here)
            one, other = (self.launch.who(int(lane) + self.first) for lane in (here[0], away[0]))
            self._fault(
                "divergence", s.line, 0, f"{one} waits at this barrier, which {other} does not meet; take the barrier "
                "out of the `if` or loop that parts them",
            )  # fmt: skip
            raise _Stopped
        self.epochs[come > 0] += 1

    # memory

    def _threads(self, lanes: Lanes) -> NDArray[np.int32]:
        """Lanes as threads of the whole grid."""
        return (lanes + self.first).astype(np.int32)

    def _epochs(self, threads: NDArray[np.int32]) -> NDArray[np.int32]:
        return self.epochs[(threads - self.first) // self.launch.threads]

    def _elements(self, name: str, index: Expr, lanes: Lanes, line: int, does: str) -> tuple[Lanes, NDArray[np.bool_]]:
        """The elements that are meant, and of which threads: those whose index is inside."""
        at = np.broadcast_to(self.value(index, lanes), lanes.shape)
        size = self.sizes[name]
        inside = (at >= 0) & (at < size)
        if not inside.all():
            n = int((~inside).argmax())
            who = self.launch.who(int(lanes[n]) + self.first)
            self._fault("outside", line, 0, f"{who} {does} {name}[{int(at[n])}], outside its {size} elements", name)
        at = at[inside].astype(np.intp)
        if name in self.shared:
            at = at + lanes[inside] // self.launch.threads * size
        return at, inside

    # faults

    def _fault(self, kind: str, line: int, other: int, sentence: str, array: str = "") -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.setdefault((kind, line, other, array), Fault(kind, line, sentence))

    def _unset(self, e: Load | Atomic, at: Lanes, by: NDArray[np.int32]) -> None:
        """Name the first of the elements of shared memory, if one is, that nobody has written."""
        if e.array not in self.shared or not (never := self.watches[e.array].unset(at)).any():
            return
        n = int(never.argmax())
        does = "reads" if isinstance(e, Load) else "changes"
        said = f"{self.launch.who(int(by[n]))} {does} {e.array}[{int(at[n]) % self.sizes[e.array]}] of shared memory"
        self._fault("unset", e.line, 0, f"{said}, which no thread of the block has written", e.array)

    def _race(self, name: str, does: str, clash: Clash | None) -> None:
        if clash is None:
            return
        same = clash.now // self.launch.threads == clash.before // self.launch.threads
        do = "put a barrier between" if same else "blocks are not ordered: use an atomic operation or another launch"
        now, before = self.launch.who(clash.now), self.launch.who(clash.before)
        said = f"{now} {does} {name}[{clash.element % self.sizes[name]}], and {before} {clash.how} it at line"
        sentence = f"{said} {clash.before_line}, with nothing between; {do}"
        self._fault("race", clash.now_line, clash.before_line, sentence, name)


def _places(launch: Launch, first: int, count: int) -> dict[str, tuple[Any, Any, Any]]:
    """What the indices are for each thread of `count` blocks."""
    bx, by, _ = launch.block
    gx, gy, _ = launch.grid
    t = np.tile(np.arange(launch.threads, dtype=np.int32), count)
    b = np.repeat(np.arange(first, first + count, dtype=np.int32), launch.threads)
    return {
        "threadIdx": (t % bx, t // bx % by, t // (bx * by)),
        "blockIdx": (b % gx, b // gx % gy, b // (gx * gy)),
        "blockDim": _sizes(launch.block),
        "gridDim": _sizes(launch.grid),
    }


def _sizes(dim: tuple[int, int, int]) -> tuple[Any, Any, Any]:
    x, y, z = (np.int32(n) for n in dim)
    return x, y, z


_EXPRESSIONS: dict[type[Expr], Callable[[_Run, Any, Lanes], Any]] = {
    Const: _Run._const,
    Var: _Run._var,
    Place: _Run._place,
    Unary: _Run._unary,
    Binary: _Run._binary,
    Select: _Run._select,
    Call: _Run._call,
    Cast: _Run._cast,
    Load: _Run._load,
}
_STATEMENTS: dict[type[Stmt], Callable[[_Run, Any, Lanes], None]] = {
    Let: _Run._let,
    Assign: _Run._assign,
    Store: _Run._store,
    Atomic: _Run._atomic,
    If: _Run._if,
    For: _Run._for,
    While: _Run._while,
    Barrier: _Run._barrier,
}
