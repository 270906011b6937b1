"""Drops operations that no result needs. Does not drop unused arguments: they are the function's signature.

A loop or a joint barrier stays whole while one of its results is needed.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function, Module
from netc.codegen.rewrite.walk import each_function


def dce(module: Module) -> Module:
    """The module without dead operations."""
    return each_function(module, _dce)


def _dce(function: Function) -> Function:
    live = set(function.results)
    kept = []
    for op in reversed(function.ops):
        if op.result in live or (op.extra_results and not live.isdisjoint(op.extra_results)):
            live.update(op.operands)
            kept.append(op)
    return replace(function, ops=tuple(reversed(kept))) if len(kept) < len(function.ops) else function
