"""Kernels in Lean's syntax, as cLean writes them: `kernelArgs` and `device_kernel`, whose body is a `do` block.

The lexer and the expressions are those that read specifications; the statements of a `do` block are read here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    Stmt,
    Var,
    While,
)
from netc.kernels.lean_arguments import Arguments, Declarations
from netc.kernels.lean_terms import TYPES, Nested, Scope, Terms, applied, type_of
from netc.kernels.maker import DEEP, Wrong, refuse_deep
from netc.kernels.names import Names, checked
from netc.netspec.lean.commands import COMMANDS, OUTER
from netc.netspec.lean.source import LeanError, Misread
from netc.netspec.lean.stream import dotted_parts, plain, shown
from netc.netspec.lean.tokens import Kind, Token, tokens
from netc.netspec.lean.tree import Group, Name, Node

ARGUMENTS, KERNEL = "kernelArgs", "device_kernel"
DEEPEST = 40  # blocks in each other
ARROWS = ("←", "<-")


def kernels_of(text: str, file: str) -> tuple[Kernel, ...]:
    """The kernels of a Lean text. Raises LeanError for one that cannot be read."""
    try:
        return tuple(map(refuse_deep, _kernels(text, file)))
    except Misread as error:
        raise LeanError(file, text, error.span, error.sentence) from None
    except RecursionError:
        raise KernelError(file, 0, DEEP) from None


def _kernels(text: str, file: str) -> list[Kernel]:
    words = tokens(text.replace("\0", "\ufffd"))
    starts = [i for i, t in enumerate(words) if t.first and _begins(t)]
    known: dict[str, Arguments] = {}
    found: list[Kernel] = []
    doc = ""
    spaces: list[str] = []
    for start, end in zip(starts, [*starts[1:], len(words) - 1], strict=False):
        head, rest = words[start], _closed(words, start + 1, end)
        if head.text == ARGUMENTS:
            reader = Reader(rest)
            name = plain(reader.name("a name for the arguments"))
            known[name] = reader.arguments()
        elif head.text == KERNEL:
            found.append(_kernel(rest, known, file, doc, spaces))
        elif head.text == "namespace":
            spaces.extend(dotted_parts(rest[0].text))
        elif head.text == "end" and spaces and rest[0].kind is Kind.NAME:
            del spaces[-len(dotted_parts(rest[0].text)) :]
        doc = str(rest[0].value) if head.text == "/--" and rest[0].kind is Kind.DOC else ""
        doc = str(head.value) if head.kind is Kind.DOC else doc
    return found


def _begins(token: Token) -> bool:
    return token.text in (ARGUMENTS, KERNEL) or (
        token.column == 1 and (token.text in COMMANDS or token.text in OUTER or token.kind is Kind.DOC)
    )


def _closed(words: Sequence[Token], start: int, end: int) -> tuple[Token, ...]:
    """The tokens of a command, with an END at its last word."""
    mark = words[end - 1]
    stop = replace_token(mark, words[end])
    return (*words[start:end], stop)


def replace_token(mark: Token, last: Token) -> Token:
    """An END that stands just after `mark`."""
    return Token(Kind.END, "", "", mark.line, mark.column + len(mark.text), last.start, last.start, True, True)


def _kernel(rest: tuple[Token, ...], known: dict[str, Arguments], file: str, doc: str, spaces: list[str]) -> Kernel:
    reader = Reader(rest)
    at = reader.name("a name for the kernel")
    reader.expect(":", "and the kernel's type, KernelM ARGUMENTS Unit")
    words = reader.type_until(":=")
    if len(words) != 3 or words[0] != "KernelM" or words[2] != "Unit":
        raise Misread(at.span, f"wants the type KernelM ARGUMENTS Unit, got {' '.join(words) or 'none'}; write it")
    if words[1] not in known:
        raise Misread(at.span, f"no {ARGUMENTS} {words[1]} is defined before this; {maker.meant(words[1], known)}")
    arguments = known[words[1]]
    reader.expect(":=", "and the kernel's body, := do")
    reader.expect("do", "before the kernel's statements")
    names = [*(s.name for s in arguments.scalars), *(a.name for a in arguments.arrays)]
    try:
        checked(plain(at), "a kernel")
    except Wrong as error:
        raise Misread(at.span, str(error)) from None
    reader.arguments_are(arguments, Names((*names, plain(at))))
    body = reader.block(0, Scope({}))
    if not reader.ended:
        raise Misread(reader.token.span, f"wants a statement in the kernel's column, got {shown(reader.token)}")
    name = ".".join((*spaces, plain(at)))
    return Kernel(name, arguments.scalars, arguments.arrays, body, file, at.line, doc)


class Reader(Declarations):
    """Reads the statements of a `do` block. Every method raises Misread."""

    declared: Arguments
    names: Names

    def arguments_are(self, arguments: Arguments, names: Names) -> None:
        """What the kernel takes, and the names that are left."""
        self.declared, self.names = arguments, names

    def starts_argument(self) -> bool:
        """Whether the next token begins an argument; `do` begins a block here."""
        return self.token.text != "do" and super().starts_argument()

    def atom(self) -> Node:
        """As in any term, and `(← action)`."""
        if self.token.text != "(" or self.ahead().text not in ARROWS:
            return super().atom()
        opened = self.take()
        self.take()
        with self.layout(0):
            action = self.expression()
        self.close(opened)
        return Nested(opened, action)

    def block(self, outer: int, scope: Scope) -> tuple[Stmt, ...]:
        """Statements that begin in one column, to the right of `outer`."""
        self.accept("do")
        first = self.token
        if self.ended or (first.first and first.column <= outer):
            raise Misread(first.span, f"wants a statement, indented, got {shown(first)}")
        found: list[Stmt] = []
        self._deeper(first)
        while True:
            with self.layout(first.column):
                found += self.statement(scope)
            if self.accept(";"):
                continue
            if self.ended or not self.token.first or self.token.column < first.column or self.token.text == "else":
                break
            if self.token.column > first.column:
                raise Misread(self.token.span, f"wants an operator or a statement in column {first.column}, got "
                              f"{shown(self.token)}")  # fmt: skip
        self.depth -= 1
        return tuple(found)

    def _deeper(self, at: Token) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Misread(at.span, f"wants blocks nested at most {DEEPEST} deep; nest fewer")

    def statement(self, scope: Scope) -> list[Stmt]:
        """One statement, after those that its nested actions need."""
        at = self.token
        special = _STATEMENTS.get(at.text) if at.kind is Kind.NAME else None
        terms = Terms(scope, self.names.fresh)
        if special is not None:
            made = special(self, terms)
        elif at.kind is Kind.NAME and self.ahead().text in (":=", *ARROWS):
            made = self._assign(terms)
        else:
            made = self._does(terms)
        return [*terms.before, *made]

    def _let(self, terms: Terms) -> list[Stmt]:
        self.take()
        mutable = self.accept("mut") is not None
        name = self.name("a name after let")
        words = self.type_until(":=", *ARROWS) if self.accept(":") else ()
        if self.token.text in ARROWS:
            self.take()
            return self._bound(terms, name, mutable, self.expression())
        self.expect(":=", "or ← after the name")
        node = self.expression()
        if words and words[0] in ("GlobalArray", "SharedArray"):
            terms.scope.names[plain(name)] = self._array(terms, node, words, name)
            return []
        if isinstance(node, Name) and isinstance(terms.scope.names.get(".".join(node.parts)), Array):
            terms.scope.names[plain(name)] = terms.array(node)
            return []
        value = terms.expr(node)
        try:
            value = maker.into(value, type_of(words, name), plain(name)) if words else value
        except Wrong as error:
            raise Misread(node.at.span, str(error)) from None
        return self._declare(terms, name, mutable, value)

    def _declare(self, terms: Terms, name: Token, mutable: bool, value: Expr) -> list[Stmt]:
        if isinstance(value, Const) and value.free and not mutable:
            terms.scope.names[plain(name)] = value  # a literal stays free to take the type of what it meets
            return []
        value = maker.settled(value)
        unique = self.names.fresh(plain(name))
        terms.scope.names[plain(name)] = Var(value.type, name.line, unique)
        if mutable:
            terms.scope.mutable.add(unique)
        return [Let(name.line, unique, value, mutable)]

    def _bound(self, terms: Terms, name: Token, mutable: bool, node: Node) -> list[Stmt]:
        """`let name ← action`."""
        word = ".".join(node.parts) if isinstance(node, Name) else ""
        if word == "getArgs":
            own = plain(name)
            terms.scope.names |= {f"{own}.{s.name}": Var(s.type, name.line, s.name) for s in self.declared.scalars}
            terms.scope.names |= {f"{own}.{a.name}": a for a in self.declared.arrays}
            return []
        if word == "readCtx":
            terms.scope.names[plain(name)] = "context"
            return []
        return self._declare(terms, name, mutable, terms.action(node))

    def _array(self, terms: Terms, node: Node, words: tuple[str, ...], name: Token) -> Array:
        """`⟨args.x⟩`, and whether it is what the type says."""
        inside = node.items[0] if isinstance(node, Group) and len(node.items) == 1 else node
        found = terms.array(inside)
        if found.shared != (words[0] == "SharedArray") or words[1:2] == () or TYPES.get(words[1]) != found.type:
            word = next((w for w, t in TYPES.items() if t == found.type), "")
            own = f"{'SharedArray' if found.shared else 'GlobalArray'} {word}"
            raise Misread(name.span, f"{found.name} is declared as {own}, got {' '.join(words)}; write {own}")
        return found

    def _assign(self, terms: Terms) -> list[Stmt]:
        name = self.take()
        arrow = self.take().text in ARROWS
        node = self.expression()
        value = terms.action(node) if arrow else terms.expr(node)
        found = terms.scope.names.get(plain(name))
        if not isinstance(found, Var) or found.name not in terms.scope.mutable:
            raise Misread(name.span, f"{plain(name)} must be declared by `let mut` before it changes")
        try:
            return [Assign(name.line, found.name, maker.into(value, found.type, plain(name)))]
        except Wrong as error:
            raise Misread(node.at.span, str(error)) from None

    def _does(self, terms: Terms) -> list[Stmt]:
        """`x.set i v`, `x.atomicAdd i v`, `pure ()`."""
        node = self.expression()
        head, args = applied(node)
        parts = head.parts if isinstance(head, Name) else ()
        method = parts[-1] if len(parts) > 1 else ""
        if parts in (("pure",), ("barrier",)) or (method not in ("set",) and not method.startswith("atomic")):
            word = ".".join(parts) or node.at.text
            known = ("barrier", "let", "if", "for", "while", "x.set i v", "x.atomicAdd i v")
            raise Misread(node.at.span, f"wants a statement, got {word}; {maker.meant(word, known)}")
        try:
            maker.counted(method, args, 2)
            array, index, value = terms.array(head), terms.expr(args[0]), terms.expr(args[1])
            if method == "set":
                return [maker.store(array, index, value, node.at.line)]
            return [maker.atomic(method.removeprefix("atomic").lower(), array, index, value, node.at.line)]
        except Wrong as error:
            raise Misread(node.at.span, str(error)) from None

    def _barrier(self, terms: Terms) -> list[Stmt]:
        return [Barrier(self.take().line)]

    def _nothing(self, terms: Terms) -> list[Stmt]:
        """`pure ()`, and `return` at the kernel's end."""
        at = self.take()
        if self.token.text == "(" and self.ahead().text == ")":
            self.take()
            self.take()
        if at.text == "return" and not self.ended:
            raise Misread(at.span, "`return` must be the last word: a thread that ends early misses the barriers; "
                          "put the rest into the `if`")  # fmt: skip
        return []

    def _condition(self, terms: Terms) -> Expr:
        node = self.expression()
        value = terms.expr(node)
        if value.type != "bool":
            raise Misread(node.at.span, "wants a comparison, got a number; write x != 0")
        return value

    def _if(self, terms: Terms) -> list[Stmt]:
        at = self.take()
        if self.token.kind is Kind.NAME and self.ahead().text == ":":  # `if h : c`: the proof's name
            self.take()
            self.take()
        condition = self._condition(terms)
        self.expect("then", "after the condition of if")
        then = self.block(self.column, terms.scope.inner())
        otherwise: tuple[Stmt, ...] = ()
        if self.token.text == "else" and (not self.token.first or self.token.column >= self.column):
            self.take()
            if self.token.text == "if":
                inner = Terms(terms.scope.inner(), self.names.fresh)
                self._deeper(self.token)
                nested = self._if(inner)
                self.depth -= 1
                otherwise = (*inner.before, *nested)
            else:
                otherwise = self.block(self.column, terms.scope.inner())
        return [If(at.line, condition, then, otherwise)]

    def _unless(self, terms: Terms) -> list[Stmt]:
        at = self.take()
        condition = maker.negated(self._condition(terms), at.line)
        self.expect("do", "after the condition of unless")
        return [If(at.line, condition, self.block(self.column, terms.scope.inner()))]

    def _while(self, terms: Terms) -> list[Stmt]:
        at = self.take()
        condition = self._condition(terms)
        if terms.before:
            raise Misread(at.span, "the condition of while wants no (← ..), which is read once; read it in the loop")
        self.expect("do", "after the condition of while")
        return [While(at.line, condition, self.block(self.column, terms.scope.inner()))]

    def _for(self, terms: Terms) -> list[Stmt]:
        at = self.take()
        name = self.name("a name after for")
        self.expect("in", "after the name")
        opened = self.token
        self.expect("[", "and a range, such as [0:n]")
        with self.layout(0):
            bounds = [None if self.token.text == ":" else self.expression()]
            while self.accept(":") and len(bounds) < 3:
                bounds.append(self.expression())
        self.close(opened, " or :")
        if len(bounds) == 1:
            raise Misread(opened.span, "wants a range, such as [0:n], got a list")
        made = [self._bound_of(terms, node, 0 if i == 0 else 1, at) for i, node in enumerate(bounds)]
        made += [] if len(made) == 3 else [maker.settled(maker.literal(1, at.line))]
        if isinstance(made[2], Const) and made[2].value <= 0:
            raise Misread(opened.span, f"a range's step wants 1 or more, got {made[2].value}")
        self.expect("do", "after the range")
        inner = terms.scope.inner()
        unique = self.names.fresh(plain(name))
        inner.names[plain(name)] = Var("i32", name.line, unique)
        return [For(at.line, unique, made[0], made[1], made[2], self.block(self.column, inner))]

    def _bound_of(self, terms: Terms, node: Node | None, default: int, at: Token) -> Expr:
        value: Expr = maker.literal(default, at.line) if node is None else terms.expr(node)
        try:
            return maker.into(value, "i32", "a range")
        except Wrong as error:
            raise Misread((node.at if node else at).span, str(error)) from None


_STATEMENTS: dict[str, Callable[[Reader, Terms], list[Stmt]]] = {
    "let": Reader._let,
    "barrier": Reader._barrier,
    "if": Reader._if,
    "unless": Reader._unless,
    "for": Reader._for,
    "while": Reader._while,
    "pure": Reader._nothing,
    "return": Reader._nothing,
}
