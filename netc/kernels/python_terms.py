"""Python's expressions in kernels: a node of `ast` into a typed expression."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netc.kernels import maker
from netc.kernels.ir import AXES, FLOATS, Array, Expr, Place, Type
from netc.kernels.lean_terms import global_index
from netc.kernels.maker import Wrong

TYPES: dict[str, Type] = {"float32": "f32", "float64": "f64", "int32": "i32", "uint8": "u8", "bool": "bool"}
PLACES = {
    "thread_idx": "threadIdx", "block_idx": "blockIdx", "block_dim": "blockDim", "grid_dim": "gridDim",
    "global_idx": "",
}  # fmt: skip
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """Reads terms in a scope. Every method raises Wrong."""

    names: Mapping[str, Expr | Array]

    def expr(self, node: ast.expr) -> Expr:
        """The expression that a term is."""
        read = _READERS.get(type(node))
        if read is None:
            raise Wrong(f"wants a number or a comparison, got {ast.unparse(node)[:60]}; kernels have no others")
        return read(self, node)

    def array(self, node: ast.expr) -> Array:
        """The array of that name."""
        found = self.names.get(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(found, Array):
            arrays = [n for n, m in self.names.items() if isinstance(m, Array)]
            word = ast.unparse(node)[:60]
            raise Wrong(f"wants an array, got {word}; {maker.meant(word, arrays)}")
        return found

    def operated(self, operator: ast.operator, left: Expr, right: Expr, line: int) -> Expr:
        """`left operator right`."""
        symbol = OPERATORS.get(type(operator))
        if symbol is None:
            raise Wrong(f"wants one of {' '.join(OPERATORS.values())}, got {type(operator).__name__}")
        if symbol == "**":
            return maker.call("pow", (left, right), line)
        made = maker.binary("/" if symbol == "//" else symbol, left, right, line)
        if symbol == "/" and made.type not in FLOATS:
            raise Wrong("/ wants floats, got integers; // divides integers and rounds to zero")
        if symbol == "//" and made.type in FLOATS:
            raise Wrong("// wants integers, got floats; write floor(x / y)")
        return made

    def _constant(self, node: ast.Constant) -> Expr:
        if not isinstance(node.value, int | float):
            raise Wrong(f"wants a number, got {ast.unparse(node)[:60]}")
        return maker.literal(node.value, node.lineno)

    def _name(self, node: ast.Name) -> Expr:
        found = self.names.get(node.id)
        if isinstance(found, Expr):
            return replace(found, line=node.lineno)
        if isinstance(found, Array):
            raise Wrong(f"wants a number, got the array {node.id}; read an element: {node.id}[i]")
        known = [n for n, m in self.names.items() if isinstance(m, Expr)]
        raise Wrong(f"{node.id} does not have a value on every path to here; {maker.meant(node.id, known)}")

    def _attribute(self, node: ast.Attribute) -> Expr:
        word = ast.unparse(node)
        place = getattr(node.value, "id", "")
        if place not in PLACES or node.attr not in AXES:
            raise Wrong(f"wants an index, got {word}; {maker.meant(word, [f'{p}.{a}' for p in PLACES for a in AXES])}")
        axis = AXES.index(node.attr)
        return Place("i32", node.lineno, PLACES[place], axis) if PLACES[place] else global_index(axis, node.lineno)

    def _subscript(self, node: ast.Subscript) -> Expr:
        return maker.load(self.array(node.value), self.expr(node.slice), node.lineno)

    def _binary(self, node: ast.BinOp) -> Expr:
        return self.operated(node.op, self.expr(node.left), self.expr(node.right), node.lineno)

    def _unary(self, node: ast.UnaryOp) -> Expr:
        value = self.expr(node.operand)
        if isinstance(node.op, ast.USub):
            return maker.negative(value, node.lineno)
        if isinstance(node.op, ast.Not):
            return maker.negated(value, node.lineno)
        raise Wrong(f"wants - or not, got {ast.unparse(node)[:60]}")

    def _logic(self, node: ast.BoolOp) -> Expr:
        symbol = "&&" if isinstance(node.op, ast.And) else "||"
        value = self.expr(node.values[0])
        for other in node.values[1:]:
            value = maker.binary(symbol, value, self.expr(other), node.lineno)
        return value

    def _compare(self, node: ast.Compare) -> Expr:
        terms = [node.left, *node.comparators]
        found: Expr | None = None
        for left, operator, right in zip(terms, node.ops, terms[1:], strict=False):
            if type(operator) not in COMPARISONS:
                raise Wrong(f"wants one of {' '.join(COMPARISONS.values())}, got {ast.unparse(node)[:60]}")
            one = maker.binary(COMPARISONS[type(operator)], self.expr(left), self.expr(right), node.lineno)
            found = maker.binary("&&", found, one, node.lineno) if found else one
        assert found is not None
        return found

    def _choice(self, node: ast.IfExp) -> Expr:
        return maker.select(self.expr(node.test), self.expr(node.body), self.expr(node.orelse), node.lineno)

    def _call(self, node: ast.Call) -> Expr:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if node.keywords:
            raise Wrong(f"{name} takes its arguments by position only")
        args = tuple(self.expr(a) for a in node.args)
        if name in TYPES and name != "bool":
            maker.counted(name, args, 1)
            return maker.cast(args[0], TYPES[name], node.lineno)
        return maker.call(name or ast.unparse(node.func)[:40], args, node.lineno)


_READERS: dict[type[ast.expr], Callable[[Terms, Any], Expr]] = {
    ast.Constant: Terms._constant,
    ast.Name: Terms._name,
    ast.Attribute: Terms._attribute,
    ast.Subscript: Terms._subscript,
    ast.BinOp: Terms._binary,
    ast.UnaryOp: Terms._unary,
    ast.BoolOp: Terms._logic,
    ast.Compare: Terms._compare,
    ast.IfExp: Terms._choice,
    ast.Call: Terms._call,
}
