"""Functions of one number in Lean, `def f (x : Float) : Float := ..`, and those that have a derivative `f'` beside."""

from __future__ import annotations

from itertools import count

from netc.kernels import maker
from netc.kernels.folding import MOST_POWER
from netc.kernels.ir import Binary, Call, Expr, KernelError, Select, Var, expressions, parts
from netc.kernels.lean_terms import TYPES, Scope, Terms
from netc.kernels.maker import DEEP, Wrong, meant
from netc.kernels.names import checked
from netc.netspec.errors import UserError
from netc.netspec.lean.commands import contents
from netc.netspec.lean.source import LeanError, Misread
from netc.netspec.lean.tokens import tokens
from netc.netspec.lean.tree import Apply, Block, Definition, Name, Node

DEEPEST = 30  # functions in each other
LARGEST = 5000  # operations of a function with its calls written out
LARGE = f"wants at most {LARGEST} operations with its calls and names written out; make it smaller"
Functions = dict[str, Definition]


def functions_of(text: str, file: str) -> tuple[tuple[str, Expr, Expr, str, int], ...]:
    """Each function with a derivative: name, both as expressions of x, file and line. Raises LeanError, UserError."""
    try:
        known = {".".join(d.name): d for d in contents(tokens(text.replace("\0", "\ufffd"))).definitions}
        scalar = {n: d for n, d in known.items() if len(d.parameters) == 1 and _float(d.parameters[0].type)}
        pairs = [n for n in scalar if f"{n}'" in scalar]
        if not pairs:
            lone = next((n for n in scalar if not n.endswith("'")), None)
            do = f"write def {lone}' (x : Float) : Float" if lone else "write def f (x : Float) : Float and def f'"
            raise UserError(f"{file} wants a function with its derivative, got none; {do}")
        for name in pairs:
            _name(name, known[name])
        return tuple((n, _body(n, known), _body(f"{n}'", known), file, known[n].at.line) for n in pairs)
    except Misread as error:
        raise LeanError(file, text, error.span, error.sentence) from None
    except RecursionError:
        raise KernelError(file, 0, DEEP) from None


def _float(words: tuple[str, ...]) -> bool:
    return len(words) == 1 and TYPES.get(words[0]) in ("f32", "f64")


def _name(name: str, definition: Definition) -> None:
    try:
        checked(name.rpartition(".")[2], "an activation")
    except Wrong as error:
        raise Misread(definition.at.span, str(error)) from None


def _body(name: str, known: Functions) -> Expr:
    definition = known[name]
    if definition.problem is not None:
        raise definition.problem
    value = _Terms(known, 0, count(1)).called(name, (Var("f32", definition.at.line, "x"),), definition.at.line)
    try:
        _size(value, {})
        return maker.into(value, "f32", name)
    except Wrong as error:
        raise Misread(definition.at.span, str(error)) from None


def _size(e: Expr, known: dict[int, int]) -> int:
    """Operations of an expression as `folding` writes it out, without sharing. Raises Wrong for too many."""
    if id(e) not in known:
        size = 1 + sum(_size(part, known) for part in parts(e))
        if isinstance(e, Call):
            size *= {"abs": 2, "pow": MOST_POWER}.get(e.name, 1)
        if isinstance(e, Select):
            size *= 1 + sum(isinstance(c, Binary) and c.symbol in ("&&", "||") for c in expressions(e.condition))
        if size > LARGEST:
            raise Wrong(LARGE)
        known[id(e)] = size
    return known[id(e)]


class _Terms(Terms):
    """Terms that may call the file's functions, which are written out."""

    def __init__(self, known: Functions, depth: int, made: count[int]) -> None:
        super().__init__(Scope({}), str)
        self.functions, self.depth, self.made = known, depth, made

    def called(self, name: str, args: tuple[Expr, ...], line: int) -> Expr:
        """A function of the file at these values. Raises Misread, Wrong."""
        definition = self.functions[name]
        if definition.problem is not None or definition.body is None:
            raise definition.problem or Wrong(f"{name} has no body that netc reads")
        if self.depth > DEEPEST:
            raise Wrong(f"{name} never ends: it calls itself")
        maker.counted(name, args, len(definition.parameters))
        inner = _Terms(self.functions, self.depth + 1, self.made)
        for parameter, value in zip(definition.parameters, args, strict=True):
            inner.scope.names[parameter.name] = maker.into(value, "f32", f"{name}'s {parameter.name}")
        return inner.expr(definition.body)

    def expr(self, node: Node) -> Expr:
        """As in any term, with `let`, and the functions of the file. Raises Misread."""
        if next(self.made) > 4 * LARGEST:
            raise Misread(node.at.span, LARGE)
        if isinstance(node, Block):
            return self._let(node)
        head = node.function if isinstance(node, Apply) else node
        name = ".".join(head.parts) if isinstance(head, Name) else ""
        if isinstance(node, Apply) and name in self.functions:
            try:
                return self.called(name, tuple(self.expr(a.value) for a in node.arguments), node.at.line)
            except Wrong as error:
                raise Misread(node.at.span, str(error)) from None
        return super().expr(node)

    def _let(self, node: Block) -> Expr:
        inner = _Terms(self.functions, self.depth, self.made)
        inner.scope.names |= self.scope.names
        for binding in node.bindings:
            if not isinstance(binding.pattern, Name):
                raise Misread(binding.pattern.at.span, f"wants let NAME := .., got a pattern; {meant('', ('a name',))}")
            inner.scope.names[".".join(binding.pattern.parts)] = inner.expr(binding.value)
        return inner.expr(node.body)
