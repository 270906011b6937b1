"""Lean's expressions in kernels: a tree of the parser into a typed expression."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netc.kernels import maker
from netc.kernels.ir import AXES, PLACES, Array, Const, Expr, Let, Place, Stmt, Type, Var
from netc.kernels.maker import Wrong
from netc.netspec.lean.source import Misread
from netc.netspec.lean.tokens import Token
from netc.netspec.lean.tree import (
    Apply,
    Ascribed,
    Binary,
    Group,
    If,
    Literal,
    Name,
    Node,
    Project,
    Unary,
)

TYPES: dict[str, Type] = {
    "Nat": "i32", "Int": "i32", "Int32": "i32", "Float": "f32", "Float32": "f32", "Float64": "f64", "Double": "f64",
    "UInt8": "u8", "Bool": "bool",
}  # fmt: skip
"""A kernel's `Float` is a float, as cLean's CUDA has it."""
SYMBOLS = {
    "≤": "<=", "≥": ">=", "≠": "!=", "=": "==", "∧": "&&", "∨": "||",
    **{s: s for s in ("+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||")},
}  # fmt: skip
CASTS: dict[str, Type] = {
    "toFloat": "f32", "toFloat32": "f32", "toFloat64": "f64", "toNat": "i32", "toInt": "i32", "toInt32": "i32",
    "toUInt8": "u8", "ofNat": "f32", "ofInt": "f32",
}  # fmt: skip
METHOD = re.compile("get|set|atomic[A-Z][a-z]*")
INDICES = {f"{name}{axis.upper()}": (name, n) for name in PLACES for n, axis in enumerate(AXES)}
GLOBAL = {f"globalIdx{axis.upper()}": n for n, axis in enumerate(AXES)}


@dataclass(frozen=True, slots=True)
class Nested(Node):
    """`(← action)`."""

    action: Node


@dataclass
class Scope:
    """What names mean, in the block that is read and those around it."""

    names: dict[str, Expr | Array | str]  # a string: the arguments, the context, or a word for it
    mutable: set[str] = field(default_factory=set)  # by their names in the kernel

    def inner(self) -> Scope:
        """The scope of a block within."""
        return Scope(dict(self.names), self.mutable)


def _remains(left: Expr, right: Expr) -> bool:
    """Whether two whole literals do not divide: their quotient depends on the type that Lean gives it."""
    both = left, right
    if not all(isinstance(e, Const) and e.free and e.type == "i32" for e in both):
        return False
    a, b = (int(e.value) for e in both if isinstance(e, Const))
    return b != 0 and a % b != 0


def global_index(axis: int, line: int) -> Expr:
    """blockIdx * blockDim + threadIdx."""
    block, size, thread = (Place("i32", line, p, axis) for p in ("blockIdx", "blockDim", "threadIdx"))
    return maker.binary("+", maker.binary("*", block, size, line), thread, line)


def type_of(words: tuple[str, ...], at: Token) -> Type:
    """A number's type. Raises Misread."""
    word = words[0] if len(words) == 1 else " ".join(words)
    if word not in TYPES:
        raise Misread(at.span, f"wants a type, got {word or 'none'}; {maker.meant(word, TYPES)}")
    return TYPES[word]


@dataclass
class Terms:
    """Reads terms in a scope. `before` takes the statements that a nested action needs."""

    scope: Scope
    fresh: Callable[[str], str]
    before: list[Stmt] = field(default_factory=list)

    def expr(self, node: Node) -> Expr:
        """The expression that a term is. Raises Misread."""
        read = _READERS.get(type(node))
        if read is None:
            raise Misread(node.at.span, f"wants a number or a comparison, got {node.at.text}; kernels have no others")
        try:
            return read(self, node)
        except Wrong as error:
            raise Misread(node.at.span, str(error)) from None

    def action(self, node: Node) -> Expr:
        """What an action gives: an element, an index, or `pure x`. Raises Misread."""
        if isinstance(node, Group) and len(node.items) == 1 and not node.anonymous:
            return self.action(node.items[0])
        head, args = applied(node)
        parts = head.parts if isinstance(head, Name) else ()
        line = node.at.line
        try:
            if len(parts) == 1 and not args:
                if parts[0] in GLOBAL:
                    return global_index(GLOBAL[parts[0]], line)
                if parts[0] in INDICES:
                    return Place("i32", line, *INDICES[parts[0]])
            if parts == ("pure",):
                maker.counted("pure", args, 1)
                return self.expr(args[0])
            if len(parts) > 1 and parts[-1] == "get":
                maker.counted("get", args, 1)
                return maker.load(self.array(head), self.expr(args[0]), line)
        except Wrong as error:
            raise Misread(node.at.span, str(error)) from None
        word = ".".join(parts) or node.at.text
        actions = ("globalIdxX", "globalIdxY", "threadIdxX", "blockIdxX", "blockDimX", "ARRAY.get i")
        raise Misread(node.at.span, f"wants an action after ←, got {word}; {maker.meant(word, actions)}")

    def array(self, node: Node) -> Array:
        """The array before `.get` or `.set`, or what `args.x` names. Raises Misread."""
        parts = node.parts if isinstance(node, Name) else ()
        parts = parts[:-1] if len(parts) > 1 and METHOD.fullmatch(parts[-1]) else parts
        found = self.scope.names.get(".".join(parts))
        if not isinstance(found, Array):
            arrays = [n for n, m in self.scope.names.items() if isinstance(m, Array)]
            word = ".".join(parts) or node.at.text
            raise Misread(node.at.span, f"wants an array, got {word}; {maker.meant(word, arrays)}")
        return found

    def _literal(self, node: Node) -> Expr:
        assert isinstance(node, Literal)
        if isinstance(node.value, str):
            raise Wrong("wants a number, got a text")
        return maker.literal(node.value, node.at.line)

    def _name(self, node: Node) -> Expr:
        assert isinstance(node, Name)
        for size in range(len(node.parts), 0, -1):
            found = self.scope.names.get(".".join(node.parts[:size]))
            if isinstance(found, Expr):
                return self._fields(replace(found, line=node.at.line), node.parts[size:], node.at.line)
            if found == "context":
                return _place(node.parts[size:], node.at.line)
        if node.parts[0] in ("true", "false"):
            return maker.literal(node.parts[0] == "true", node.at.line)
        if node.parts[0] in PLACES:
            return _place(node.parts, node.at.line)
        word = ".".join(node.parts)
        if isinstance(self.scope.names.get(word), Array):
            raise Wrong(f"wants a number, got the array {word}; read an element: let v ← {word}.get i")
        if word in (*INDICES, *GLOBAL):
            raise Wrong(f"{word} is an action; write let i ← {word}")
        raise Wrong(f"no name {word} is known here; {maker.meant(word, self.known())}")

    def known(self) -> list[str]:
        """The names that stand for numbers."""
        return [n for n, m in self.scope.names.items() if isinstance(m, Expr)]

    def _fields(self, value: Expr, names: tuple[str, ...], line: int) -> Expr:
        """`x.toFloat`, `x.exp`, `x.abs`."""
        for name in names:
            value = maker.cast(value, CASTS[name], line) if name in CASTS else maker.call(name, (value,), line)
        return value

    def _apply(self, node: Node) -> Expr:
        assert isinstance(node, Apply)
        head, line = node.function, node.at.line
        args = tuple(self.expr(a.value) for a in node.arguments)
        if not isinstance(head, Name):
            raise Wrong("wants a function's name")
        *before, name = head.parts
        if name in ("get", "set"):
            raise Wrong(f"{name} is an action; write let v ← {'.'.join(head.parts)} ..")
        if before and (owner := self.scope.names.get(".".join(before))) is not None and isinstance(owner, Expr):
            args = (owner, *args)  # x.max y
        if name in CASTS:
            maker.counted(name, args, 1)
            return maker.cast(
                args[0], TYPES.get(".".join(before), CASTS[name]) if name[:2] == "of" else CASTS[name], line
            )
        return maker.call(name, args, line)

    def _binary(self, node: Node) -> Expr:
        assert isinstance(node, Binary)
        if node.symbol not in SYMBOLS:
            known = " ".join(dict.fromkeys(SYMBOLS.values()))
            raise Wrong(f"wants an operator of numbers, got {node.symbol}; there are {known}")
        left, right = self.expr(node.left), self.expr(node.right)
        if node.symbol == "/" and _remains(left, right):
            raise Wrong("/ of two whole numbers leaves a remainder, which a Float keeps and a Nat drops; write 1.0 / 2")
        return maker.binary(SYMBOLS[node.symbol], left, right, node.at.line)

    def _unary(self, node: Node) -> Expr:
        assert isinstance(node, Unary)
        make = maker.negative if node.symbol == "-" else maker.negated
        return make(self.expr(node.operand), node.at.line)

    def _if(self, node: Node) -> Expr:
        assert isinstance(node, If)
        value = self.expr(node.otherwise)
        for condition, then in reversed(node.cases):
            value = maker.select(self.expr(condition), self.expr(then), value, node.at.line)
        return value

    def _project(self, node: Node) -> Expr:
        assert isinstance(node, Project)
        return self._fields(self.expr(node.value), (node.name,), node.at.line)

    def _group(self, node: Node) -> Expr:
        assert isinstance(node, Group)
        if len(node.items) != 1 or node.anonymous:
            raise Wrong("wants one number in the brackets")
        return self.expr(node.items[0])

    def _ascribed(self, node: Node) -> Expr:
        assert isinstance(node, Ascribed)
        wanted, value = type_of(node.type, node.at), self.expr(node.value)
        if wanted in ("f32", "f64") and value.type in ("i32", "u8"):
            return maker.cast(value, wanted, node.at.line)  # Lean's ↑ from Nat
        return maker.into(value, wanted, "the value")

    def _nested(self, node: Node) -> Expr:
        assert isinstance(node, Nested)
        name = self.fresh("v")
        value = self.action(node.action)
        self.before.append(Let(node.at.line, name, value))
        return Var(value.type, node.at.line, name)


def applied(node: Node) -> tuple[Node, tuple[Node, ...]]:
    """A function and its arguments."""
    if isinstance(node, Apply):
        return node.function, tuple(a.value for a in node.arguments)
    return node, ()


def _place(parts: tuple[str, ...], line: int) -> Expr:
    if len(parts) != 2 or parts[0] not in PLACES or parts[1] not in AXES:
        known = [f"{p}.{a}" for p in PLACES for a in AXES]
        raise Wrong(f"wants an index of the thread, got {'.'.join(parts)}; {maker.meant('.'.join(parts), known)}")
    return Place("i32", line, parts[0], AXES.index(parts[1]))


_READERS: dict[type[Node], Callable[[Terms, Node], Expr]] = {
    Literal: Terms._literal,
    Name: Terms._name,
    Apply: Terms._apply,
    Binary: Terms._binary,
    Unary: Terms._unary,
    If: Terms._if,
    Project: Terms._project,
    Group: Terms._group,
    Ascribed: Terms._ascribed,
    Nested: Terms._nested,
}
