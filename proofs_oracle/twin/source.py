"""The text of a reference as a function of the script: an activation without a row in spelling.py is said so."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap

from netc.netspec.errors import UserError
from netc.proofs_oracle.own_functions import OwnFunction
from netc.proofs_oracle.references.activation import FUNCTIONS

IMPORTED = frozenset({"jax", "jnp", "lax", "math"})  # by the script


def source_of(function: str, name: str) -> str:
    """The reference of an activation, as a function of that name; raises UserError if it cannot stand by itself."""
    reference = FUNCTIONS.get(function)
    if reference is None:
        raise UserError(f"emit-jax wants a reference of {function}, got none; write one")
    text = reference.source if isinstance(reference, OwnFunction) else inspect.getsource(reference)
    definition = ast.parse(textwrap.dedent(text)).body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise UserError(f"emit-jax wants the reference of {function} as a def, got an expression; write a def")
    definition.name, definition.returns, definition.decorator_list = name, None, []
    for argument in definition.args.args:
        argument.annotation = None
    names = [node for node in ast.walk(definition) if isinstance(node, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)} | {a.arg for a in definition.args.args}
    if foreign := sorted({n.id for n in names} - bound - IMPORTED - set(dir(builtins))):
        raise UserError(
            f"emit-jax wants a reference of {function} of {', '.join(sorted(IMPORTED))} alone, got {foreign[0]}; write "
            "it in these"
        )
    return f"\n{ast.unparse(definition)}\n"
