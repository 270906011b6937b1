"""Loop nests: elementwise operations, and perhaps one reduction, as `for` loops over a shape.

Axes that every tensor of the nest walks through alike become one loop. A sum over the inner axis adds up sixteen
lanes, so that its bits depend on no compiler; any other is added up in the memory of its result. A long one is made of
sixteen shares, so that threads may have some each and its bits depend on their number no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from netc.codegen.c.any_batch import Size
from netc.codegen.c.expressions import C_TYPES, EXPRESSIONS, FLOATS, bare, number
from netc.codegen.c.fusion import Kernel
from netc.codegen.c.views import VARIABLES, Source, Uniform, View, index_of, of_root
from netc.codegen.c.walks import collapsed
from netc.codegen.ir import Op, Value

LONG = 16  # elements of a sum that go through lanes
THREADED = 1 << 15  # elements of a nest that is worth more than one thread
SHARES = 16  # of a reduction of as many elements, and of
SHARED = 1 << 16  # elements or more
CHUNK = 256  # NET_CHUNK
SHORT = 40  # characters of an expression that may be written twice
WIDEST = 50  # characters of an expression that is not named
OPERATORS = {"reduce_sum": "add", "reduce_max": "max", "reduce_min": "min"}


class Scope(Protocol):
    """What a nest asks of the function that it is in."""

    def source(self, v: Value) -> Source:
        """Where a value is read."""

    def element(self, root: Value, index: str) -> str:
        """The C of one element of a root, by its index."""

    def scalar(self, v: Value) -> str:
        """The C of a value of one element."""

    def declared(self, v: Value) -> str:
        """The left side that makes a value of one element: with its type, where it is a local variable."""

    def local(self, op: Op) -> str:
        """A name for what an operation makes inside of a loop."""

    def scratch(self, op: Op) -> str:
        """Memory that an operation needs besides its result."""


@dataclass(frozen=True)
class _Axis:
    size: int
    reduced: bool


class _Nest:
    def __init__(self, kernel: Kernel, scope: Scope) -> None:
        assert kernel.shape is not None
        self.kernel, self.scope, self.shape = kernel, scope, kernel.shape
        self.reduction = kernel.reduction
        inside = {op.result for op in kernel.ops}
        views = [
            s for op in kernel.ops for v in op.operands
            if v not in inside and isinstance(s := scope.source(v), View) and len(s.shape) == len(self.shape)
        ]  # fmt: skip
        self.views = list(dict.fromkeys(views))
        self.axes, self.strides = self._collapsed()
        self.variables = VARIABLES[: len(self.axes)]

    def _collapsed(self) -> tuple[list[_Axis], dict[View | None, list[int]]]:
        """The axes, joined where they can be, and the strides of each view along them; those of None are the nest's."""
        own = of_root(Value(self.kernel.ops[0].result.type._replace(shape=self.shape)))
        dims = self.reduction.attr("dims") if self.reduction is not None else ()
        vectors: dict[View | None, tuple[int, ...]] = {None: own.strides, **{v: v.strides for v in self.views}}
        if self.reduction is not None:
            kept = [n for d, n in enumerate(self.shape) if d not in dims]
            strides = iter(of_root(Value(own.root.type._replace(shape=tuple(kept)))).strides)  # type: ignore[union-attr]
            self.out = tuple(0 if d in dims else next(strides) for d in range(len(self.shape)))
        else:
            self.out = own.strides
        walk = collapsed(self.shape, (*vectors.values(), self.out), dims)
        *found, self.out_strides = walk.strides
        axes = [_Axis(n, reduced) for n, reduced in zip(walk.sizes, walk.marks, strict=True)]
        return axes, dict(zip(vectors, found, strict=True))

    def body(self) -> tuple[list[str], str, list[str]]:
        """The statements of one turn, what the reduction adds in it, and what is stored at its end.

        What is stored may lie where the turn reads, so nothing is stored before all is computed.
        """
        uses = Counter(v for op in self.kernel.ops for v in op.operands)
        made: dict[Value, str] = {}
        lines: list[str] = []
        ends: list[str] = []
        stored = [v for v in self.kernel.stored if self.reduction is None or v is not self.reduction.result]
        term = ""
        for op in self.kernel.ops:
            args = [self._read(v, made) for v in op.operands]
            if op is self.reduction:
                term = bare(args[0])
                if len(term) > SHORT and op.kind != "reduce_sum":
                    lines.append(f"const {C_TYPES[op.result.type.dtype]} term = {term};")
                    term = "term"
                continue
            text = bare(EXPRESSIONS[op.kind](op, args) if op.kind in EXPRESSIONS else args[0])
            if op.result in stored and self.shape == () and op.result.shape == ():
                lines.append(f"{self.scope.declared(op.result)} = {text};")
                made[op.result] = self.scope.scalar(op.result)
                continue
            alone = len(stored) == 1 and uses[op.result] == 0
            if not alone and (op.result in stored or uses[op.result] > 1 or len(text) > WIDEST):
                name = self.scope.local(op)
                lines.append(f"const {C_TYPES[op.result.type.dtype]} {name} = {text};")
                text = name
            made[op.result] = text if _atom(text) else f"({text})"
            if op.result in stored:
                ends.append(f"{self._stored(op.result)} = {text};")
        return lines, term, ends

    def _stored(self, v: Value) -> str:
        if self.shape == () or (v.shape == () and v is not (self.reduction and self.reduction.result)):
            return self.scope.declared(v)
        return self.scope.element(v, index_of(self.strides[None]))

    def _read(self, v: Value, made: dict[Value, str]) -> str:
        if v in made:
            return made[v]
        source, dtype = self.scope.source(v), v.type.dtype
        if isinstance(source, Uniform):
            text = number(source.value, dtype)
            return f"({text})" if text.startswith("-") else text
        if len(source.shape) != len(self.shape):  # the number that a reduction starts from
            return self.scope.scalar(v)
        index = index_of(self.strides[source], source.offset)
        if source.root is None:
            return f"({C_TYPES[dtype]}){index}" if _atom(index) else f"({C_TYPES[dtype]})({index})"
        return self.scope.element(source.root, index)

    # ---- the loops

    def lines(self) -> list[str]:
        """The nest."""
        if self.reduction is None:
            lines, _, ends = self.body()
            return self._loops(range(len(self.axes)), [*lines, *ends], each=True)
        return self._in_memory() if self.in_memory() else self._inner(sum(not axis.reduced for axis in self.axes))

    def in_memory(self) -> bool:
        """Whether a reduced axis is outside of one that is kept."""
        kept = [axis.reduced for axis in self.axes]
        return sorted(kept) != kept

    def _loops(self, axes: Sequence[int], inner: list[str], *, each: bool, free: bool = True) -> list[str]:
        """Loops around lines; `each`: no turn of the inner one needs another, `free`: nor of the outer one."""
        size = 1
        for axis in self.axes:
            size *= axis.size
        for place in reversed(axes):
            outer, innermost = place == axes[0], place == axes[-1]
            mark = []
            if outer and free and size >= THREADED:
                mark = ["NET_THREADS_EACH" if innermost and each else "NET_THREADS"]
            elif innermost and each:
                mark = ["NET_EACH"]
            v = self.variables[place]
            head = f"for (size_t {v} = 0; {v} < {self.axes[place].size}; {v}++)"
            if len(inner) == 1 and not inner[0].startswith("NET_"):
                inner = [*mark, head, f"    {inner[0]}"]
            else:
                inner = [*mark, f"{head} {{", *(f"    {line}" for line in inner), "}"]
        return inner

    def _combined(self, total: str, term: str) -> str:
        assert self.reduction is not None
        op = Op(OPERATORS[self.reduction.kind], (self.reduction.result,) * 2, (), self.reduction.result, "")
        if op.kind == "add" and op.result.type.dtype in FLOATS:
            return f"{total} += {term};"
        term = term if _atom(term) else f"({term})"
        return f"{total} = {EXPRESSIONS[op.kind](op, (total, term))};"

    def shares(self) -> int:
        """Numbers that a reduction needs besides: where each share is added up, if it is made of shares in memory."""
        if self.reduction is None or len(self.axes) < 2 or not self._divided():
            return 0
        kept = self.reduction.result.type.size
        return SHARES * kept if 4 * SHARES * kept <= math.prod(axis.size for axis in self.axes) else 0

    def _divided(self) -> bool:
        """Whether a reduction is long, its outer axis is reduced, and shares of it may begin as the whole does."""
        assert self.reduction is not None
        start = self.scope.source(self.reduction.operands[1])
        same = isinstance(start, Uniform) and (self.reduction.kind != "reduce_sum" or start.value == 0)
        long = math.prod(axis.size for axis in self.axes) >= SHARED and not isinstance(self.axes[0].size, Size)
        return same and long and self.axes[0].reduced and self.axes[0].size >= SHARES

    def _share(self, step: int = 1) -> tuple[str, str]:
        """Where the outer loop of a share, in steps of so many, begins and ends."""
        size = self.axes[0].size
        rows = -(-size // SHARES // step) * step
        end = f"(share + 1) * {rows}"
        return f"share * {rows}", end if rows * SHARES == size else f"net_least({end}, {size})"

    def _in_shares(self) -> list[str]:
        """Each share is added up in memory of its own, by whatever thread, and then all of them in order."""
        assert self.reduction is not None
        op, result = self.reduction, self.reduction.result
        kind, kept = C_TYPES[result.type.dtype], result.type.size
        memory, begin = self.scope.scratch(op), self.scope.scalar(op.operands[1])
        total = self.scope.local(op)
        lines, term, ends = self.body()
        turn = [*lines, self._combined(f"{total}[{index_of(self.out_strides)}]", term), *ends]
        turn = self._loops(range(1, len(self.axes)), turn, each=not self.axes[-1].reduced, free=False)
        v, (first, last) = self.variables[0], self._share()
        return [
            "NET_THREADS",
            f"for (size_t share = 0; share < {SHARES}; share++) {{",
            f"    {kind} *const {total} = {memory} + share * {kept};",
            f"    for (size_t i = 0; i < {kept}; i++)",
            f"        {total}[i] = {begin};",
            f"    for (size_t {v} = {first}; {v} < {last}; {v}++) {{",
            *(f"        {line}" for line in turn),
            "    }",
            "}",
            f"for (size_t i = 0; i < {kept}; i++)",
            f"    {self.scope.element(result, 'i')} = {begin};",
            f"for (size_t share = 0; share < {SHARES}; share++)",
            f"    for (size_t i = 0; i < {kept}; i++)",
            f"        {self._combined(self.scope.element(result, 'i'), f'{memory}[share * {kept} + i]')}",
        ]

    def _inner(self, first: int) -> list[str]:
        """The reduced axes are the last: a local variable for each result."""
        assert self.reduction is not None
        result, kind = self.reduction.result, C_TYPES[self.reduction.result.type.dtype]
        begin = bare(self.scope.scalar(self.reduction.operands[1]))
        alone = result.shape == ()
        total = self.scope.local(self.reduction) if not alone else self.scope.scalar(result)
        sums = self._sums(first, total)
        start = f"{self.scope.declared(result)} = {begin};" if alone else f"{kind} {total} = {begin};"
        if first == 0:
            end = [] if alone else [f"{self.scope.element(result, '0')} = {total};"]
            return [start, *sums, *end]
        place = self.scope.element(result, index_of(self.out_strides))
        return self._loops(range(first), [start, *sums, f"{place} = {total};"], each=False)

    def _sums(self, first: int, total: str) -> list[str]:
        assert self.reduction is not None
        last = len(self.axes) - 1
        floats = self.reduction.result.type.dtype in FLOATS
        if not floats or first > last or self.axes[last].size <= LONG or self.reduction.kind == "reduce_min":
            lines, term, ends = self.body()
            turn = [*lines, self._combined(total, term), *ends]
            return self._loops(range(first, last + 1), turn, each=False, free=False)
        v, size = self.variables[last], self.axes[last].size
        joined = {"reduce_sum": "net_sum", "reduce_max": "net_max_of"}[self.reduction.kind]
        kind = C_TYPES[self.reduction.result.type.dtype]
        joined += "" if kind == "double" else "f"
        view = self.scope.source(self.reduction.operands[0])
        shared = last == 0 and self._divided()
        alone = len(self.kernel.ops) == 1 and not shared
        if alone and isinstance(view, View) and self.strides[view][last] == 1 and view.root:
            self.variables = self.variables[:last] + "0"
            begin = index_of([*self.strides[view][:last], 0], view.offset)
            chunk = [self._combined(total, f"{joined}(&{self.scope.element(view.root, begin)}, {size})")]
            return self._loops(range(first, last), chunk, each=False, free=False)
        lines, term, ends = self.body()
        begin, end = self._share(CHUNK) if shared else ("0", str(size))
        chunk = [
            f"for (size_t {v}0 = {begin}; {v}0 < {end}; {v}0 += NET_CHUNK) {{",
            f"    const size_t count = {size} - {v}0 < NET_CHUNK ? {size} - {v}0 : NET_CHUNK;",
            f"    {kind} part[NET_CHUNK];",
            "    NET_EACH",
            "    for (size_t at = 0; at < count; at++) {",
            f"        const size_t {v} = {v}0 + at;",
            *(f"        {line}" for line in (*lines, f"part[at] = {term};", *ends)),
            "    }",
            f"    {self._combined('shares[share]' if shared else total, f'{joined}(part, count)')}",
            "}",
        ]
        if not shared:
            return self._loops(range(first, last), chunk, each=False, free=False)
        return [
            "{",
            f"    {kind} shares[{SHARES}];",
            "    NET_THREADS",
            f"    for (size_t share = 0; share < {SHARES}; share++) {{",
            f"        shares[share] = {bare(self.scope.scalar(self.reduction.operands[1]))};",
            *(f"        {line}" for line in chunk),
            "    }",
            f"    {self._combined(total, f'{joined}(shares, {SHARES})')}",
            "}",
        ]

    def _in_memory(self) -> list[str]:
        """A reduced axis is outside of one that is kept: every result is added up where it lies."""
        assert self.reduction is not None
        if self.shares():
            return self._in_shares()
        result = self.reduction.result
        begin = self.scope.scalar(self.reduction.operands[1])
        start = [
            f"for (size_t i = 0; i < {result.type.size}; i++)", f"    {self.scope.element(result, 'i')} = {begin};"
        ]  # fmt: skip
        lines, term, ends = self.body()
        place = self.scope.element(result, index_of(self.out_strides))
        inner = not self.axes[-1].reduced
        turn = [*lines, self._combined(place, term), *ends]
        return [*start, *self._loops(range(len(self.axes)), turn, each=inner, free=not self.axes[0].reduced)]


def _atom(text: str) -> bool:
    """Whether an expression needs no brackets as an operand: a name, an element, a number or a call."""
    depth = 0
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == " " and depth == 0:
            return False
    return not text.startswith(("-", "("))


def nest_need(kernel: Kernel, scope: Scope) -> int:
    """Numbers of its result's type that a kernel that is a nest needs besides its results."""
    found = _Nest(kernel, scope)
    return found.shares() if found.reduction is not None and found.in_memory() else 0


def nest(kernel: Kernel, scope: Scope) -> list[str]:
    """The C of a kernel that is a nest."""
    return _Nest(kernel, scope).lines()
