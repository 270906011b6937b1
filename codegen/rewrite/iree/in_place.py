"""Marks the parts of a training's state that IREE writes where they lie.

IREE writes a result into the memory of an argument that is marked `iree.abi.output`, and does not ask whether anybody
still reads the argument. That nobody does is for netc to see. A large state is updated behind one barrier of all
gradients, at which the host waits (fences.py); so what is read before it has been read. Behind it a dispatch may read
an argument again only where it makes that argument's own result, element by element. Sums over arguments alone, as of
the norm of all parameters, are therefore computed before it.

And each must have memory of its own from the start. IREE returns equal results of a call, such as the moments of zeros
that `init` makes, as one buffer; there each is therefore computed in a way of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.elementwise import ELEMENTWISE
from netc.codegen.rewrite.walk import each_function
from netc.netspec.types import TensorType

# `convert` is not among them: IREE computes one again in each dispatch that reads it
UPDATES = ELEMENTWISE - {"convert"}
STILL = UPDATES | {"convert", "barrier"}  # each element stays where it is
MOVES = frozenset({"reshape", "broadcast", "slice", "pad", "transpose", "reverse", "concatenate", "take"})
# what may be computed again by a dispatch that reads it, so that it reads the argument as late as that
REPEATED = STILL | MOVES


def update_in_place(module: Module) -> Module:
    """The module with the results marked that take the place of their argument; itself where there is none."""
    module = each_function(module, _marked)
    placed = frozenset(f.result_names[i] for f in module for i in f.in_place)
    return each_function(module, lambda f: f if f.private or f.donated else _apart(f, placed)) if placed else module


def _apart(function: Function, placed: frozenset[str]) -> Function:
    """The function whose results of those names are all different to the compiler, and the same numbers as before.

    Of what is returned a second time, and of what no seed is in: select(t[n] > 2, t[n], x) = x for the n-th, where
    t[n] = tanh(seed[0]) - n is at most 1. Behind barriers n is in no kernel, so that tensors of one shape share one.
    """
    wanted = [n for n, name in enumerate(function.result_names) if name in placed]
    if not wanted:
        return function
    drawn = set(function.params)
    for op in function.ops:
        if not drawn.isdisjoint(op.operands):
            drawn.update(op.results)
    b, results = Builder(function.name), list(function.results)
    b.place(function.name)
    times = Counter(function.results)
    same = [n for n in wanted if results[n] not in drawn or times[results[n]] > 1]
    if not same:
        return function
    each = TensorType((len(same),))
    bounded = b.unary("tanh", b.convert(b.reshape(b.rows(function.params[0], 0, 1), ()), "f32"))
    below = b.op("barrier", b.sub(b.broadcast(bounded, each, ()), b.iota(0, each.shape, "f32")))
    for n, slot in enumerate(same):
        x = results[slot]
        one = b.reshape(b.op("barrier", b.rows(below, n, n + 1)), ())
        never = b.broadcast(b.compare("GT", one, 2.0), TensorType(x.shape, "i1"))
        results[slot] = b.select(never, b.broadcast(b.convert(one, x.type.dtype), x, ()), x)
    return replace(function, ops=(*function.ops, *b.ops), results=tuple(results))


def _marked(function: Function) -> Function:
    waits = [op for op in function.ops if op.kind == "joint_barrier"]
    if function.private or not function.donated or len(waits) != 1:
        return function
    function = _sums_first(function, waits[0])
    seen = _Readers(function)
    return replace(function, in_place=tuple(i for i in range(function.donated) if seen.none_after(i)))


def _sums_first(function: Function, wait: Op) -> Function:
    """The function with each sum to a number that needs no gradient before the barrier, which it then passes."""
    at = function.ops.index(wait)
    there = {*function.params, *(v for op in function.ops[:at] for v in (op.result, *op.extra_results))}
    alone: dict[Value, frozenset[Op]] = {}  # what is made of that alone behind the barrier, with the operations for it
    sums: list[Op] = []
    for op in function.ops[at + 1 :]:
        own = [v for v in op.operands if v not in there]
        if op.extra_results or not alone.keys() >= set(own):
            continue
        alone[op.result] = frozenset({op}).union(*(alone[v] for v in own))
        if op.kind == "reduce_sum" and op.result.shape == ():
            sums.append(op)
    if not sums:
        return function
    early = frozenset[Op]().union(*(alone[op.result] for op in sums))
    passed = {op.result: Value(op.result.type) for op in sums}
    joint = replace(
        wait, operands=(*wait.operands, *passed), extra_results=(*wait.extra_results, *passed.values())
    )  # fmt: skip
    first = [op for op in function.ops[at + 1 :] if op in early]
    late = [
        replace(op, operands=tuple(passed.get(v, v) for v in op.operands))
        for op in function.ops[at + 1 :] if op not in early
    ]  # fmt: skip
    results = tuple(passed.get(v, v) for v in function.results)
    return replace(function, ops=(*function.ops[:at], *first, joint, *late), results=results)


class _Readers:
    """Who reads what in a function whose host waits once."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.wait = next(n for n, op in enumerate(function.ops) if op.kind == "joint_barrier")
        self.returned = Counter(function.results)
        self.makers = {v: n for n, op in enumerate(function.ops) for v in (op.result, *op.extra_results)}
        self.readers = defaultdict[Value, list[int]](list)
        for n, op in enumerate(function.ops):
            for v in op.operands:
                self.readers[v].append(n)
        self.waited_for = self._needed(function.ops[self.wait].operands)
        self.behind = set(function.ops[self.wait].results)  # what cannot be computed before the wait
        for op in function.ops[self.wait + 1 :]:
            if not self.behind.isdisjoint(op.operands):
                self.behind.update(op.results)

    def _needed(self, values: Iterable[Value], behind: int = -1) -> set[int]:
        """The operations behind one that some values need."""
        found: set[int] = set()
        makers = self.makers
        reached = {makers[v] for v in values if v in makers}
        while reached:
            found |= reached
            operands = {v for n in reached for v in self.function.ops[n].operands}
            reached = {n for v in operands if v in makers and behind < (n := makers[v]) and n not in found}
        return found

    def none_after(self, slot: int) -> bool:
        """Whether nobody can read the argument of a slot after its result was written there."""
        argument, result = self.function.params[slot], self.function.results[slot]
        if result not in self.behind or self.returned[result] > 1:
            return False
        return self._harmless(argument, self._needed([result], self.wait))

    def _harmless(self, argument: Value, update: set[int]) -> bool:
        """Whether each way from an argument, of what may be computed again, ends before the wait or in its update.

        There it is read element by element: no way leads through what moves elements.
        """
        seen: set[tuple[Value, bool]] = set()
        reached = [(argument, True)]  # each value, and whether its elements are where the argument's are
        while reached:
            value, aligned = reached.pop()
            if (value, aligned) in seen:
                continue
            seen.add((value, aligned))
            maker = self.makers.get(value, -1)
            if maker < self.wait and value in self.returned:
                return False
            for n in self.readers[value]:
                op = self.function.ops[n]
                ends = n < self.wait and op.kind not in REPEATED
                if n == self.wait:  # what is computed is then there; what only looks at the argument is not
                    ends = maker >= 0 and self.function.ops[maker].kind in UPDATES
                own = aligned and op.kind in STILL and op.result.shape == argument.shape
                late = own and op.kind in UPDATES and (maker > self.wait or n in update)
                if not (ends or n < self.wait or late) or (n < self.wait and n not in self.waited_for):
                    return False
                if not ends:
                    reached += [(v, own) for v in op.results]
        return True
