"""Tokens into expressions: Lean's precedences, and its layout where that decides what an argument is."""

from __future__ import annotations

from collections.abc import Callable

from netc.netspec.lean.forms import Forms
from netc.netspec.lean.source import Misread
from netc.netspec.lean.stream import KEYWORDS, PAIRS, dotted_parts, shown
from netc.netspec.lean.tokens import Kind, Token
from netc.netspec.lean.tree import (
    Apply,
    Argument,
    Ascribed,
    Binary,
    Dot,
    Function,
    Group,
    Hole,
    Index,
    Interpolated,
    Items,
    Literal,
    Name,
    Node,
    Parameter,
    Project,
    Unary,
)

DEEPEST = 100  # expressions in each other
# symbol: (level, level of the operand on its right); a right operand of the same level associates to the right
BINARY = {
    "<|": (10, 10), "$": (10, 10), "|>": (10, 11), "||": (30, 31), "∨": (30, 30), "&&": (35, 36), "∧": (35, 35),
    **dict.fromkeys(("==", "!=", "=", "≠", "<", ">", "<=", ">=", "≤", "≥"), (50, 51)),
    "+": (65, 66), "-": (65, 66), "++": (65, 66), "::": (67, 67), "*": (70, 71), "/": (70, 71), "%": (70, 71),
    "^": (75, 75), "∘": (90, 90),
}  # fmt: skip
PIPE_FIELD = 10  # the level of `|>.`
BEYOND = {
    "do": "a `do` block", "have": "`have`", "show": "`show`", "calc": "`calc`", "suffices": "`suffices`",
    "for": "a loop", "return": "`return`", "try": "`try`", "unless": "`unless`", "open": "`open .. in` an expression",
    "set_option": "`set_option .. in` an expression", "nomatch": "`nomatch`", "nofun": "`nofun`", "unsafe": "`unsafe`",
}  # fmt: skip
START = frozenset(("(", "[", "#[", "⟨", "{", "·", "λ"))  # symbols that begin an argument
LITERALS = frozenset((Kind.NUMBER, Kind.STRING, Kind.CHARACTER))


class Parser(Forms):
    """Reads one command's tokens, of which the last is END. Every method raises Misread."""

    holes: list[str] | None = None  # the `·` of the innermost parentheses

    def expression(self, level: int = 0) -> Node:
        """Operators of at least this level, and their operands."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Misread(self.token.span, f"wants expressions nested at most {DEEPEST} deep; name the inner ones")
        left = self.operand()
        while self.token.kind is Kind.SYMBOL:
            symbol = self.token.text
            if symbol == "|>." and level <= PIPE_FIELD:
                self.take()
                field = self.take()
                if field.kind not in (Kind.NAME, Kind.NUMBER):
                    raise Misread(field.span, f"wants a function or field after |>., got {shown(field)}")
                left = self.postfix(_projected(left, field))
                left = self.applied(left)
                continue
            if symbol not in BINARY or BINARY[symbol][0] < level:
                break
            at = self.take()
            if BINARY[symbol][1] != BINARY[symbol][0]:
                left = Binary(at, symbol, left, self.expression(BINARY[symbol][1]))
            else:
                left = self._to_the_right(left, at)
        self.depth -= 1
        return left

    def _to_the_right(self, left: Node, at: Token) -> Node:
        """`a :: b :: c` is `a :: (b :: c)`: the operands in order first, so that a long chain nests no calls."""
        operands, symbols = [left], [at]
        level = BINARY[at.text][0]
        while True:
            operands.append(self.expression(level + 1))
            if self.token.text not in BINARY or BINARY[self.token.text] != (level, level):
                break
            symbols.append(self.take())
        node = operands.pop()
        for symbol in reversed(symbols):
            node = Binary(symbol, symbol.text, operands.pop(), node)
        return node

    def operand(self) -> Node:
        """An application, or what a keyword or a sign begins."""
        token = self.token
        if token.kind is Kind.NAME:
            special = _SPECIAL.get(token.text)
            if special is not None:
                return special(self)
        elif token.kind is Kind.SYMBOL:
            if token.text in ("-", "!", "¬"):
                self.take()
                return Unary(token, "-" if token.text == "-" else "!", self.expression(75 if token.text == "-" else 40))
            if token.text == "↑":
                self.take()
                return self.operand()
        return self.applied(self.atom())

    def applied(self, function: Node) -> Node:
        """The function with the arguments that follow it."""
        arguments: list[Argument] = []
        while self.starts_argument():
            if self.token.text == "(" and self.ahead(2).text == ":=" and self.ahead().kind is Kind.NAME:
                opened, name = self.take(), self.take()
                self.take()
                with self.layout(0):
                    arguments.append(Argument(self.expression(), ".".join(dotted_parts(name.text))))
                self.close(opened)
            else:
                arguments.append(Argument(self.atom()))
        return Apply(function.at, function, tuple(arguments)) if arguments else function

    def starts_argument(self) -> bool:
        """Whether the next token begins an argument."""
        token = self.token
        if token.column <= self.column:
            return False
        if token.kind is Kind.NAME:
            return token.text in ("fun", "do") or token.text not in KEYWORDS
        if token.kind is Kind.SYMBOL:
            return token.text in START or (token.text == "." and self.ahead().kind is Kind.NAME)
        return token.kind in LITERALS or token.kind is Kind.INTERPOLATED

    def atom(self) -> Node:
        """What no space divides: a literal, a name, something in brackets, with the fields and indices after it."""
        token = self.token
        if token.kind in LITERALS:
            self.take()
            assert not isinstance(token.value, tuple)
            return self.postfix(Literal(token, token.value))
        if token.kind is Kind.INTERPOLATED:
            return self.postfix(self.interpolated())
        if token.kind is Kind.NAME:
            if token.text in ("fun", "by"):
                return _SPECIAL[token.text](self)
            if token.text in BEYOND:
                raise Misread(
                    token.span, f"{BEYOND[token.text]} is beyond what netc reads of Lean; write a plain value"
                )
            if token.text not in KEYWORDS:
                self.take()
                return self.postfix(Hole(token) if token.text == "_" else Name(token, dotted_parts(token.text)))
        if token.kind is Kind.SYMBOL and token.text in _BRACKETS:
            with self.layout(0):
                node = _BRACKETS[token.text](self)
            return self.postfix(node)
        if token.text == "." and self.ahead().kind is Kind.NAME:
            self.take()
            name = self.take()
            return self.postfix(_fields(Dot(name, dotted_parts(name.text)[0]), name, dotted_parts(name.text)[1:]))
        if token.text == "·" and self.holes is not None:
            self.take()
            self.holes.append(f"·{len(self.holes)}")
            return self.postfix(Name(token, (self.holes[-1],)))
        if token.text == "λ":
            return self.function()
        raise Misread(token.span, f"wants an expression, got {shown(token)}")

    def postfix(self, node: Node) -> Node:
        """`.field`, `.1` and `[index]`, which follow without a space."""
        while not self.token.spaced and not self.token.first:
            token = self.token
            if token.kind is Kind.INDEX:
                node = Project(self.take(), node, str(token.value))
            elif token.text == "." and token.kind is Kind.SYMBOL and self.ahead().kind is Kind.NAME:
                self.take()
                node = _projected(node, self.take())
            elif token.text == "[" and token.kind is Kind.SYMBOL:
                opened = self.take()
                with self.layout(0):
                    index = self.expression()
                self.close(opened)
                mode = ""
                if self.token.text in ("!", "?") and not self.token.spaced:
                    mode = self.take().text
                elif self.token.text == "'" and self.ahead().text == "(":
                    self.take()
                    self.atom()  # the proof that the index is in bounds
                node = Index(opened, node, index, mode)
            else:
                break
        return node

    def interpolated(self) -> Node:
        """`s!"..."`: the tokens of each brace are read as an expression."""
        token = self.take()
        assert isinstance(token.value, tuple)
        if not token.text.startswith("s!"):
            raise Misread(token.span, 'only s!"..." is a String; write s! before the quote')
        parts: list[str | Node] = []
        for part in token.value:
            if isinstance(part, str):
                parts.append(part)
                continue
            inner = Parser(part)
            inner.depth = self.depth
            parts.append(inner.expression())
            if not inner.ended:
                raise Misread(inner.token.span, f"wants }} after the expression, got {shown(inner.token)}")
        return Interpolated(token, tuple(parts))

    def items(self, opened: Token) -> tuple[Node, ...]:
        """Expressions with commas between them, a last one allowed, up to the closing bracket."""
        found: list[Node] = []
        closing = PAIRS[opened.text]
        while self.token.text != closing and not self.ended:
            found.append(self.expression())
            if not self.accept(","):
                break
        self.close(opened, " or a comma")
        return tuple(found)

    def listed(self) -> Node:
        """`[a, b]`."""
        opened = self.take()
        return Items(opened, self.items(opened))

    def anonymous(self) -> Node:
        """`⟨a, b⟩`."""
        opened = self.take()
        return Group(opened, self.items(opened), anonymous=True)

    def parenthesised(self) -> Node:
        """`(a)`, `(a, b)`, `(a : T)`, or `(· + 1)`."""
        opened = self.take()
        if self.accept(")"):
            return Group(opened, ())
        outer, self.holes = self.holes, []
        node = self.expression()
        if self.accept(":"):
            node = Ascribed(opened, node, self.type_until())
        elif self.token.text == ",":
            items = [node]
            while self.accept(",") and self.token.text != ")":
                items.append(self.expression())
            node = Group(opened, tuple(items))
        self.close(opened)
        holes, self.holes = self.holes, outer
        if holes:
            node = Function(opened, tuple(Parameter(Name(opened, (hole,))) for hole in holes), node)
        return node


def _fields(node: Node, at: Token, names: tuple[str, ...]) -> Node:
    for name in names:
        node = Project(at, node, name)
    return node


def _projected(node: Node, field: Token) -> Node:
    """`node.field`, where the token may be a dotted name, or a number."""
    return _fields(node, field, dotted_parts(field.text))


_BRACKETS: dict[str, Callable[[Parser], Node]] = {
    "(": Parser.parenthesised,
    "[": Parser.listed,
    "#[": Parser.listed,
    "⟨": Parser.anonymous,
    "{": Parser.structure,
}
_SPECIAL: dict[str, Callable[[Parser], Node]] = {
    "fun": Parser.function,
    "by": Parser.proof,
    "if": Parser.conditional,
    "match": Parser.match,
    "let": Parser.let,
}
