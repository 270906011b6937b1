"""The exporter: what each operation of the IR means, as a Lean definition over the axes' variables.

One row of MEANINGS for each kind: the result at the indices `at`. A kind without a row is named in the error, with the
place in the net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netc.codegen.ir import Function, Op, Value
from netc.proofs import elementwise as one
from netc.proofs.axes import Axes, UnreadError
from netc.proofs.exported import TYPES, Definition, Exported, Field, Indices, Meaning
from netc.proofs.indexing import concatenate, pad, slice_, take, take_grad
from netc.proofs.recurrences import linear_scan
from netc.proofs.terms import MINUS, ONE, Term, add, fresh, mul
from netc.proofs.windows import conv, max_pool, sum_pool


def export(
    function: Function, trained: Sequence[str], *,
    layers: Mapping[Value, str] | None = None, named: Mapping[float, Term] | None = None,
    free: frozenset[int] | None = None, equal: Sequence[tuple[Value, Value]] = (),
) -> Exported:  # fmt: skip
    """The definitions of a function whose first results are the loss and the gradients, or any where none is trained.

    `layers`: of each value its layer, where the places do not say it; `named`: literals that mean something.
    `free`: the sizes that are variables, if not all are; then places are numbers, too. `equal`: pairs of values with
    the same axes. Raises UnreadError.
    """
    ops = reached(function)
    for op in ops:
        if op.kind not in MEANINGS and not given(op):
            raise UnreadError(op.loc, op.kind)
    of = dict(zip(function.names, function.params, strict=True))
    same = [*equal, *((of[name], grad) for name, grad in zip(trained, function.results[1:], strict=False))]
    again = computed_again(ops)
    same += [(first, value) for value, first in again.items()]
    found = Exported(function, Axes(function, ops, same, free), layers, named=named or {}, exact=free is not None)
    used = {v for op in ops for v in op.operands} | set(function.results)
    for name, value in zip(function.names, function.params, strict=True):
        if value in used and value.type.dtype in TYPES:
            lean = "P." + "".join(c if c.isalnum() else "_" for c in name)
            while lean in found.fields:  # a.b_c and a_b.c are two
                lean += "_"
            found.names[value] = lean
            sizes = found.axes.flat(value)
            found.fields[lean] = Field(lean, sizes, TYPES[value.type.dtype], name in trained, name)
    for op in ops:
        if op.result.type.dtype not in TYPES:
            continue
        name = f"v{len(found.definitions)}"
        split = found.axes.names(op.result)
        indices: Indices = [tuple(("i", fresh()) for _ in axis) for axis in split]
        if op.result in again:
            body = found.at(again[op.result], indices)
        else:
            body = (_given if given(op) else MEANINGS[op.kind])(found, op, indices)
        found.names[op.result] = name
        flat = tuple(i[1] for axis in indices for i in axis)
        sizes = tuple(n for axis in split for n in axis)
        layer = op.loc.removesuffix(" (vjp)") if layers is None else layers[op.result]
        found.definitions[name] = Definition(
            name, flat, sizes, body, op.kind, op.loc, TYPES[op.result.type.dtype], op, layer
        )
    found.keep_whole()
    return found


BITS = ("and", "or", "xor", "not", "shl", "shr", "add", "sub", "mul")


def given(op: Op) -> bool:
    """Whether the operation's value is taken as given: drawn from a key, or an integer, or a number made of integers.

    No integer has a derivative; so what is made of integers alone is data, as a table of constants is.
    """
    types = {v.type.dtype for v in (*op.operands, op.result)}
    integers = op.kind in BITS and op.result.type.dtype == "i32"
    of_integers = op.kind == "convert" and "i32" in types
    counted = op.kind == "iota" and op.result.type.dtype != "i32"
    return not types <= TYPES.keys() or integers or of_integers or counted


def computed_again(ops: Sequence[Op]) -> dict[Value, Value]:
    """Of each value that is taken as given, and that was computed before by the same operations, that one.

    A pullback draws a mask again from the same key, so as not to keep it.
    """
    known: dict[Value, object] = {}
    first: dict[object, Value] = {}
    again = {}
    for op in ops:
        how = (op.kind, op.attrs, tuple(known.get(v, v) for v in op.operands))
        one = first.setdefault(how, op.result)
        known[op.result] = one
        if one is not op.result and given(op) and op.result.type.dtype in TYPES:
            again[op.result] = one
    return again


def _given(e: Exported, op: Op, at: Indices) -> Term:
    name = f"P.given_v{len(e.definitions)}"
    said = f"what {op.kind} of {op.loc} gives, drawn, or made of or to integers"
    e.fields[name] = Field(name, e.axes.flat(op.result), TYPES[op.result.type.dtype], False, said)
    return ("ref", name, tuple(i for axis in at for i in axis))


def reached(function: Function) -> list[Op]:
    """The operations that the results need."""
    needed, kept = set(function.results), []
    for op in reversed(function.ops):
        if needed.intersection(op.results):
            kept.append(op)
            needed.update(op.operands)
    return kept[::-1]


MEANINGS: Mapping[str, Meaning] = {
    "add": one.two("add"), "mul": one.two("mul"), "sub": one.sub, "div": one.div, "max": one.two("max"),
    "min": one.smallest, "neg": lambda e, op, at: mul(MINUS, e.at(op.operands[0], at)),
    **{f: one.function(f) for f in ("exp", "log", "sqrt", "rsqrt", "tanh", "logistic", "erf", "sin", "cos")},
    "log1p": lambda e, op, at: ("fn", "log", add(ONE, e.at(op.operands[0], at))), "convert": one.convert,
    "constant": one.constant, "iota": one.iota, "compare": one.compare, "select": one.select, "barrier": one.same,
    "broadcast": one.broadcast, "reshape": one.reshape, "transpose": one.transpose,
    "reduce_sum": one.reduce("sum"), "reduce_max": one.reduce("largest"), "dot": one.dot,
    "slice": slice_, "pad": pad, "concatenate": concatenate, "take": take, "take_grad": take_grad,
    "sum_pool": sum_pool, "sum_pool_grad": sum_pool, "and": one.two("and", "B"), "or": one.two("or", "B"),
    "max_pool": max_pool, "max_pool_grad": max_pool, "linear_scan": linear_scan,
    **dict.fromkeys(("conv", "conv_input_grad", "conv_kernel_grad"), conv),
}  # fmt: skip
