"""A file into commands: definitions are read, and whatever else stands there is passed over by its structure."""

from __future__ import annotations

from dataclasses import dataclass, field

from netc.netspec.lean.parse import Parser
from netc.netspec.lean.source import Misread
from netc.netspec.lean.stream import CLOSERS, PAIRS, dotted_parts, plain, shown
from netc.netspec.lean.tokens import Kind, Token
from netc.netspec.lean.tree import Block, Declared, Definition, Name, Node, Parameter, Scope, Type

# These are words of Lean's own: at the start of a line, outside brackets, each begins a command.
COMMANDS = frozenset((
    "def", "abbrev", "theorem", "lemma", "example", "instance", "structure", "inductive", "class", "axiom",
    "opaque", "namespace", "import", "macro", "macro_rules", "syntax", "notation", "infix", "infixl", "infixr",
    "prefix", "postfix", "elab", "elab_rules", "declare_syntax_cat", "initialize", "builtin_initialize", "run_cmd",
    "run_meta", "attribute", "deriving", "export", "mutual", "universe", "private", "protected", "noncomputable",
    "partial", "unsafe", "nonrec", "@[", "#eval", "#check", "#print", "#reduce", "#guard", "#guard_msgs", "#synth",
    "#exit", "#help", "#version", "#test", "irreducible_def", "coinductive", "register_option",
    "register_simp_attr", "simproc", "add_decl_doc", "alias",
))  # fmt: skip
# These may also stand within a definition; they begin a command where they stand as far left as the one before.
OUTER = frozenset((
    "open", "section", "end", "variable", "set_option", "local", "scoped", "omit", "include", "public", "meta",
    "module", "/--",
))  # fmt: skip
MODIFIERS = frozenset((
    "private", "protected", "noncomputable", "partial", "unsafe", "nonrec", "public", "local", "scoped", "meta",
))  # fmt: skip
SCOPED = frozenset(("open", "set_option", "variable", "omit", "include"))  # each may go before a command, with `in`
DEEPEST = 32  # namespaces and sections in each other
FURTHEST = 60  # words from `open` to its `in`
MOST_OPEN = 64  # namespaces that are open at one place
DEFINING = frozenset(("def", "abbrev"))
CLOSING = frozenset(("termination_by", "decreasing_by", "deriving"))  # what may follow a definition's value


@dataclass(frozen=True)
class Contents:
    """What a file defines and declares, and the namespaces and types that it has."""

    definitions: tuple[Definition, ...]
    declared: tuple[Declared, ...]


@dataclass
class _Opened:
    """A namespace or section that is not ended yet."""

    name: str  # of a namespace; nothing for a section
    opens: list[tuple[str, ...]] = field(default_factory=list)


def contents(tokens: tuple[Token, ...]) -> Contents:
    """Every definition of a file. One whose text is beyond this language keeps the reason as its problem."""
    definitions: list[Definition] = []
    declared: list[Declared] = []
    scopes = [_Opened("")]
    for start, end in _pieces(tokens):
        head = _head(tokens, start, end)
        if head.keyword in DEFINING:
            definitions.append(_definition(head, _scope(scopes, head.opens)))
        elif head.keyword in ("structure", "inductive", "class"):
            declared += _declared(head, _scope(scopes, ()).namespace)
        else:
            _enter(scopes, head)
    return Contents(tuple(definitions), tuple(declared))


def _pieces(tokens: tuple[Token, ...]) -> list[tuple[int, int]]:
    """Where each command begins and ends. A bracket that is never closed ends with its command."""
    starts: list[int] = []
    closers: list[str] = []  # of the brackets that are open
    column = 1  # of the command
    taken = 0  # tokens before this belong to the head of the command that began last
    for i, token in enumerate(tokens):
        if token.kind is Kind.END:
            break
        outside = not closers or token.column == 1
        begins = i >= taken and outside and (
            (token.first and (token.text in COMMANDS or (token.text[:1] == "#" and len(token.text) > 2)))
            or (token.first and token.text in OUTER and token.column <= column)
            or (token.text == "def" and not closers)
        )  # fmt: skip
        if begins:
            starts.append(i)
            closers = []
            column = token.column
            taken = _after_modifiers(tokens, i) + 1
        if token.text in PAIRS:
            closers.append(PAIRS[token.text])
        elif token.text in CLOSERS and closers and token.text == closers[-1]:
            closers.pop()
    return list(zip(starts, [*starts[1:], len(tokens) - 1], strict=False))


def _after_modifiers(tokens: tuple[Token, ...], i: int) -> int:
    """The index of a command's keyword: doc comments, attributes, modifiers and `open .. in` stand before it."""
    while tokens[i].kind is not Kind.END:
        word = tokens[i].text
        if word in MODIFIERS or tokens[i].kind is Kind.DOC:
            i += 1
        elif word == "@[":
            i = _closing(tokens, i) + 1
        elif word in SCOPED and (after := _after_in(tokens, i)):
            i = after
        else:
            break
    return min(i, len(tokens) - 1)


def _closing(tokens: tuple[Token, ...], i: int) -> int:
    """The index of the bracket that closes the one at `i`, or of the last token on the way."""
    depth = 0
    while tokens[i].kind is not Kind.END:
        depth += (tokens[i].text in PAIRS) - (tokens[i].text in CLOSERS)
        if depth <= 0:
            return i
        if tokens[i + 1].first and tokens[i + 1].column == 1:
            return i
        i += 1
    return i - 1


def _after_in(tokens: tuple[Token, ...], i: int) -> int:
    """The index after the `in` of `open Foo in`; 0 if there is none before the next command."""
    for j in range(i + 1, min(i + FURTHEST, len(tokens))):
        if tokens[j].text == "in":
            return j + 1
        if tokens[j].first and (tokens[j].text in COMMANDS or tokens[j].text in OUTER):
            return 0
    return 0


@dataclass(frozen=True)
class _Head:
    """A command: its keyword, what stood before that, and its tokens after it, with an END."""

    keyword: str
    rest: tuple[Token, ...]
    doc: str
    opens: tuple[tuple[str, ...], ...]


def _head(tokens: tuple[Token, ...], start: int, end: int) -> _Head:
    at = min(_after_modifiers(tokens, start), end)
    doc, opens = "", []
    for i in range(start, at):
        if tokens[i].kind is Kind.DOC:
            doc = str(tokens[i].value)
        elif tokens[i].text == "open":
            opens += _opened(tokens[i + 1 : min(at, i + FURTHEST)])
    after = tokens[at + 1 : end]
    last = tokens[end]
    mark = tokens[end - 1] if end else last  # messages about the end point at the last word
    stop = Token(Kind.END, "", "", mark.line, mark.column + len(mark.text), last.start, last.start, True, True)
    return _Head(tokens[at].text, (*after, stop), doc, tuple(opens))


def _opened(tokens: tuple[Token, ...]) -> list[tuple[str, ...]]:
    """The namespaces that `open A B.C` names; `open A (x y)` and `hiding` count as opening all of A."""
    found: list[tuple[str, ...]] = []
    for token in tokens:
        if token.kind is not Kind.NAME or token.text in ("in", "hiding", "renaming"):
            break
        if token.text != "scoped":
            found.append(dotted_parts(token.text))
    return found


def _enter(scopes: list[_Opened], head: _Head) -> None:
    """Follow `namespace`, `section`, `mutual`, `end` and `open`; any other command changes nothing here."""
    first = head.rest[0]
    name = dotted_parts(first.text) if first.kind is Kind.NAME else ()
    if head.keyword == "namespace":
        scopes.extend(_Opened(part) for part in name)
    elif head.keyword in ("section", "mutual"):
        scopes.append(_Opened(""))
    elif head.keyword == "end":
        for _ in range(max(1, len(name))):
            if len(scopes) > 1:
                scopes.pop()
    elif head.keyword in ("open", "export"):
        scopes[-1].opens += _opened(head.rest)
    if len(scopes) > DEEPEST or sum(len(s.opens) for s in scopes) > MOST_OPEN:
        what = f"at most {DEEPEST} namespaces and sections in each other, and {MOST_OPEN} open ones"
        raise Misread(first.span, f"wants {what}; end some")


def _scope(scopes: list[_Opened], opens: tuple[tuple[str, ...], ...]) -> Scope:
    namespace = tuple(s.name for s in scopes if s.name)
    return Scope(namespace, (*opens, *(o for s in reversed(scopes) for o in s.opens)))


def _definition(head: _Head, scope: Scope) -> Definition:
    """`def name parameters : type := value`, or with fields under `where`, or with arms."""
    at = head.rest[0]
    name: tuple[str, ...] = dotted_parts(at.text) if at.kind is Kind.NAME else ("?",)
    name = name[1:] if name[0] == "_root_" else (*scope.namespace, *name)
    inner = Scope((*name[:-1],), scope.opens)  # in `def A.f` the names of A stand open
    parser = Parser(_before_closing(head.rest))
    parameters: tuple[Parameter, ...] = ()
    words: Type = ()
    body: Node | None = None
    problem: Misread | None = None
    fields = False
    try:
        parser.name("a name after def")
        if parser.token.text == "." and parser.ahead().text == "{":  # universes
            parser.take()
            opened = parser.take()
            parser.type_until()
            parser.close(opened)
        parameters = parser.signature()
        words = parser.type_until(":=", "where", "|") if parser.accept(":") else ()
        fields = parser.token.text == "where" or (parser.token.text == ":=" and parser.ahead().text == "{")
        body = _body(parser, at, words)
    except Misread as error:
        problem = error
    return Definition(at, name, words, parameters, body, problem, inner, head.doc, fields)


def _before_closing(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens up to a `termination_by` or the like, which says nothing about the value."""
    for i, token in enumerate(tokens):
        if token.text in CLOSING and token.first:
            return (*tokens[:i], tokens[-1])
    return tokens


def _body(parser: Parser, at: Token, words: Type) -> Node:
    token = parser.token
    if token.text == "|":
        body: Node = parser.by_cases(at, parser.arms())
    elif parser.accept("where"):
        body = parser.fields(at, words)
    else:
        parser.expect(":=", "(or where) and a value")
        body = parser.expression()
    if parser.accept("where"):
        bindings = parser.locals()
        body = Block(token, bindings, body) if bindings else body
    if not parser.ended:
        raise Misread(parser.token.span, f"wants an operator or the end of this definition, got {shown(parser.token)}")
    return body


def _declared(head: _Head, namespace: tuple[str, ...]) -> list[Declared]:
    """The name of a `structure` or `inductive`, and a structure's fields so far as they are plain."""
    at = head.rest[0]
    if at.kind is not Kind.NAME:
        return []
    name = (*namespace, *dotted_parts(at.text))
    fields: list[Parameter] = []
    if head.keyword == "structure":
        parser = Parser(_before_closing(head.rest))
        try:
            _fields(parser, fields)
        except Misread:
            return [Declared(name)]  # beyond this language: a name, of which no fields are known
    return [Declared(name, tuple(fields))]


def _fields(parser: Parser, fields: list[Parameter]) -> None:
    parser.type_until("where", ":=")
    if not (parser.accept("where") or parser.accept(":=")):
        return
    if parser.ahead().text == "::":  # the constructor's name
        parser.take()
        parser.take()
    while not parser.ended:
        if parser.token.kind is Kind.DOC:
            parser.take()
            continue
        at = parser.token
        if at.text == "(":
            fields += parser.binders()
            continue
        name = parser.name("a field")
        names = [name]
        while parser.token.kind is Kind.NAME and not parser.token.first:
            names.append(parser.take())
        parser.expect(":", "and the field's type")
        words = _type_on_line(parser, at)
        default = None
        if parser.accept(":="):
            with parser.layout(at.column):
                default = parser.expression()
        fields += (Parameter(_named(n), words, default) for n in names)


def _type_on_line(parser: Parser, at: Token) -> Type:
    """A field's type: up to its default, or to a line that begins no further right than the field."""
    words: list[str] = []
    while not parser.ended and parser.token.text != ":=":
        if parser.token.first and parser.token.column <= at.column:
            break
        words.append(parser.take().text)
    return tuple(words)


def _named(token: Token) -> Node:
    return Name(token, (plain(token),))
