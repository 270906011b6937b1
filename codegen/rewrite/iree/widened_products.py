"""Computes products of bf16 numbers in float32, for CPUs that do not multiply bf16 numbers themselves.

Without AVX512-BF16 the code of IREE 3.12 for such a product converts number by number: tiny-gpt's step in bf16 took 36
to 46 times as long as in float32, mnist-mlp's 123 to 149 times. Two bf16 numbers have an exact product in float32, and
the sums are float32 in both: only the order of the terms can differ.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.rewrite.conv_forms import wide_copy
from netc.codegen.rewrite.precision import CONTRACTIONS
from netc.codegen.rewrite.walk import each_function, rewrite


def widen_products(module: Module) -> Module:
    """The module in which products and convolutions read float32 copies of bf16 operands, each made once."""
    return each_function(module, _widen)


def has_bf16_products(module: Module) -> bool:
    """Whether there is anything to widen."""
    return any(_of_bf16(op) for f in module for op in f.ops)


def _widen(function: Function) -> Function:
    wide: dict[Value, Value] = {}

    def visit(b: Builder, op: Op, operands: tuple[Value, ...]) -> Value | None:
        if not _of_bf16(op):
            return None
        for v in operands:
            if v not in wide:
                wide[v] = wide_copy(b, v)
        return b.op(op.kind, *(wide[v] for v in operands), **dict(op.attrs))

    return rewrite(function, visit, CONTRACTIONS)


def _of_bf16(op: Op) -> bool:
    return op.kind in CONTRACTIONS and op.operands[0].type.dtype == "bf16"
