"""A row for each operation of the op table that ONNX can say: which operators, on which operands.

Images are [N, H, W, C] in netc and [N, C, H, W] for ONNX's convolutions and poolings. A value therefore remembers how
it lies, and is turned only where an operator needs the other order: between two convolutions it stays as ONNX has it. A
broadcast is not made but remembered as axes of size 1, which ONNX's elementwise operators repeat by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.runtime.export.onnx_graph import Graph, Held

Row = Callable[[Graph, Op, list[Held]], Held]


def _elementwise(operator: str) -> Row:
    return lambda g, op, args: g.elementwise(operator, args)


def _chain(*operators: str) -> Row:
    """One operator after the other, each with one operand."""

    def row(g: Graph, op: Op, args: list[Held]) -> Held:
        (x,) = args
        for operator in operators:
            x = g.elementwise(operator, [x])
        return x

    return row


def _log1p(g: Graph, op: Op, args: list[Held]) -> Held:
    """log(1 + x), which ONNX has no operator for; near 0 it is exact to the last bit of 1 only."""
    return g.elementwise("Log", [g.elementwise("Add", [args[0], g.number(1, op)])])


def _typed(boolean: str, whole: str) -> Row:
    """The operator for truth values, or that for integers."""

    def row(g: Graph, op: Op, args: list[Held]) -> Held:
        return g.elementwise(boolean if op.operands[0].type.dtype == "i1" else whole, args)

    return row


COMPARE = {"EQ": "Equal", "GE": "GreaterOrEqual", "GT": "Greater", "LE": "LessOrEqual", "LT": "Less"}


def _compare(g: Graph, op: Op, args: list[Held]) -> Held:
    direction = op.attr("direction")
    if direction == "NE":
        return g.elementwise("Not", [g.elementwise("Equal", args)])
    return g.elementwise(COMPARE[direction], args)


def _convert(g: Graph, op: Op, args: list[Held]) -> Held:
    return g.elementwise("Cast", args, to=g.element_type(op.attr("dtype")))


def _constant(g: Graph, op: Op, args: list[Held]) -> Held:
    value, t = op.attr("value"), op.result.type
    if isinstance(value, tuple):
        return g.known(np.array(value, g.dtype(t.dtype)).reshape(t.shape))
    return g.known(np.full((1,) * t.rank, value, g.dtype(t.dtype)))


def _iota(g: Graph, op: Op, args: list[Held]) -> Held:
    t = op.result.type
    shape = [t.shape[i] if i == op.attr("dim") else 1 for i in range(t.rank)]
    return g.known(np.arange(t.shape[op.attr("dim")], dtype=g.dtype(t.dtype)).reshape(shape))


def _reshape(g: Graph, op: Op, args: list[Held]) -> Held:
    x = g.whole(args[0], op.operands[0].shape)
    return g.reshaped(x, op.result.shape)


def _transpose(g: Graph, op: Op, args: list[Held]) -> Held:
    return g.transposed(g.plain(args[0]), op.attr("perm"))


def _broadcast(g: Graph, op: Op, args: list[Held]) -> Held:
    x, places = g.plain(args[0]), dict(zip(op.attr("dims"), args[0].shape, strict=True))
    return g.reshaped(x, tuple(places.get(axis, 1) for axis in range(op.result.type.rank)))


def _slice(g: Graph, op: Op, args: list[Held]) -> Held:
    x = g.whole(args[0], op.operands[0].shape)
    start, limit, stride = (op.attr(word) for word in ("start", "limit", "stride"))
    axes = [i for i, n in enumerate(x.shape) if (start[i], limit[i], stride[i]) != (0, n, 1)]
    given = [[values[i] for i in axes] for values in (start, limit)]
    where = g.axes_of(x, axes)
    parts = [g.ints(v) for v in (*given, where, [stride[i] for i in axes])]
    return g.made("Slice", [x, *parts], op.result.shape, first=x.first)


def _pad(g: Graph, op: Op, args: list[Held]) -> Held:
    if any(op.attr("interior")):
        raise g.refused(op, "with zeros between the elements")
    x = g.plain(g.whole(args[0], op.operands[0].shape))
    return g.made("Pad", [x, g.ints([*op.attr("low"), *op.attr("high")]), args[1]], op.result.shape)


def _concatenate(g: Graph, op: Op, args: list[Held]) -> Held:
    parts = [g.whole(x, v.shape) for x, v in zip(args, op.operands, strict=True)]
    first = any(x.first for x in parts)
    parts = [g.channels_first(x) if first else x for x in parts]
    (axis,) = g.axes_of(parts[0], [op.attr("dim")])
    return g.made("Concat", parts, op.result.shape, first=first, axis=axis)


def _reverse(g: Graph, op: Op, args: list[Held]) -> Held:
    x, dims = g.plain(g.whole(args[0], op.operands[0].shape)), op.attr("dims")
    ends = [g.ints(v) for v in ([-1] * len(dims), [-(1 << 31)] * len(dims), dims, [-1] * len(dims))]
    return g.made("Slice", [x, *ends], op.result.shape)


def _reduce(operator: str, neutral: float) -> Row:
    def row(g: Graph, op: Op, args: list[Held]) -> Held:
        dims = op.attr("dims")
        x = g.whole(args[0], op.operands[0].shape)
        rest = [i for i in range(len(x.shape)) if i not in dims]
        if x.first and not ({1, 2} <= set(dims) or 3 in dims):  # what is left would lie in ONNX's order
            x = g.plain(x)
        if args[1].value is None or args[1].value.reshape(()) != neutral:
            raise g.refused(op, f"that starts from another number than {neutral}")
        shape = tuple(x.shape[i] for i in rest)
        return g.made(operator, [x, g.ints(g.axes_of(x, dims))], shape, keepdims=0)

    return row


def _dot(g: Graph, op: Op, args: list[Held]) -> Held:
    """The batch axes, then [free, joined] times [joined, free]: MatMul, between reshapes where axes are several."""
    (x, y), (contract, batch) = (
        [g.plain(g.whole(a, v.shape)) for a, v in zip(args, op.operands, strict=True)],
        (op.attr("contract"), op.attr("batch")),
    )
    free = [
        [i for i in range(len(t.shape)) if i not in (*c, *b)] for t, c, b in zip((x, y), contract, batch, strict=True)
    ]
    joined, outer = math.prod(x.shape[i] for i in contract[0]), tuple(x.shape[i] for i in batch[0])
    rows, columns = (math.prod(t.shape[i] for i in f) for t, f in zip((x, y), free, strict=True))
    left = g.reshaped(g.transposed(x, (*batch[0], *free[0], *contract[0])), (*outer, rows, joined))
    right = g.reshaped(g.transposed(y, (*batch[1], *contract[1], *free[1])), (*outer, joined, columns))
    return g.reshaped(g.made("MatMul", [left, right], (*outer, rows, columns)), op.result.shape)


def _take(g: Graph, op: Op, args: list[Held]) -> Held:
    """A row for each id; those outside the table mean its first or last row."""
    table, ids = (g.plain(g.whole(a, v.shape)) for a, v in zip(args, op.operands, strict=True))
    last = g.known(np.array(table.shape[0] - 1, np.int32))
    clamped = g.elementwise("Min", [g.elementwise("Max", [ids, g.known(np.array(0, np.int32))]), last])
    return g.made("Gather", [table, clamped], op.result.shape, axis=0)


def _window(op: Op) -> dict[str, Any]:
    (top, bottom), (left, right) = op.attr("padding")
    return {"strides": list(op.attr("stride")), "pads": [top, left, bottom, right]}


def _kernel(g: Graph, op: Op, x: Held, w: Held) -> Held:
    """[kh, kw, I, O] -> [O, I, kh, kw], of a kernel written [kh, kw, O, I] too."""
    swap = dict(op.attrs).get("swap", False)
    return g.transposed(g.plain(g.whole(w, op.operands[1].shape)), (2, 3, 0, 1) if swap else (3, 2, 0, 1))


def _conv(g: Graph, op: Op, args: list[Held]) -> Held:
    if dict(op.attrs).get("spread", (1, 1)) != (1, 1):
        raise g.refused(op, "with zeros between the pixels")
    x, w = g.channels_first(g.whole(args[0], op.operands[0].shape)), _kernel(g, op, *args)
    extra = {"dilations": list(op.attr("dilation")), "group": op.attr("groups"), "kernel_shape": list(w.shape[2:])}
    return g.made("Conv", [x, w], op.result.shape, first=True, **_window(op), **extra)


def _conv_input_grad(g: Graph, op: Op, args: list[Held]) -> Held:
    """The adjoint of a convolution is what ONNX calls ConvTranspose."""
    dy, w = g.channels_first(g.whole(args[0], op.operands[0].shape)), _kernel(g, op, *args)
    kernel, dilation = w.shape[2:], op.attr("dilation")
    left = [
        size - (s * (n - 1) + (k - 1) * d + 1 - low - high)
        for size, s, n, k, d, (low, high) in zip(
            op.attr("size"), op.attr("stride"), dy.shape[1:3], kernel, dilation, op.attr("padding"), strict=True
        )
    ]
    if any(not 0 <= n < s for n, s in zip(left, op.attr("stride"), strict=True)):
        raise g.refused(op, f"to the size {op.attr('size')}")
    extra = {"dilations": list(dilation), "group": op.attr("groups"), "kernel_shape": list(kernel)}
    return g.made("ConvTranspose", [dy, w], op.result.shape, first=True, output_padding=left, **_window(op), **extra)


def _pool(operator: str) -> Row:
    def row(g: Graph, op: Op, args: list[Held]) -> Held:
        x, kernel = g.channels_first(g.whole(args[0], op.operands[0].shape)), list(op.attr("kernel"))
        mean = {"count_include_pad": 1} if operator == "AveragePool" else {}
        y = g.made(operator, [x], op.result.shape, first=True, kernel_shape=kernel, **_window(op), **mean)
        return g.elementwise("Mul", [y, g.number(math.prod(kernel), op)]) if mean else y

    return row


ROWS: dict[str, Row] = {
    **{
        kind: _elementwise(operator)
        for kind, operator in (
            ("sub", "Sub"), ("div", "Div"), ("max", "Max"), ("min", "Min"), ("neg", "Neg"), ("exp", "Exp"),
            ("log", "Log"), ("sqrt", "Sqrt"), ("sin", "Sin"), ("cos", "Cos"), ("tanh", "Tanh"),
            ("logistic", "Sigmoid"), ("erf", "Erf"), ("select", "Where"),
        )
    },
    "add": _typed("Or", "Add"), "mul": _typed("And", "Mul"), "and": _typed("And", "BitwiseAnd"),
    "or": _typed("Or", "BitwiseOr"), "xor": _typed("Xor", "BitwiseXor"), "not": _typed("Not", "BitwiseNot"),
    "rsqrt": _chain("Sqrt", "Reciprocal"), "log1p": _log1p, "compare": _compare, "convert": _convert,
    "constant": _constant, "iota": _iota, "reshape": _reshape, "transpose": _transpose, "broadcast": _broadcast,
    "slice": _slice, "pad": _pad, "concatenate": _concatenate, "reverse": _reverse,
    "barrier": lambda g, op, args: args[0],
    "reduce_sum": _reduce("ReduceSum", 0), "reduce_max": _reduce("ReduceMax", -math.inf),
    "reduce_min": _reduce("ReduceMin", math.inf), "dot": _dot, "take": _take,
    "conv": _conv, "conv_input_grad": _conv_input_grad, "max_pool": _pool("MaxPool"), "sum_pool": _pool("AveragePool"),
}  # fmt: skip
