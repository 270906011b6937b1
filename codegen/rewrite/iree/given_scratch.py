"""Large calls are given the memory of their transient tensors, as a last argument, on IREE's CPU.

IREE's CPU device takes that memory anew in every call and clears it, one thread alone, before the call begins: 0.1 s of
1.4 in a step of GPT-2 small, 45 ms of 270 in a prediction of mobilenet_v2 at batch 32. What it is given it takes as it
is. But what it is given is one block for the whole call, about a tenth more than it takes at once by itself: a step
that recomputes blocks, to save memory, goes without.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function, Module
from netc.codegen.location import location_of
from netc.codegen.rewrite.walk import each_function
from netc.codegen.symbolic.sizes import counted

LARGE = 1 << 30  # bytes that a step's operations make, in sum: below that clearing what it takes costs nothing measured
# The same of functions that only look at a state: below that they took as long, and a quarter more memory.
LOOKING = {"eval_step": 8 << 30, "predict": 8 << 30}


def give_scratch(module: Module) -> Module:
    """The module with its large functions marked; not those that call others, which IREE refuses."""
    return each_function(module, _given)


def _given(function: Function) -> Function:
    large = LARGE if function.donated else LOOKING.get(function.name)
    if function.private or large is None or counted(function) or function.made < large:
        return function
    without = any(op.kind in ("call", "loop") or location_of(op.loc).phase == "remat" for op in function.ops)
    return function if without else replace(function, scratch=True)
