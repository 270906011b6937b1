"""Operations that texts of others have and the IR has not, or has in one form only: one row of ROWS each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from netc.codegen.ir import Op, Value
from netc.proofs.axes import UnreadError
from netc.proofs.foreign.indices import gather, scatter
from netc.proofs.foreign.text import Row, Text
from netc.proofs.foreign.windows import convolution, reduce_window, select_and_scatter


def _unread(t: Text, op: Op, args: list[Value]) -> Value:
    """The reader says why, and of which line: this may be another one, which reads what that gives."""
    place, _, what = str(op.attr("why")).partition(": ")
    raise UnreadError(place, what)


def _pad(t: Text, op: Op, args: list[Value]) -> Value:
    """No padding is none, whatever with."""
    if not any((*op.attr("low"), *op.attr("high"), *op.attr("interior"))):
        return args[0]
    return t.b.op("pad", *args, **dict(op.attrs))


def _slice(t: Text, op: Op, args: list[Value]) -> Value:
    """What a pad put around is cut off again."""
    cut, padded = dict(op.attrs), t.maker(args[0], "pad")
    if padded is not None and set(cut["stride"]) | {0} <= {0, 1}:
        (x, _), low = padded.operands, padded.attr("low")
        own = tuple(a + n for a, n in zip(low, x.shape, strict=True))
        if not any(padded.attr("interior")) and (cut["start"], cut["limit"]) == (low, own):
            return x
    return t.b.slice(args[0], cut["start"], cut["limit"], cut["stride"])


def _max(t: Text, op: Op, args: list[Value]) -> Value:
    """max(-inf, x) is x."""
    for x, y in (args, args[::-1]):
        if t.number(x) == -math.inf:
            return y
    return t.b.op("max", *args)


def _div(t: Text, op: Op, args: list[Value]) -> Value:
    """1 / (1 + exp(-x)) is the logistic function of x."""
    total = t.maker(args[1], "add")
    if t.number(args[0]) == 1 and total is not None:
        rest = [v for v in total.operands if t.number(v) != 1]
        power = t.maker(rest[0], "exp") if len(rest) == 1 else None
        minus = power and t.maker(power.operands[0], "neg")
        if minus:
            t.said["1 / (1 + exp(-x)) is the logistic function of x"] = None
            return t.b.op("logistic", minus.operands[0])
    return t.b.op("div", *args)


def _power(t: Text, op: Op, args: list[Value]) -> Value:
    """x x for a square."""
    if op.attr("exponent") != 2:
        raise t.refuse(op, f"to the power {op.attr('exponent')}")
    return t.b.mul(args[0], args[0])


def _select(t: Text, op: Op, args: list[Value]) -> Value:
    """Indices are natural numbers, so what an index below 0 means is not needed; and none is outside its axis."""
    condition, x, y = args
    below = t.maker(condition, "compare")
    if below is not None and (below.attr("direction"), below.operands[0]) == ("LT", y) and y.type.dtype == "i32":
        if t.number(below.operands[1]) != 0:
            return t.b.op("select", *args)
        t.said["no index is below 0"] = None
        return y
    if (nan := t.number(y)) is not None and math.isnan(nan) and x in t.gathered:
        t.said["every index is inside the axis that it indexes"] = None
        return x
    return t.b.op("select", *args)


def _reduce(t: Text, op: Op, args: list[Value]) -> Value:
    """What is combined along axes of size 1 is as it was."""
    (x,), dims = args, op.attr("dims")
    if any(x.shape[d] != 1 for d in dims):
        raise t.refuse(op, f"by {op.attr('by')}")
    return t.b.reshape(x, op.result.shape)


ROWS: Mapping[str, Row] = {
    "unread": _unread, "pad": _pad, "slice": _slice, "max": _max, "div": _div, "fixed_power": _power, "select": _select,
    "reduce": _reduce, "rounded": lambda t, op, args: args[0], "gather": gather, "scatter": scatter,
    "convolution": convolution, "reduce_window": reduce_window, "select_and_scatter": select_and_scatter,
}  # fmt: skip
