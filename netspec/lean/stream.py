"""The tokens of one command, taken one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netc.netspec.lean.source import Misread
from netc.netspec.lean.tokens import Kind, Token
from netc.netspec.lean.tree import Type

PAIRS = {"(": ")", "[": "]", "#[": "]", "@[": "]", "⟨": "⟩", "{": "}", "{|": "|}"}
CLOSERS = frozenset(PAIRS.values())
KEYWORDS = frozenset((
    "fun", "let", "in", "if", "then", "else", "match", "with", "do", "by", "where", "have", "show", "from", "for",
    "return", "unless", "try", "catch", "nomatch", "nofun", "deriving", "def", "theorem", "abbrev", "mut",
    "suffices", "calc", "termination_by", "decreasing_by", "open", "set_option", "unsafe",
))  # fmt: skip


def dotted_parts(name: str) -> tuple[str, ...]:
    """The parts of a dotted name; in «a.b» the dot is a letter."""
    if "«" not in name:
        return tuple(name.split("."))
    parts, quoted, part = [], False, ""
    for c in name:
        if c == "." and not quoted:
            parts.append(part)
            part = ""
        elif c in "«»":
            quoted = c == "«"
        else:
            part += c
    return (*parts, part)


def plain(token: Token) -> str:
    """A name's text, without the quotes of «x»."""
    return ".".join(dotted_parts(token.text))


def shown(token: Token) -> str:
    """The token, as a message spells it."""
    if token.kind is Kind.END:
        return token.text or "the end of this definition"
    text = token.text.split("\n", 1)[0]
    return text if len(text) <= 30 else f"{text[:30]}.."


class Stream:
    """Reads one command's tokens, of which the last is END. Every method raises Misread."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.index = 0
        self.column = 0  # an argument stands to the right of this column (0: anywhere, as within brackets)
        self.depth = 0  # expressions that the next token is within

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.index]

    @property
    def ended(self) -> bool:
        """Whether all tokens are taken."""
        return self.tokens[self.index].kind is Kind.END

    def ahead(self, by: int = 1) -> Token:
        """The token after the next."""
        return self.tokens[min(self.index + by, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, passed."""
        token = self.tokens[self.index]
        if token.kind is not Kind.END:
            self.index += 1
        return token

    def accept(self, text: str) -> Token | None:
        """The next token if it is this one."""
        return self.take() if self.token.text == text and self.token.kind in (Kind.SYMBOL, Kind.NAME) else None

    def expect(self, text: str, why: str) -> Token:
        """The next token, which must be this one."""
        got = self.accept(text)
        if got is None:
            raise Misread(self.token.span, f"wants {text} {why}, got {shown(self.token)}")
        return got

    def name(self, what: str) -> Token:
        """The next token, which must be a name."""
        if self.token.kind is not Kind.NAME or self.token.text in KEYWORDS:
            raise Misread(self.token.span, f"wants {what}, got {shown(self.token)}")
        return self.take()

    @contextmanager
    def layout(self, column: int) -> Iterator[None]:
        """Arguments stand to the right of `column`."""
        before, self.column = self.column, column
        yield
        self.column = before

    def close(self, opened: Token, after: str = ", or an operator") -> Token:
        """The bracket that closes `opened`."""
        wanted = PAIRS[opened.text]
        if self.token.text == wanted and self.token.kind is Kind.SYMBOL:
            return self.take()
        if self.ended or self.token.text in CLOSERS:
            raise Misread(opened.span, f"this {opened.text} is not closed: wants {wanted}, got {shown(self.token)}")
        raise Misread(self.token.span, f"wants {wanted}{after}, got {shown(self.token)}")

    def type_until(self, *stops: str) -> Type:
        """The words of a type, up to one of `stops` outside brackets."""
        words: list[str] = []
        open_brackets: list[Token] = []
        while not self.ended:
            token = self.token
            if not open_brackets and (token.text in stops or token.text in CLOSERS):
                break
            if token.text in PAIRS:
                open_brackets.append(token)
            elif token.text in CLOSERS:
                if PAIRS[open_brackets[-1].text] != token.text:
                    break
                open_brackets.pop()
            words.append(self.take().text)
        if open_brackets:
            raise Misread(open_brackets[-1].span, f"this {open_brackets[-1].text} is not closed")
        return tuple(words)
