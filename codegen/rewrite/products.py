"""Sums of products in which one side repeats along a summed axis: the other side is summed first.

sum_k x[.., k] y = (sum_k x[.., k]) y, for products of matrices and for sums of elementwise products. They come from
what stands before a mean over all pixels, whose dy is the same for every pixel. The short sum costs less, and IREE's
CPU backend cannot always vectorise the long one (docs/known-limits.md). The order of additions changes, as it does
between any two backends.
"""

from __future__ import annotations

from collections.abc import Sequence

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.movement import Raw
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.types import TensorType

Ints = tuple[int, ...]
Axes = frozenset[int]

# results depend on the elements at the same place only
ELEMENTWISE = {
    "add", "sub", "mul", "div", "max", "min", "neg", "exp", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "tanh",
    "logistic", "erf", "and", "or", "xor", "not", "compare", "select", "convert",
}  # fmt: skip


def sum_before_products(module: Module) -> Module:
    """The module with the repeats of one side left out of every sum of products, unless nothing would be summed."""
    return each_function(module, _factored)


def _factored(function: Function) -> Function:
    repeats = _Repeats()
    seen = 0

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        nonlocal seen
        repeats.read(b.ops[seen:])
        seen = len(b.ops)
        return (_product if op.kind == "dot" else _sum)(b, op, operands, repeats)

    return rewrite(function, visit, ("dot", "reduce_sum"))


class _Repeats:
    """Along which axes a value repeats one slice, and that slice alone."""

    def __init__(self) -> None:
        self.makers: dict[Value, Op] = {}
        self._known: dict[Value, Axes] = {}

    def read(self, ops: Sequence[Op]) -> None:
        """Take note of operations, in order."""
        for op in ops:
            self.makers[op.result] = op
            if axes := self._axes(op):
                self._known[op.result] = axes

    def axes(self, v: Value) -> Axes:
        """The axes along which all slices of v are known to be equal."""
        return self._known.get(v, frozenset())

    def _axes(self, op: Op) -> Axes:
        if op.kind == "constant":
            return frozenset() if isinstance(op.attr("value"), tuple | Raw) else _every(op)
        if op.kind == "broadcast":
            dims = op.attr("dims")
            if dims != tuple(sorted(dims)) or op.operands[0].shape != tuple(op.result.shape[a] for a in dims):
                return frozenset()
            return (_every(op) - set(dims)) | {dims[a] for a in self.axes(op.operands[0])}
        if op.kind == "reshape":
            return frozenset(a for a in self.axes(op.operands[0]) if a < _prefix(op))
        if op.kind in ELEMENTWISE or (op.kind == "barrier" and op.result.type.dtype == "bf16"):
            first, *others = op.operands
            axes = self.axes(first)
            return axes.intersection(*map(self.axes, others)) if axes else axes
        return frozenset()

    def without(self, b: Builder, v: Value, gone: Axes) -> Value:
        """One slice of v, which repeats along all of `gone`: those axes are left out."""
        if not gone:
            return v
        op, shape = self.makers[v], tuple(n for a, n in enumerate(v.shape) if a not in gone)
        small = TensorType(shape, v.type.dtype)
        if op.kind == "constant":
            return b.constant(op.attr("value"), small)
        if op.kind == "broadcast":
            dims = op.attr("dims")
            source = self.without(b, op.operands[0], frozenset(i for i, a in enumerate(dims) if a in gone))
            return b.broadcast(source, small, _kept(dims, gone))
        if op.kind == "reshape":
            return b.reshape(self.without(b, op.operands[0], gone), shape)
        return b.op(op.kind, *(self.without(b, u, gone) for u in op.operands), **dict(op.attrs))


def _every(op: Op) -> Axes:
    """Every axis of the result."""
    return frozenset(range(len(op.result.shape)))


def _prefix(op: Op) -> int:
    """How many first axes a reshape leaves as they are."""
    pairs = enumerate(zip(op.operands[0].shape, op.result.shape, strict=False))
    rank = min(len(op.operands[0].shape), len(op.result.shape))
    return next((i for i, (m, n) in pairs if m != n), rank)


def _kept(axes: Ints, gone: Axes) -> Ints:
    """Those axes that remain, as they are numbered after."""
    return tuple(a - sum(g < a for g in gone) for a in axes if a not in gone)


def _product(b: Builder, op: Op, operands: tuple[Value, ...], repeats: _Repeats) -> Value | None:
    joined, batch = op.attr("contract"), op.attr("batch")
    for side in (0, 1):
        equal = repeats.axes(operands[side])
        pairs = [k for k, axis in enumerate(joined[side]) if axis in equal]
        if not pairs or len(pairs) == len(joined[side]):
            continue
        gone = [frozenset(axes[k] for k in pairs) for axes in joined]
        exact = op.result.type.dtype  # a sum of bf16 numbers is added up in float32, and so are its products
        small = b.convert(repeats.without(b, operands[side], gone[side]), exact)
        summed = b.sum(b.convert(operands[1 - side], exact), tuple(gone[1 - side]))
        x, y = (small, summed) if side == 0 else (summed, small)
        contract = (_kept(joined[0], gone[0]), _kept(joined[1], gone[1]))
        return b.dot(x, y, contract, (_kept(batch[0], gone[0]), _kept(batch[1], gone[1])))
    return None


def _sum(b: Builder, op: Op, operands: tuple[Value, ...], repeats: _Repeats) -> Value | None:
    product, dims = repeats.makers.get(operands[0]), op.attr("dims")
    if product is None or product.kind != "mul":
        return None
    for side in (0, 1):
        value, other = product.operands[side], product.operands[1 - side]
        equal = repeats.axes(value)
        gone = equal.intersection(dims)
        if not gone or len(equal) == len(value.shape):  # one number everywhere is no more work inside the sum
            continue
        part = b.mul(repeats.without(b, value, gone), b.sum(other, tuple(gone)))
        return b.sum(part, _kept(dims, gone))
    return None
