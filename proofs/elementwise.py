"""Meanings: numbers one by one, what only moves or repeats them, sums, largest of, products."""

from __future__ import annotations

from netc.codegen.ir import Op
from netc.proofs.axes import UnreadError
from netc.proofs.exported import TYPES, Exported, Field, Indices, Meaning, bound, one_index
from netc.proofs.terms import MINUS, Term, add, mul, sums


def two(head: str, lean: str = "K") -> Meaning:
    """An operation on two numbers at the same indices, or on two truth values."""

    def meaning(e: Exported, op: Op, at: Indices) -> Term:
        if TYPES[op.result.type.dtype] != lean:
            raise UnreadError(op.loc, f"{op.kind} of {op.result.type.dtype}")
        return (head, e.at(op.operands[0], at), e.at(op.operands[1], at))

    return meaning


def function(name: str) -> Meaning:
    """A function of one number."""
    return lambda e, op, at: ("fn", name, e.at(op.operands[0], at))


def sub(e: Exported, op: Op, at: Indices) -> Term:
    """x + (-1) y."""
    x, y = (e.at(v, at) for v in op.operands)
    return add(x, mul(MINUS, y))


def div(e: Exported, op: Op, at: Indices) -> Term:
    """x (1/y)."""
    x, y = (e.at(v, at) for v in op.operands)
    return mul(x, ("fn", "recip", y))


def constant(e: Exported, op: Op, at: Indices) -> Term:
    """One number, everywhere; or a table of numbers, which is a field, the same one for the same table of a layer."""
    value, dtype = op.attr("value"), op.result.type.dtype
    place = e.place(op)
    if isinstance(value, tuple):
        name = e.tables.setdefault((op.attrs, place), f"P.table{len(e.tables)}")
        e.fields[name] = Field(name, e.axes.flat(op.result), TYPES[dtype], False, f"the table of constants of {place}")
        return ("ref", name, tuple(i for axis in at for i in axis))
    if TYPES[dtype] == "N" and value >= 0:
        return e.offset(int(value))
    if TYPES[dtype] != "K":
        raise UnreadError(op.loc, f"a constant {value} of {dtype}")
    return e.number(float(value), place)


def convert(e: Exported, op: Op, at: Indices) -> Term:
    """1 for yes, 0 for no; a number as it is."""
    kinds = tuple(TYPES[v.type.dtype] for v in (op.operands[0], op.result))
    if kinds == ("K", "K"):
        return e.at(op.operands[0], at)
    if kinds == ("B", "K"):
        return ("ind", e.at(op.operands[0], at))
    raise UnreadError(op.loc, f"convert to {op.result.type.dtype}")


def iota(e: Exported, op: Op, at: Indices) -> Term:
    """The index along an axis."""
    if TYPES[op.result.type.dtype] != "N":
        raise UnreadError(op.loc, f"iota of {op.result.type.dtype}")
    return one_index(e, op.result, op.attr("dim"), at[op.attr("dim")])


def compare(e: Exported, op: Op, at: Indices) -> Term:
    """Of integers each but NE; of numbers >, < and what is neither: both not for =, one for >= and <=."""
    x, y = (e.at(v, at) for v in op.operands)
    direction = op.attr("direction")
    if op.operands[0].type.dtype != "i32":
        if direction in ("GT", "LT"):
            return ("gt", x, y) if direction == "GT" else ("gt", y, x)
        if direction in ("GE", "LE"):
            return ("not", ("gt", y, x) if direction == "GE" else ("gt", x, y))
        if direction == "EQ":
            return ("tied", x, y)
    elif direction != "NE":
        up: Term = ("n", 1)
        return {
            "EQ": ("equal", x, y), "LT": ("less", x, y), "GT": ("less", y, x),
            "LE": ("less", x, ("plus", y, up)), "GE": ("less", y, ("plus", x, up)),
        }[direction]  # fmt: skip
    raise UnreadError(op.loc, f"compare {direction}")


def smallest(e: Exported, op: Op, at: Indices) -> Term:
    """min(x, y)."""
    x, y = (e.at(v, at) for v in op.operands)
    return ("choose", ("gt", x, y), y, x)


def select(e: Exported, op: Op, at: Indices) -> Term:
    """c ? x : y."""
    return ("choose", *(e.at(v, at) for v in op.operands))


def same(e: Exported, op: Op, at: Indices) -> Term:
    """x."""
    return e.at(op.operands[0], at)


def broadcast(e: Exported, op: Op, at: Indices) -> Term:
    """x at those of the indices that are its own."""
    x = op.operands[0]
    return e.at(x, [at[d] if n != 1 else () for n, d in zip(x.shape, op.attr("dims"), strict=True)])


def reshape(e: Exported, op: Op, at: Indices) -> Term:
    """The same factors in the same order, grouped otherwise."""
    x = op.operands[0]
    if e.axes.flat(x) != e.axes.flat(op.result):
        raise UnreadError(op.loc, "a reshape that cuts one axis in two ways")
    return e.at(x, at)


def transpose(e: Exported, op: Op, at: Indices) -> Term:
    """x at permuted indices."""
    inverse = {p: at[i] for i, p in enumerate(op.attr("perm"))}
    return e.at(op.operands[0], [inverse[a] for a in range(len(at))])


def reduce(head: str) -> Meaning:
    """The sum, or the largest, over some axes."""

    def meaning(e: Exported, op: Op, at: Indices) -> Term:
        x, dims = op.operands[0], op.attr("dims")
        if TYPES[x.type.dtype] != "K":
            raise UnreadError(op.loc, f"{op.kind} of {x.type.dtype}")
        new, made = bound(e, x, dims)
        kept = iter(at)
        body = e.at(x, [new[a] if a in new else next(kept) for a in range(len(x.shape))])
        for i, size in reversed(made):
            body = (head, i, size, body)
        return body

    return meaning


def dot(e: Exported, op: Op, at: Indices) -> Term:
    """The sum over the contracted axes of the products."""
    x, y = op.operands
    (cx, cy), (bx, by) = op.attr("contract"), op.attr("batch")
    new, made = bound(e, x, cx)
    free_x = [a for a in range(len(x.shape)) if a not in (*cx, *bx)]
    free_y = [a for a in range(len(y.shape)) if a not in (*cy, *by)]
    of_x = {**new, **dict(zip(bx, at, strict=False)), **dict(zip(free_x, at[len(bx) :], strict=False))}
    joined = {b: new[a] for a, b in zip(cx, cy, strict=True)}
    of_y = {**joined, **dict(zip(by, at, strict=False)), **dict(zip(free_y, at[len(bx) + len(free_x) :], strict=True))}
    left = e.at(x, [of_x[a] for a in range(len(x.shape))])
    return sums(tuple(made), mul(left, e.at(y, [of_y[a] for a in range(len(y.shape))])))
