"""The text of a reference as a function of the script: an activation without a row in spelling.py is said so."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any

from netc.netspec.errors import UserError
from netc.proofs_oracle.own_functions import OwnFunction
from netc.proofs_oracle.references.activation import FUNCTIONS

IMPORTED = frozenset({"jax", "jnp", "lax", "math"})  # by the script


def source_of(function: str, name: str) -> str:
    """The reference of an activation, as a function of that name; raises UserError if it cannot stand by itself."""
    reference = FUNCTIONS.get(function)
    if reference is None:
        raise UserError(f"emit-jax wants a reference of {function}, got none; write one")
    definition = _definition(reference)
    if definition is None:
        raise UserError(
            f"emit-jax wants the reference of {function} as a def or a lambda, got something else; write a def"
        )
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


def _definition(reference: Callable[..., Any]) -> ast.FunctionDef | None:
    """The def of a reference, or what a lambda says as one; None for any other."""
    try:
        text = textwrap.dedent(reference.source if isinstance(reference, OwnFunction) else inspect.getsource(reference))
    except (OSError, TypeError):  # no Python, or no file of it
        return None
    try:
        found = ast.parse(text).body[0]
    except SyntaxError:  # a line of a table
        found = None
    if isinstance(found, ast.FunctionDef):
        return found
    begins = [n for n in range(len(text)) if text.startswith("lambda", n)]
    found_here = [e for n in begins if (e := _lambda(text[n:])) is not None]
    alike = [e for e in found_here if _said(_code(e)) == _said(reference.__code__)]
    if len({ast.dump(e) for e in alike}) != 1:  # none, or two on a line that differ in what is computed alone
        return None
    made = ast.parse("def f(): return 0").body[0]
    assert isinstance(made, ast.FunctionDef)
    made.args, made.body = alike[0].args, [ast.Return(alike[0].body)]
    return ast.fix_missing_locations(made)


def _code(expression: ast.Lambda) -> CodeType:
    code = compile(ast.Expression(expression), "", "eval").co_consts[0]
    assert isinstance(code, CodeType)
    return code


def _said(code: CodeType) -> tuple[object, ...]:
    """What the code of a lambda has whatever it stands in; its instructions differ with what is imported there."""
    return code.co_consts, code.co_names, code.co_varnames


def _lambda(text: str) -> ast.Lambda | None:
    """The lambda that a text begins with, to its end."""
    for end in range(len(text), 0, -1):
        try:
            found = ast.parse(text[:end], mode="eval").body
        except (SyntaxError, ValueError):
            continue
        if isinstance(found, ast.Lambda):
            return found
    return None
