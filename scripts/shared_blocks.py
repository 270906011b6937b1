"""Blocks that a net has many times become functions that IREE compiles once: a pass that netc does not run.

docs/design-notes.md says why not; scripts/study_shared_blocks.py measures it.

A block is what has one part `block0`, `block1`, .. in its place, in one phase of the step: its forward pass, its
pullback, its update. Operations of a block are gathered where that reorders nothing that they need; two blocks are the
same if their operations, read in order, are. Constants and what is cheap to make of them or of other values (a value
repeated along an axis, compared, converted) are made anew on each side of a call, because a call hands over whole
tensors.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.table import OpDef, Several, mlir_type, no_flops
from netc.codegen.place import place_of
from netc.codegen.rewrite.walk import each_function
from netc.codegen.rules import BLOCK
from netc.netspec.types import TensorType

CHEAP = frozenset(("constant", "iota", "broadcast", "reshape", "convert", "compare"))
FEWEST = 2  # operations; less is not worth a call

Key = tuple[str, ...]  # the path down to the block, and the phase


@dataclass(eq=False)
class _Node:
    """A block of one function, or a single operation outside of blocks (`key` is None)."""

    key: Key | None
    first: int
    ops: list[Op] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


def share_blocks(module: Module) -> Module:
    """The module with a private function for every block that it has more than once."""
    module = each_function(module, _parted)
    parts = {f: _parts(f) for f in module if not f.private}
    seen: dict[Hashable, list[_Node]] = {}
    for nodes in parts.values():
        for node in nodes:
            if node.key is not None and len(node.ops) >= FEWEST:
                seen.setdefault(_form(node), []).append(node)
    repeated = [nodes for nodes in seen.values() if len(nodes) > 1]
    if not repeated:
        return module
    callee: dict[_Node, Function] = {}
    for n, nodes in enumerate(repeated):
        function = _function(f"block_{n}", nodes)
        callee.update(dict.fromkeys(nodes, function))
    called = [_with_calls(f, parts[f], callee) if f in parts else f for f in module]
    return replace(module, functions=(*dict.fromkeys(callee.values()), *called))


def _parted(function: Function) -> Function:
    """The function with a barrier on each value in place of those on several.

    They order the update behind the backward pass, which the order of calls does here.
    """
    ops: list[Op] = []
    for op in function.ops:
        if op.kind == "joint_barrier":
            ops += [Op("barrier", (v,), (), r, op.loc) for v, r in zip(op.operands, op.results, strict=True)]
        else:
            ops.append(op)
    return replace(function, ops=tuple(ops))


def _key(loc: str) -> Key | None:
    place = place_of(loc)
    for n, part in enumerate(place.path):
        if BLOCK.fullmatch(part):
            return (*place.path[: n + 1], place.phase)
    return None


def _parts(function: Function) -> list[_Node]:
    """The function in parts, in an order that can be run. A block that something outside would split is not one."""
    dissolved: set[Key] = set()
    while True:
        nodes = _gathered(function, dissolved)
        order, stuck = _ordered(nodes)
        if not stuck:
            return order
        dissolved.update(node.key for node in stuck[:1] if node.key is not None)


def _gathered(function: Function, dissolved: set[Key]) -> list[_Node]:
    nodes: dict[Key, _Node] = {}
    of: dict[Value, _Node] = {}
    made: dict[Value, Op] = {}
    chain: list[_Node] = []
    for index, op in enumerate(function.ops):
        key = _key(op.loc)
        node = nodes.get(key) if key is not None and key not in dissolved else None
        if node is None:
            node = _Node(key if key not in dissolved else None, index)
            chain.append(node)
            if node.key is not None:
                nodes[node.key] = node
        node.ops.append(op)
        of.update(dict.fromkeys(op.results, node))
        made.update(dict.fromkeys(op.results, op))
    used: dict[_Node, dict[Value, None]] = {node: {} for node in chain}
    for node in chain:
        copies: dict[Value, Value] = {}
        ops: list[Op] = []

        def local(v: Value, node: _Node = node, copies: dict[Value, Value] = copies, ops: list[Op] = ops) -> Value:
            home = of.get(v)
            if home is node or v in copies:
                return copies.get(v, v)
            if home is not None and (node.key or home.key) and _cheap(made[v]):
                op = made[v]
                copies[v] = Value(v.type)
                ops.append(replace(op, operands=tuple([local(x) for x in op.operands]), result=copies[v]))
                return copies[v]
            node.inputs.append(v)
            copies[v] = v
            if home is not None:
                used[home][v] = None
            return v

        for op in node.ops:
            operands = tuple([local(v) for v in op.operands])
            ops.append(op if operands == op.operands else replace(op, operands=operands))
        node.ops = ops
    for v in function.results:
        if v in of:
            used[of[v]][v] = None
    for node in chain:
        live = set(used[node])
        kept = []
        for op in reversed(node.ops):
            if not live.isdisjoint(op.results):
                live.update(op.operands)
                kept.append(op)
        node.ops = kept[::-1]
        node.results = [v for op in node.ops for v in op.results if v in used[node]]
        node.inputs = [v for v in node.inputs if v in live]
    return [node for node in chain if node.ops]


def _cheap(op: Op) -> bool:
    """Whether an operation is made anew where its result is used: see CHEAP; and arithmetic of scalars."""
    return op.kind in CHEAP or (not op.further and all(v.shape == () for v in (op.result, *op.operands)))


def _ordered(nodes: Sequence[_Node]) -> tuple[list[_Node], list[_Node]]:
    """The nodes in an order that can be run, near to the one they are in; and the blocks that stand in a ring."""
    of = {v: node for node in nodes for v in node.results}
    waits = {node: {of[v] for v in node.inputs if v in of} for node in nodes}
    after: dict[_Node, list[_Node]] = {node: [] for node in nodes}
    for node, before in waits.items():
        for other in before:
            after[other].append(node)
    ready = [(node.first, n) for n, node in enumerate(nodes) if not waits[node]]
    place = {node: n for n, node in enumerate(nodes)}
    heapq.heapify(ready)
    order = []
    while ready:
        node = nodes[heapq.heappop(ready)[1]]
        order.append(node)
        for other in after[node]:
            waits[other].discard(node)
            if not waits[other]:
                heapq.heappush(ready, (other.first, place[other]))
    done = set(order)
    return order, [node for node in nodes if node not in done and node.key is not None]


def _form(node: _Node) -> Hashable:
    """What two blocks have in common if one function does for both."""
    number: dict[Value, int] = {v: n for n, v in enumerate(node.inputs)}
    rows = []
    for op in node.ops:
        rows.append((op.kind, tuple([number[v] for v in op.operands]), repr(op.attrs), len(op.results)))
        for v in op.results:
            number[v] = len(number)
    return (node.key and node.key[-1], _types(node.inputs), tuple(rows), tuple([number[v] for v in node.results]))


def _types(values: Iterable[Value]) -> tuple[TensorType, ...]:
    return tuple([v.type for v in values])


def _function(name: str, nodes: Sequence[_Node]) -> Function:
    """The function of the first of these blocks; its places say `block*`, because it is the work of all of them."""
    node = nodes[0]
    new = {v: Value(v.type) for v in node.inputs}
    for op in node.ops:
        new.update({v: Value(v.type) for v in op.results})
    ops = tuple(
        Op(op.kind, tuple([new[v] for v in op.operands]), op.attrs, new[op.result], _starred(op.loc),
           tuple([new[v] for v in op.further]))
        for op in node.ops
    )  # fmt: skip
    params = tuple([new[v] for v in node.inputs])
    results = tuple([new[v] for v in node.results])
    return Function(
        name, params, tuple(f"in{n}" for n in range(len(params))), ops, results,
        tuple(f"out{n}" for n in range(len(results))), private=True,
    )  # fmt: skip


def _starred(loc: str) -> str:
    parts = loc.split(".")
    return ".".join("block*" if BLOCK.fullmatch(p) else p for p in parts)


def _with_calls(function: Function, nodes: Sequence[_Node], callee: dict[_Node, Function]) -> Function:
    ops: list[Op] = []
    for node in nodes:
        if node not in callee:
            ops += node.ops
            continue
        attrs = (("callee", callee[node].name), ("results", _types(node.results)))
        assert node.key is not None
        loc = f"{'.'.join(node.key[:-1])}" + (f" ({node.key[-1]})" if node.key[-1] != "forward" else "")
        ops.append(Op("call", tuple(node.inputs), attrs, node.results[0], loc, tuple(node.results[1:])))
    return replace(function, ops=tuple(ops))


# -- the call, a row of the op table ------------------------------------------------------------------------------


def _first(*_: TensorType, callee: str, results: tuple[TensorType, ...]) -> TensorType:
    return results[0]


def _further(*_: TensorType, callee: str, results: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    return results[1:]


def _fits(op: Op, callee: Function) -> None:
    """Raise IrError unless the callee takes the operands and gives the results."""
    for what, given, values in (("arguments", op.operands, callee.params), ("results", op.results, callee.results)):
        types, wanted = [v.type for v in given], [v.type for v in values]
        if types != wanted:
            shown = (", ".join(map(str, ts)) for ts in (wanted, types))
            raise IrError("wants {} of {} {}, got {}".format(what, callee.name, *shown))


def _mean(A: Any, op: Op, call: Callable[[str, Sequence[Any]], Sequence[Any]], *operands: Any) -> list[Any]:
    return list(call(op.attr("callee"), operands))


def _statement(op: Op, args: Sequence[str], stem: str, location: str) -> list[str]:
    names = ", ".join(f"{stem}_{n}" for n in range(len(op.results)))
    types = (", ".join(mlir_type(v.type) for v in values) for values in (op.operands, op.results))
    signature = "({}) -> ({})".format(*types)
    return [f"{names} = func.call @{op.attr('callee')}({', '.join(args)}) : {signature} {location}"]


OPS["call"] = OpDef("call", _first, None, _mean, no_flops, Several(_further, _statement, _fits, "call"))

# -- the text for IREE ---------------------------------------------------------------------------------------------

VIEW = "!hal.buffer_view"
_DEFINITION = re.compile(r"  func\.func private @(block_\d+)\((.*)\) -> \((.*)\) \{")
_CALL = re.compile(r"    (.*) = func\.call @(block_\d+)\((.*)\) : \(.*\) -> \((.*)\) loc\(.*\)")
_ARGUMENT = re.compile(r"(%arg\d+): (tensor<[^>]*>)")
_TENSOR = re.compile(r"tensor<[^>]*>")


def kept_apart(text: str) -> str:
    """The text with calls that IREE 3.12 neither inlines nor gets wrong: whole buffers cross them, and nothing else."""
    lines: list[str] = []
    given: list[str] | None = None  # the types of the results of the function that the line is in
    for number, line in enumerate(text.splitlines()):
        if found := _DEFINITION.fullmatch(line):
            arguments, given = _ARGUMENT.findall(found[2]), _TENSOR.findall(found[3])
            taken = ", ".join(f"{name}_view: {VIEW}" for name, _ in arguments)
            lines.append(
                f"  func.func private @{found[1]}({taken}) -> ({_views(given)}) attributes {{no_inline, noinline}} {{"
            )
            lines += [f"    {name} = hal.tensor.import {name}_view : {VIEW} -> {t}" for name, t in arguments]
        elif given is not None and line.startswith("    return "):
            values = line.removeprefix("    return ").split(" : ")[0].split(", ")
            lines += [
                f"    %out{n} = hal.tensor.export {v} : {t} -> {VIEW}"
                for n, (v, t) in enumerate(zip(values, given, strict=True))
            ]
            lines.append(f"    return {', '.join(f'%out{n}' for n in range(len(values)))} : {_views(values)}")
            given = None
        elif found := _CALL.fullmatch(line):
            results, made = found[1].split(", "), _TENSOR.findall(found[4])
            types = _TENSOR.findall(line[: line.index(" -> ")].split(" : ", 1)[1])
            names = [f"%call{number}_in{n}" for n in range(len(types))]
            lines += [
                f"    {name} = hal.tensor.export {v} : {t} -> {VIEW}"
                for name, v, t in zip(names, found[3].split(", "), types, strict=True)
            ]
            views = [f"%call{number}_out{n}" for n in range(len(results))]
            signature = f"({_views(names)}) -> ({_views(views)})"
            lines.append(f"    {', '.join(views)} = func.call @{found[2]}({', '.join(names)}) : {signature}")
            lines += [
                f"    {r} = hal.tensor.import {v} : {VIEW} -> {t}" for r, v, t in zip(results, views, made, strict=True)
            ]
        else:
            lines.append(line)
    return "\n".join([*lines, ""])


def _views(values: Sequence[object]) -> str:
    return ", ".join([VIEW] * len(values))
