"""Mixed precision: products of matrices and convolutions take bf16 operands; everything else stays float32.

Every `dot`, `conv`, `conv_input_grad` and `conv_kernel_grad` gets its operands rounded to bf16, and gives float32: its
products are exact in float32 (8 bits times 8 bits) and are added there. Parameters, moments and statistics are float32
outside and in the update, so a bf16 copy of a parameter lives for one step only. Softmax, log-sum-exp, sums,
normalisations, losses and the optimizer hold no such operation, and are left alone. Left alone are also:

- products with fixed numbers (pooling and interpolation matrices, rows of ones): they are means and sums;
- convolutions of one channel a group (depthwise): forms compute them element by element.

It runs before forms are selected. A form (im2col, taps, phases) then moves bf16 numbers, half the bytes; and what it
makes of sums, as products with ones, is no product of the net and keeps float32. A value that the backward reads again
is rounded once: `cse` joins the two roundings, so what is kept for the backward is the bf16 copy wherever no float32 op
reads it too. Gradients are not scaled: bf16 has float32's exponents.

Does not choose the precision op by op, and stores no float32 result as bf16.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.location import location_of
from netc.codegen.rewrite.conv_forms import geometry
from netc.codegen.rewrite.walk import each_function, rewrite

CONTRACTIONS = frozenset({"dot", "conv", "conv_input_grad", "conv_kernel_grad"})


def at_precision(module: Module, precision: str) -> Module:
    """The module as a recipe of that precision wants it: f32 as it stands, or bf16."""
    return to_bf16(module) if precision == "bf16" else module


def to_bf16(module: Module) -> Module:
    """The module with the operands of every contraction rounded to bf16."""
    return each_function(module, _rounded)


def _rounded(function: Function) -> Function:
    fixed = _fixed(function)

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if not fixed.isdisjoint(op.operands) or _one_channel(op) or _updates(op):
            return None
        return b.op(op.kind, *(b.convert(v, "bf16") for v in operands), **dict(op.attrs))

    return rewrite(function, visit, CONTRACTIONS)


def _fixed(function: Function) -> set[Value]:
    """The values that no argument of the function decides."""
    known: set[Value] = set()
    for op in function.ops:
        if known.issuperset(op.operands):
            known.update(op.results)
    return known


def _updates(op: Op) -> bool:
    """Whether a product is of the optimizer, which keeps float32."""
    return location_of(op.loc).phase == "update"


def _one_channel(op: Op) -> bool:
    """Whether a convolution has groups of one channel."""
    if op.kind == "dot":
        return False
    _, channels, _, groups = geometry(op)
    return groups > 1 and channels == groups
