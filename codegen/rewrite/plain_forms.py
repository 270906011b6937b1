"""The net as written: what StableHLO has no word for, in the textbook's form, one for each op whatever the target.

There are no barriers but those of `--remat`, which are what it is. What a target's table chooses, and what `netc tune`
measured, have no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.rewrite.conv_forms import adjoint_kernel, adjoint_padding
from netc.codegen.rewrite.erf_float64 import erf_float64
from netc.codegen.rewrite.index_forms import scatter
from netc.codegen.rewrite.scan_forms import doubling
from netc.codegen.rewrite.taps import window_of
from netc.codegen.rewrite.walk import each_function, rewrite
from netc.netspec.types import TensorType


def conv_input_grad(b: Builder, op: Op, dy: Value, w: Value) -> Value:
    """The transposed convolution: dy with zeros between its pixels, and the reversed kernel (Dumoulin and Visin)."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], w.shape[:2])
    groups = op.attr("groups")
    window = {"stride": (1, 1), "padding": adjoint_padding(win), "dilation": win.dilation, "groups": groups}
    swap = {"swap": True} if groups == 1 else {}
    return b.op("conv", dy, adjoint_kernel(b, w, groups), **window, **swap, spread=win.stride)


def max_pool(b: Builder, op: Op, x: Value) -> Value:
    """A maximum over windows."""
    return b.op("window_max", x, b.scalar(-math.inf, x.type.dtype), **dict(op.attrs))


def max_pool_grad(b: Builder, op: Op, x: Value, y: Value, dy: Value) -> Value:
    """dy of each window is added to its first maximum."""
    return b.op("scatter_to_max", x, dy, b.scalar(0.0, dy.type.dtype), **dict(op.attrs))


def sum_pool(b: Builder, op: Op, x: Value) -> Value:
    """A sum over windows."""
    return b.op("window_sum", x, b.scalar(0.0, x.type.dtype), **dict(op.attrs))


def sum_pool_grad(b: Builder, op: Op, dy: Value) -> Value:
    """A sum over windows of dy, with zeros between its pixels: a pixel takes dy of every window that sees it."""
    win = window_of(op, op.attr("size"), dy.shape[1:3], op.attr("kernel"))
    (t, bottom), (left, r) = adjoint_padding(win)
    spread = b.pad(dy, (0, t, left, 0), (0, bottom, r, 0), (0, win.stride[0] - 1, win.stride[1] - 1, 0))
    none = {"stride": (1, 1), "padding": ((0, 0), (0, 0))}
    return b.op("window_sum", spread, b.scalar(0.0, dy.type.dtype), kernel=win.kernel, **none)


FORMS: dict[str, Callable[..., Value | None]] = {
    "conv_input_grad": conv_input_grad,
    "max_pool": max_pool,
    "max_pool_grad": max_pool_grad,
    "sum_pool": sum_pool,
    "sum_pool_grad": sum_pool_grad,
    "take_grad": scatter,
    "linear_scan": doubling,
}


def plain_forms(module: Module) -> Module:
    """The module in operations that StableHLO has, but for erf."""
    return each_function(module, _plain)


def _plain(function: Function) -> Function:
    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        return FORMS[op.kind](b, op, *operands)

    return rewrite(function, visit, FORMS)


# -- erf ---------------------------------------------------------------------------------------------------------------

# erf(x) = x P(x²) / Q(x²) for x within LIMIT, beyond which float32's erf is 1: the rational minimax approximation of
# Eigen's generic_fast_erf_float, as XLA has it. Highest power first.
LIMIT = 4.0
P = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
     -2.95459980854025e-03, -1.60960333262415e-02)  # fmt: skip
Q = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
     -1.42647390514189e-02)  # fmt: skip


def erf_functions(module: Module) -> Module:
    """The module with every erf as a call of a function of its own: StableHLO has none.

    `stablehlo.composite` would give it the name that compilers know, but is younger than the oldest StableHLO that a
    portable artefact can be for.
    """
    made: dict[TensorType, Function] = {}

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        (x,) = operands
        if x.type not in made:
            made[x.type] = erf_function(x.type)
        return b.op("call", x, callee=made[x.type].name)

    functions = tuple([rewrite(function, visit, ("erf",)) for function in module])
    return replace(module, functions=(*made.values(), *functions)) if made else module


def erf_function(t: TensorType) -> Function:
    """x of type t -> erf(x), in operations that StableHLO has. Raises IrError for other numbers than these floats."""
    if t.dtype not in ("f32", "f64"):
        raise IrError(f"erf wants float32 or float64 numbers in plain StableHLO, got {t}")
    b = Builder("erf_" + "x".join((*(str(n).replace("-", "B") for n in t.shape), t.dtype)))
    x = b.parameter("x", t)
    if t.dtype == "f64":
        return replace(b.finish([("y", erf_float64(b, x))]), private=True)
    near = _clamped(b, x, LIMIT)
    square = b.mul(near, near)

    def polynomial(factors: tuple[float, ...]) -> Value:
        total = b.constant(factors[0], t)
        for factor in factors[1:]:
            total = b.add(b.mul(total, square), factor)
        return total

    y = _clamped(b, b.div(b.mul(near, polynomial(P)), polynomial(Q)), 1.0)
    return replace(b.finish([("y", y)]), private=True)


def _clamped(b: Builder, x: Value, limit: float) -> Value:
    return b.minimum(b.maximum(x, -limit), limit)
