"""Blocks that follow each other and are the same become one loop: text and compile time grow with the different ones.

What goes from each block to the next is carried; what all read is passed as it is. Of what differs, parameters and what
the forward pass keeps for the backward pass, the loop gets stacks, of which each trip reads a row; what others read of
the blocks' results it gives as stacks. The backward pass goes through them from the last row to the first.

    y0 = block0(x, p0); y1 = block1(y0, p1); y2 = block2(y1, p2)
    y2, ys = loop of block over stack(p0, p1, p2), from x

Stacking the parameters is a copy of them in each step, and each row of a result is copied into its stack: that is the
price (docs/measurements/scanned_blocks.md). Updates are not looped over: their parameters are separate results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.blocks import Part, form_of, function_of, in_order, layer_parts, starred

PHASES = ("forward", "remat", "vjp")
FEWEST = 3  # blocks; the copies around a loop of two cost more than a block


def scan_blocks(module: Module) -> Module:
    """The module with every run of FEWEST or more equal blocks as a loop over a private function."""
    functions: list[Function] = []
    for function in module:
        chains, order = _found(function)
        if not chains:
            functions.append(function)
            continue
        loops = [_Loop(f"{function.name}_blocks{n}", chain) for n, chain in enumerate(chains)]
        emission = _Emission(function, {loop.chain.whole: loop for loop in loops}, order)
        functions += [*(loop.callee for loop in loops), emission.function()]
    return replace(module, functions=tuple(functions)) if len(functions) > len(module.functions) else module


@dataclass(eq=False)
class _Chain:
    """Equal blocks, each of which reads results of the one before. `links`: input k is result j of the one before."""

    parts: list[Part]
    links: dict[int, int] = field(default_factory=dict)
    whole: Part = field(default_factory=lambda: Part(None, 0))

    @property
    def phase(self) -> str:
        """The phase of the blocks."""
        key = self.parts[0].key
        assert key is not None  # a chain is made of blocks
        return key[-1]

    @property
    def made(self) -> dict[Value, None]:
        """Every result of every block, in order."""
        return dict.fromkeys(v for part in self.parts for v in part.results)

    def input(self, k: int) -> tuple[Value, ...]:
        return tuple([part.inputs[k] for part in self.parts])

    def result(self, j: int) -> tuple[Value, ...]:
        return tuple([part.results[j] for part in self.parts])


def _found(function: Function) -> tuple[list[_Chain], list[Part]]:
    """The chains of a function, and its parts in an order that can be run, each chain one of them."""
    parts = layer_parts(function, PHASES)
    chains = [_trimmed(chain, function) for chain in _chains(parts)]
    one_way = all(chain.phase == "forward" for chain in chains)
    while chains := [chain for chain in chains if _fits(chain)] if one_way else _paired(chains):
        inside = {part for chain in chains for part in chain.parts}
        used = {v for part in parts for v in part.inputs} | set(function.results)
        for chain in chains:
            made = chain.made
            read = dict.fromkeys(v for part in chain.parts for v in part.inputs if v not in made)
            results = [v for v in made if v in used]
            chain.whole = Part(chain.parts[0].key, chain.parts[0].first, [], list(read), results)
        order, stuck = in_order([*(p for p in parts if p not in inside), *(c.whole for c in chains)])
        if not stuck:
            return chains, order
        ring = next(chain for chain in chains if chain.whole in stuck)  # without chains nothing is stuck
        chains.remove(ring)
    return [], parts


def most_alike(function: Function) -> int:
    """The most blocks of a row that are equal forward and backward, and do not begin with an argument; 0 if all differ.

    Fewer than FEWEST stay as they are.
    """
    chains = [_trimmed(chain, function) for chain in _chains(layer_parts(function, PHASES))]
    blocks = {
        phase: [{part.block for part in chain.parts} for chain in chains if (chain.phase == "forward") == phase]
        for phase in (True, False)
    }
    most = max((len(a & b) for a in blocks[True] for b in blocks[False]), default=0)
    return most if most > 1 else 0


def _chains(parts: Sequence[Part]) -> list[_Chain]:
    chains: list[_Chain] = []
    latest: dict[object, _Chain] = {}
    for part in parts:
        if part.key is None:
            continue
        form = form_of(part)
        chain = latest.get(form)
        links = _links(chain.parts[-1], part) if chain else {}
        together = chain is not None and chain.parts[-1].block[:-1] == part.block[:-1]
        if chain and together and links and (len(chain.parts) == 1 or links == chain.links):
            chain.parts.append(part)
            chain.links = links
        else:
            latest[form] = _Chain([part])
            chains.append(latest[form])
    return chains


def _trimmed(chain: _Chain, function: Function) -> _Chain:
    """The chain without a first block that begins with an argument: IREE may write over what a loop begins with."""
    starts = {chain.parts[0].inputs[k] for k in chain.links}
    return chain if starts.isdisjoint(function.params) else _Chain(chain.parts[1:], chain.links)


def _paired(chains: Sequence[_Chain]) -> list[_Chain]:
    """The chains that can be loops, of blocks that are in one both ways.

    Else what one pass keeps in stacks the other would read row by row.
    """
    fit = [chain for chain in chains if _fits(chain)]
    forward = [chain for chain in fit if chain.phase == "forward"]
    backward = [chain for chain in fit if chain.phase != "forward"]
    found: list[_Chain] = []
    for there in forward:
        for back in backward:
            shared = [part for part in back.parts if part.block in {p.block for p in there.parts}]
            if len(shared) >= FEWEST:
                if there not in found:
                    found.append(there)
                found.append(_Chain(shared, back.links))
    return found


def _fits(chain: _Chain) -> bool:
    """Whether there are FEWEST blocks or more, and one value goes from each to the next and nothing further.

    IREE 3.12 loses references where a loop goes on to the next turn with several (docs/upstream-issues/loops.md).
    """
    made = chain.made
    alone = all(v not in made for part in chain.parts for k, v in enumerate(part.inputs) if k not in chain.links)
    numbers = all(v.type.dtype != "i1" for v in made)  # as is the content that a stack begins with
    return alone and numbers and len(chain.links) == 1 and len(chain.parts) >= FEWEST


def _links(before: Part, part: Part) -> dict[int, int]:
    return {k: before.results.index(v) for k, v in enumerate(part.inputs) if v in before.results}


class _Loop:
    """What a chain takes and gives as a loop. What it gives in stacks is added as others ask for it."""

    def __init__(self, name: str, chain: _Chain) -> None:
        self.chain = chain
        self.body = function_of(name, chain.parts[0])
        self.carried = list(chain.links)
        free = [k for k in range(len(chain.parts[0].inputs)) if k not in chain.links]
        self.constants = [k for k in free if len(set(chain.input(k))) == 1]
        self.stacked = [k for k in free if k not in self.constants]
        self.kept_results: list[int] = []  # results of which a stack is wanted
        self.kept_inputs: list[int] = []  # carried inputs of which one is, as each block gets them

    def offers(self) -> Iterator[tuple[tuple[Value, ...], list[int], int]]:
        """Each stack that it could give: its values in the order of the trips, the list to add it to, its place."""
        for j in range(len(self.chain.parts[0].results)):
            yield self.chain.result(j), self.kept_results, j
        for k in self.carried:
            yield self.chain.input(k), self.kept_inputs, k

    @property
    def callee(self) -> Function:
        """(carried.., rows.., constants..) -> (carried.., rows of outputs..)."""
        order = [*self.carried, *self.stacked, *self.constants]
        params, links = self.body.params, self.chain.links
        results = [self.body.results[links[k]] for k in self.carried]
        results += [self.body.results[j] for j in self.kept_results] + [params[k] for k in self.kept_inputs]
        return replace(
            self.body, params=tuple([params[k] for k in order]), names=tuple([self.body.names[k] for k in order]),
            results=tuple(results), result_names=tuple([f"out{n}" for n in range(len(results))]),
        )  # fmt: skip


class _Rows:
    """Lists of values, and in which of them a list stands as it is."""

    def __init__(self) -> None:
        self.lists: list[tuple[Value, ...]] = []
        self.places: dict[Value, list[tuple[int, int]]] = {}

    def add(self, rows: tuple[Value, ...]) -> None:
        for n, v in enumerate(rows):
            self.places.setdefault(v, []).append((len(self.lists), n))
        self.lists.append(rows)

    def find(self, rows: tuple[Value, ...]) -> tuple[int, int] | None:
        """The number of a list in which these stand one after the other, and where they begin."""
        for number, start in self.places.get(rows[0], ()):
            if self.lists[number][start : start + len(rows)] == rows:
                return number, start
        return None


class _Emission:
    """A function written again with loops for its chains."""

    def __init__(self, function: Function, loops: dict[Part, _Loop], order: Sequence[Part]) -> None:
        self.source, self.loops, self.order = function, loops, order
        self.b = Builder(function.name)
        self.new: dict[Value, Value] = {}  # values whose name changed
        self.row: dict[Value, tuple[Value, int]] = {}  # values that are a row of a stack
        self.stacks: list[Value] = []
        self.rows = _Rows()  # those of each stack
        self._ask()

    def _ask(self) -> None:
        """Find which results each loop must give, as stacks."""
        offers, kept_at = _Rows(), []
        home: dict[Value, tuple[_Loop, int, int]] = {}
        for loop in self.loops.values():
            for values, kept, place in loop.offers():
                offers.add(values)
                kept_at.append((kept, place))
            for i, part in enumerate(loop.chain.parts):
                home.update({v: (loop, i, j) for j, v in enumerate(part.results)})
        alone: set[Value] = set(self.source.results)
        for part in self.order:
            if part not in self.loops:
                alone.update(part.inputs)
                continue
            loop = self.loops[part]
            alone.update(loop.chain.parts[0].inputs[k] for k in (*loop.carried, *loop.constants))
            for k in loop.stacked:
                rows = loop.chain.input(k)
                offered = offers.find(rows) or offers.find(rows[::-1])
                if offered is None:
                    alone.update(rows)
                    continue
                kept, place = kept_at[offered[0]]
                if place not in kept:
                    kept.append(place)
        for v in alone:
            if v in home:
                loop, i, j = home[v]
                last = i == len(loop.chain.parts) - 1 and j in loop.chain.links.values()
                if not last and j not in loop.kept_results:
                    loop.kept_results.append(j)
        for loop in self.loops.values():
            loop.kept_results.sort()

    def function(self) -> Function:
        for part in self.order:
            if part in self.loops:
                self._loop(self.loops[part])
                continue
            for op in part.ops:
                self.b.place(op.loc)
                operands = tuple([self._value(v) for v in op.operands])
                same = operands == op.operands
                self.b.ops.append(op if same else Op(op.kind, operands, op.attrs, op.result, op.loc, op.extra_results))
        results = tuple([self._value(v) for v in self.source.results])
        return replace(self.source, ops=tuple(self.b.ops), results=results)

    def _value(self, v: Value) -> Value:
        """A value by its new name; a row of a stack is taken out where it is first read."""
        if v not in self.new and v in self.row:
            stack, n = self.row[v]
            self.new[v] = self.b.reshape(self.b.rows(stack, n, n + 1), v.shape)
        return self.new.get(v, v)

    def _stack(self, rows: tuple[Value, ...]) -> Value:
        found = self.rows.find(rows)
        if found is None:
            ones = [self.b.reshape(v, (1, *v.shape)) for v in map(self._value, rows)]
            self._keep(rows, self.b.concatenate(ones, 0))
            return self.stacks[-1]
        stack, start = self.stacks[found[0]], found[1]
        return stack if len(rows) == stack.shape[0] else self.b.rows(stack, start, start + len(rows))

    def _keep(self, rows: tuple[Value, ...], stack: Value) -> None:
        self.rows.add(rows)
        self.stacks.append(stack)

    def _loop(self, loop: _Loop) -> None:
        chain, key = loop.chain, loop.chain.parts[0].key
        assert key is not None
        self.b.place(starred(".".join(key[:-1])) + (f" ({key[-1]})" if key[-1] != "forward" else ""))
        wanted = [chain.input(k) for k in loop.stacked]
        ahead, behind = (sum(v[0].type.bytes for v in wanted if self.rows.find(v[::step])) for step in (1, -1))
        step = -1 if behind > ahead else 1
        first, trips = chain.parts[0].inputs, len(chain.parts)
        found = self.b.loop(
            loop.callee, trips, [self._value(first[k]) for k in loop.carried],
            [self._stack(rows[::step]) for rows in wanted], [self._value(first[k]) for k in loop.constants],
            reverse=step < 0, apart=False,
        )  # fmt: skip
        last = chain.parts[-1].results
        self.new.update({last[chain.links[k]]: v for k, v in zip(loop.carried, found, strict=False)})
        made = chain.made
        given = [chain.result(j) for j in loop.kept_results] + [chain.input(k) for k in loop.kept_inputs]
        for values, stack in zip(given, found[len(loop.carried) :], strict=True):
            rows = values[::step]
            self._keep(rows, stack)
            for n, v in enumerate(rows):
                if v in made:
                    self.row.setdefault(v, (stack, n))
