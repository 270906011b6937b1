"""Barriers that keep IREE from computing two parts of a training step in one dispatch.

Each pass finds its places by what the operations say: their kinds and the places that they carry. Barriers are the
identity, so that no number changes; workarounds.py says what goes wrong without each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.location import location_of
from netc.codegen.norms import grouped_sum
from netc.codegen.rewrite.walk import each_function, rewrite

LARGE = 32 << 20  # bytes of state: below that, a wait of the host for the device costs more than the memory is worth

Readers = Callable[[Op], bool]


def fence_rounded_operands(module: Module) -> Module:
    """The module with a barrier behind every rounding to bf16 of whatever is not an argument."""

    def change(function: Function) -> Function:
        held = set(function.params)

        def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
            if op.result.type.dtype != "bf16" or op.operands[0] in held:
                return None
            return b.op("barrier", b.convert(operands[0], "bf16"))

        return rewrite(function, visit, ("convert",))

    return each_function(module, change)


def fence_gelu(module: Module) -> Module:
    """The module with a barrier between a product and its gelu-tanh: the tanh of powers of what the product gives."""
    return each_function(module, _gelu)


def _gelu(function: Function) -> Function:
    if not any(op.kind == "tanh" for op in function.ops):
        return function
    makers = {op.result: op for op in function.ops}
    bases = {v for op in function.ops if op.kind == "tanh" for v in _squared(op, makers) if _product(v, makers)}
    for n, op in reversed([*enumerate(function.ops)]):
        if op.result in bases:
            function = _behind(function, n + 1, [op.result], op.loc)
    return function


def _squared(tanh: Op, makers: dict[Value, Op]) -> Iterable[Value]:
    """The values whose squares a tanh is taken of, by products and sums."""
    reached = [tanh.operands[0]]
    while reached:
        op = makers.get(reached.pop())
        if op is None or op.kind not in ("mul", "add") or op.loc != tanh.loc:
            continue
        x = op.operands[0]
        if x is op.operands[1] and x in makers and location_of(makers[x].loc).path == location_of(tanh.loc).path:
            yield x
        else:
            reached += op.operands


def _product(v: Value, makers: dict[Value, Op]) -> bool:
    """Whether a value is a product of matrices, or that and a bias."""
    op = makers.get(v)
    if op is not None and op.kind == "reshape":
        op = makers.get(op.operands[0])
    if op is not None and op.kind == "add":
        op = makers.get(op.operands[0])
    return op is not None and op.kind == "dot"


def fence_loss(module: Module) -> Module:
    """The module with a barrier on what a trained loss is given, and on the gradient that it gives."""
    return each_function(module, _loss)


def _in_loss(op: Op) -> bool:
    return location_of(op.loc).path == ("loss",)


def _loss(function: Function) -> Function:
    back = [n for n, op in enumerate(function.ops) if op.loc == "loss (vjp)"]
    if not back:
        return function
    first = next(n for n, op in enumerate(function.ops) if op.loc == "loss")
    given = [v for op in function.ops[:first] if op.loc != "labels" for v in op.results]
    read = _read(function.ops[first:], given, _in_loss)
    gradient = [v for n in back for v in function.ops[n].results]
    after = _read(function.ops[back[-1] + 1 :], gradient, lambda op: not _in_loss(op))
    function = _behind(function, back[-1] + 1, after, "loss (vjp)")
    return _behind(function, first, read, "loss", _in_loss)


def fence_gradients(module: Module) -> Module:
    """The module with the parameters' gradients behind barriers: all behind one where the state is large.

    No parameter is updated then before all gradients are there: the host waits for IREE's device once, and the memory
    of the new state is taken when the activations are free (docs/memory.md).
    """
    return each_function(module, _gradients)


def _gradients(function: Function) -> Function:
    last = max((n for n, op in enumerate(function.ops) if location_of(op.loc).phase in ("vjp", "remat")), default=-1)
    made = [v for op in function.ops[: last + 1] if op.loc != "loss" for v in op.results]
    grads = _read(function.ops[last + 1 :], made, lambda op: True)
    state = sum(v.type.bytes for v in function.params[: function.donated])
    joint = len(grads) > 1 and state >= LARGE
    return _behind(function, last + 1, grads, "optimizer" if joint else function.name, joint=joint)


def fence_norms(module: Module) -> Module:
    """The module with the sums of a norm over all tensors in groups, each behind a barrier."""

    def change(function: Function) -> Function:
        makers = {op.result: op for op in function.ops if op.loc == "norms"}

        def terms(v: Value) -> list[Value]:
            op = makers.get(v)
            return [v] if op is None or op.kind != "add" else [t for x in op.operands for t in terms(x)]

        def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
            if op.loc != "norms" or op.operands[0].shape:
                return None
            return b.unary("sqrt", grouped_sum(b, terms(op.operands[0]), lambda v: b.op("barrier", v)))

        return rewrite(function, visit, ("sqrt",))

    return each_function(module, change)


def _read(ops: Sequence[Op], some: Sequence[Value], readers: Readers) -> list[Value]:
    """Those of some values that the readers among the operations read, in the order in which they were made."""
    found = {v for op in ops if readers(op) for v in op.operands}
    return [v for v in some if v in found]


def _behind(
    function: Function, at: int, values: Sequence[Value], loc: str, readers: Readers = lambda op: True,
    *, joint: bool = False,
) -> Function:  # fmt: skip
    """The function in which those who read the values from operation `at` on read them behind barriers there."""
    if not values:
        return function
    b = Builder(function.name)
    b.place(loc)
    made = b.joint_barrier(*values) if joint else [b.op("barrier", v) for v in values]
    new = dict(zip(values, made, strict=True))

    def renamed(op: Op) -> Op:
        if new.keys().isdisjoint(op.operands) or not readers(op):
            return op
        return replace(op, operands=tuple([new.get(v, v) for v in op.operands]))

    return replace(function, ops=(*function.ops[:at], *b.ops, *map(renamed, function.ops[at:])))
