"""Kernels in Python: functions under `@kernel`, read from their text by `ast` and never executed."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from netc.kernels import maker
from netc.kernels.ir import (
    Array,
    Assign,
    Barrier,
    Const,
    Expr,
    For,
    If,
    Kernel,
    KernelError,
    Let,
    Scalar,
    Stmt,
    Var,
    While,
)
from netc.kernels.maker import DEEP, Wrong, refuse_deep
from netc.kernels.names import Names, checked
from netc.kernels.python_terms import TYPES, Terms

DECORATOR = "kernel"
ATOMICS = ("atomic_add", "atomic_min", "atomic_max")
DEEPEST = 40  # blocks in each other
BEYOND: dict[type[ast.stmt], str] = {
    ast.Return: "`return` ends one thread, which would miss the barriers; put the rest into an `if`",
    ast.Break: "`break` is not known here; give the loop a condition",
    ast.Continue: "`continue` is not known here; put the rest into an `if`",
}


def kernels_of(text: str, file: str) -> tuple[Kernel, ...]:
    """The functions of a Python text that stand under `@kernel`. Raises KernelError for one that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of another's text: "invalid decimal literal"
            tree = ast.parse(text, file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        raise KernelError(file, line, f"wants Python, got {getattr(error, 'msg', error)}; fix it") from None
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and any(map(_is_kernel, n.decorator_list))]
    try:
        constants = _constants(tree)
        return tuple(refuse_deep(_Reader(node, constants, file).kernel()) for node in functions)
    except RecursionError:
        raise KernelError(file, 0, DEEP) from None


def _is_kernel(node: ast.expr) -> bool:
    return getattr(node, "id", getattr(node, "attr", "")) == DECORATOR


def _constants(tree: ast.Module) -> dict[str, Const]:
    """The numbers that the module gives names: `TILE = 16`."""
    found: dict[str, Const] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                value = Terms(dict(found)).expr(node.value)
            except Wrong:
                continue  # a name of something else
            if isinstance(value, Const):
                found[node.targets[0].id] = value
    return found


@dataclass
class _Reader:
    """One function."""

    node: ast.FunctionDef
    constants: dict[str, Const]
    file: str
    depth: int = 0

    def kernel(self) -> Kernel:
        """The kernel that the function is. Raises KernelError."""
        node = self.node
        a = node.args
        if a.vararg or a.kwarg or a.kwonlyargs or a.defaults or a.posonlyargs:
            raise KernelError(
                self.file, node.lineno, "a kernel's arguments want names and types only, such as N: int32"
            )
        scalars: list[Scalar] = []
        arrays: list[Array] = []
        for argument in a.args:
            made = self.at(argument, partial(self._argument, argument))
            (arrays if isinstance(made, Array) else scalars).append(made)
        self.at(node, lambda: checked(node.name, "a kernel"))
        self.names = Names((node.name, *(s.name for s in scalars), *(r.name for r in arrays)))
        self.counts = _assigned(node)
        self.loops = Counter(
            n.target.id for n in ast.walk(node) if isinstance(n, ast.For) and isinstance(n.target, ast.Name)
        )
        self.counting: set[str] = set()
        scope: dict[str, Expr | Array] = {**self.constants}
        scope |= {s.name: Var(s.type, node.lineno, s.name) for s in scalars}
        scope |= {r.name: r for r in arrays}
        doc = ast.get_docstring(node) or ""
        body = self._block(node.body[1:] if doc else node.body, scope)
        return Kernel(node.name, tuple(scalars), tuple(arrays), body, self.file, node.lineno, doc)

    def at(self, node: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes; what it finds wrong stands at the node's line."""
        try:
            return make()
        except Wrong as error:
            raise KernelError(self.file, node.lineno, str(error)) from None

    def _argument(self, argument: ast.arg) -> Scalar | Array:
        name, kind = checked(argument.arg, "an argument"), argument.annotation
        said = f"{name} wants a type: {', '.join(TYPES)}, Array[float32] or Shared[float32, 256]"
        if isinstance(kind, ast.Subscript):
            head = getattr(kind.value, "id", getattr(kind.value, "attr", ""))
            parts = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
            element = TYPES.get(getattr(parts[0], "id", getattr(parts[0], "attr", ""))) if parts else None
            if head not in ("Array", "Shared") or element in (None, "bool") or len(parts) > 1 + (head == "Shared"):
                raise Wrong(f"{said}, got {ast.unparse(kind)}")
            size = Terms(dict(self.constants)).expr(parts[1]) if len(parts) > 1 else Const("i32", 0, 0)
            if not isinstance(size, Const) or size.type != "i32" or not len(parts) - 1 <= size.value < 2**20:
                raise Wrong(f"{said}, got {ast.unparse(kind)}")
            return Array(name, element, head == "Shared", int(size.value))
        scalar = TYPES.get(getattr(kind, "id", getattr(kind, "attr", "")))
        if scalar is None:
            raise Wrong(f"{said}, got {ast.unparse(kind) if kind else 'none'}")
        return Scalar(name, scalar)

    def _block(self, body: list[ast.stmt], scope: dict[str, Expr | Array]) -> tuple[Stmt, ...]:
        self.depth += 1
        if self.depth > DEEPEST:
            raise KernelError(self.file, body[0].lineno, f"wants blocks nested at most {DEEPEST} deep")
        found: list[Stmt] = []
        for node in body:
            read = _STATEMENTS.get(type(node))
            if read is None:
                word = type(node).__name__.lower()
                raise KernelError(self.file, node.lineno, BEYOND.get(type(node), f"`{word}` is not known in a kernel"))
            found += self.at(node, partial(read, self, node, scope))
        self.depth -= 1
        return tuple(found)

    def _inner(self, body: list[ast.stmt], scope: dict[str, Expr | Array]) -> tuple[Stmt, ...]:
        return self._block(body, dict(scope))

    def _gives(self, name: str, value: Expr, scope: dict[str, Expr | Array], line: int) -> list[Stmt]:
        """`name = value`."""
        known = scope.get(name)
        if isinstance(known, Array) or (isinstance(known, Var) and known.name == name and name in self._scalars()):
            raise Wrong(f"{name} is an argument and keeps its value; choose another name")
        if isinstance(known, Var) and self.counts[name] > 1:
            return [Assign(line, known.name, maker.into(value, known.type, name))]
        if isinstance(value, Const) and value.free and self.counts[name] == 1:
            scope[name] = value
            return []
        value = maker.settled(value)
        unique = self.names.fresh(name)
        scope[name] = Var(value.type, line, unique)
        return [Let(line, unique, value, self.counts[name] > 1)]

    def _scalars(self) -> set[str]:
        return {a.arg for a in self.node.args.args}

    def _assign(self, node: ast.Assign, scope: dict[str, Expr | Array]) -> list[Stmt]:
        if len(node.targets) != 1:
            raise Wrong("wants one name before =, got several")
        target, value = node.targets[0], node.value
        if not isinstance(target, ast.Tuple):
            return self._to(target, Terms(scope).expr(value), scope, node.lineno)
        if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
            raise Wrong(f"wants {len(target.elts)} values after =, got {ast.unparse(value)[:60]}")
        terms = Terms(dict(scope))
        if any(isinstance(n, ast.Name) and n.id in _stored(target) for n in ast.walk(value)):
            raise Wrong("an assignment of several values cannot read the names that it changes; write a line for each")
        values = [terms.expr(v) for v in value.elts]
        return [s for t, v in zip(target.elts, values, strict=True) for s in self._to(t, v, scope, node.lineno)]

    def _annotated(self, node: ast.AnnAssign, scope: dict[str, Expr | Array]) -> list[Stmt]:
        kind = TYPES.get(getattr(node.annotation, "id", ""))
        if kind is None or node.value is None:
            raise Wrong(f"wants name: TYPE = value, of {', '.join(TYPES)}")
        name = ast.unparse(node.target)
        return self._to(node.target, maker.into(Terms(scope).expr(node.value), kind, name), scope, node.lineno)

    def _changed(self, node: ast.AugAssign, scope: dict[str, Expr | Array]) -> list[Stmt]:
        terms = Terms(scope)
        old = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node)
        for part in ast.walk(old):
            ast.copy_location(part, node)
        value = terms.operated(node.op, terms.expr(old), terms.expr(node.value), node.lineno)
        return self._to(node.target, value, scope, node.lineno)

    def _to(self, target: ast.expr, value: Expr, scope: dict[str, Expr | Array], line: int) -> list[Stmt]:
        if isinstance(target, ast.Name):
            return self._gives(target.id, value, scope, line)
        if isinstance(target, ast.Subscript):
            terms = Terms(scope)
            return [maker.store(terms.array(target.value), terms.expr(target.slice), value, line)]
        raise Wrong(f"wants a name or an element before =, got {ast.unparse(target)}")

    def _does(self, node: ast.Expr, scope: dict[str, Expr | Array]) -> list[Stmt]:
        call = node.value
        name = getattr(call.func, "id", getattr(call.func, "attr", "")) if isinstance(call, ast.Call) else ""
        if isinstance(call, ast.Constant) and isinstance(call.value, str):
            return []
        if isinstance(call, ast.Call) and name == "barrier":
            maker.counted(name, tuple(call.args), 0)
            return [Barrier(node.lineno)]
        if isinstance(call, ast.Call) and name in ATOMICS:
            maker.counted(name, tuple(call.args), 3)
            terms = Terms(scope)
            array, index, value = terms.array(call.args[0]), terms.expr(call.args[1]), terms.expr(call.args[2])
            return [maker.atomic(name.removeprefix("atomic_"), array, index, value, node.lineno)]
        known = ("barrier()", *(f"{a}(array, index, value)" for a in ATOMICS))
        raise Wrong(f"wants a statement, got {ast.unparse(node)[:60]}; there are {', '.join(known)}")

    def _nothing(self, node: ast.Pass, scope: dict[str, Expr | Array]) -> list[Stmt]:
        return []

    def _condition(self, node: ast.expr, scope: dict[str, Expr | Array]) -> Expr:
        value = Terms(scope).expr(node)
        if value.type != "bool":
            raise Wrong("wants a comparison, got a number; write x != 0")
        return value

    def _if(self, node: ast.If, scope: dict[str, Expr | Array]) -> list[Stmt]:
        condition = self._condition(node.test, scope)
        return [If(node.lineno, condition, self._inner(node.body, scope), self._inner(node.orelse, scope))]

    def _while(self, node: ast.While, scope: dict[str, Expr | Array]) -> list[Stmt]:
        if node.orelse:
            raise Wrong("`while` wants no else")
        return [While(node.lineno, self._condition(node.test, scope), self._inner(node.body, scope))]

    def _for(self, node: ast.For, scope: dict[str, Expr | Array]) -> list[Stmt]:
        call, line = node.iter, node.lineno
        named = isinstance(call, ast.Call) and getattr(call.func, "id", "") == "range" and not call.keywords
        if not named or node.orelse or not isinstance(node.target, ast.Name):
            raise Wrong(f"wants for NAME in range(..), got {ast.unparse(node).splitlines()[0]}")
        assert isinstance(call, ast.Call)
        bounds = [maker.into(Terms(scope).expr(a), "i32", "a range") for a in call.args]
        if not 1 <= len(bounds) <= 3:
            raise Wrong(f"range wants one to three numbers, got {len(bounds)}")
        zero, one = (maker.settled(maker.literal(n, line)) for n in (0, 1))
        start, stop, step = {1: (zero, *bounds, one), 2: (*bounds, one), 3: tuple(bounds)}[len(bounds)]
        if isinstance(step, Const) and step.value <= 0:
            raise Wrong(f"a range's step wants 1 or more, got {step.value}")
        inner = dict(scope)
        unique = self.names.fresh(node.target.id)
        inner[node.target.id] = Var("i32", line, unique)
        name = node.target.id
        if self.counts[name] > self.loops[name] or name in self.counting:
            raise Wrong(f"{name} counts this loop and is assigned elsewhere; choose another name")
        self.counting.add(name)
        body = self._block(node.body, inner)
        self.counting.discard(name)
        scope.pop(name, None)  # behind the loop Python has its last number, and a kernel none
        return [For(line, unique, start, stop, step, body)]


def _stored(node: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _assigned(node: ast.FunctionDef) -> Counter[str]:
    """How often each name is assigned; in a loop it changes, too."""
    found: Counter[str] = Counter()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found[inner.id] += 1
    return found


_STATEMENTS: dict[type[ast.stmt], Callable[[_Reader, Any, dict[str, Expr | Array]], list[Stmt]]] = {
    ast.Assign: _Reader._assign,
    ast.AnnAssign: _Reader._annotated,
    ast.AugAssign: _Reader._changed,
    ast.Expr: _Reader._does,
    ast.Pass: _Reader._nothing,
    ast.If: _Reader._if,
    ast.While: _Reader._while,
    ast.For: _Reader._for,
}
