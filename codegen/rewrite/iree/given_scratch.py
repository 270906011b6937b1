"""Large training steps are given the memory of their transient tensors, as a last argument, on IREE's CPU.

IREE's CPU device takes that memory anew in every call and clears it, one thread alone, before the step begins: 0.1 s of
1.4 in a step of GPT-2 small. What it is given it takes as it is.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function, Module
from netc.codegen.rewrite.walk import each_function
from netc.codegen.symbolic.sizes import counted

LARGE = 1 << 30  # bytes that a step's operations make, in sum: below that clearing what it takes costs nothing measured


def give_scratch(module: Module) -> Module:
    """The module with its large training functions marked; those that call others are not, which IREE refuses."""
    return each_function(module, _given)


def _given(function: Function) -> Function:
    if function.private or not function.donated or counted(function):
        return function
    made = sum(v.type.bytes for op in function.ops for v in op.results)
    calls = any(op.kind in ("call", "loop") for op in function.ops)
    return replace(function, scratch=True) if made >= LARGE and not calls else function
