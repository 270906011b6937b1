"""A module for each function that can be called: XLA compiles one function at a time, which it wants called `main`.

Each module has the function's name. What the function calls stays in its module and becomes private. Changes no
operation.
"""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.ir import Function, Module

ENTRY = "main"


def entry_modules(module: Module) -> tuple[Module, ...]:
    """One module for each public function, in order."""
    return tuple(_alone(module, function) for function in module if not function.private)


def _alone(module: Module, entry: Function) -> Module:
    def change(function: Function) -> Function:
        if function is entry:
            return replace(function, name=ENTRY)
        return replace(function, private=True, donated=0)

    return Module(entry.name, tuple(map(change, module.needed(entry.name))), module.replicas)
