"""Lean text into tokens: names, numerals, strings, symbols; comments are dropped and doc comments kept.

Every pattern is a union of plain character classes, so that the time is linear in the text.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from netc.netspec.lean.source import Misread, Span

MOST_TOKENS = 150_000
DEEPEST_INTERPOLATION = 8  # strings in braces in strings
LONGEST_NUMERAL = 80  # characters
MOST_PARTS = 16  # of a dotted name


class Kind(Enum):
    """What a token is."""

    NAME = "a name"
    NUMBER = "a numeral"
    STRING = "a string"
    INTERPOLATED = "an interpolated string"
    CHARACTER = "a character"
    INDEX = "a projection"  # the `.1` of `pair.1`
    DOC = "a doc comment"
    SYMBOL = "a symbol"
    END = "the end"


class Token(NamedTuple):
    """A word of the text. `value` is a numeral's number, a string's text, or an interpolated string's parts.

    `line` and `column` count from 1; `start` and `end` are offsets in the text. `spaced`: white space stands before
    it; `first`: it begins its line.
    """

    kind: Kind
    text: str
    value: int | float | str | tuple[Part, ...]
    line: int
    column: int
    start: int
    end: int
    spaced: bool
    first: bool

    @property
    def span(self) -> Span:
        """The place, for messages: a token of several lines is marked to the end of its text on the first."""
        return Span(self.line, self.column, self.column + len(self.text.split("\n", 1)[0]))


Part: TypeAlias = "str | tuple[Token, ...]"  # of an interpolated string: text, or the tokens of `{...}`

NAME = r"(?:[^\W\dλ]|«[^«»\n]{1,100}»)(?:[\w'?]|!(?!=))*"
SYMBOLS = (
    "|>. <|> <-> ... |> <| || && := => -> <- ++ :: .. == != <= >= >> << >>= #[ @[ {| |} $> <$> <*> ∘ → ← ⟨ ⟩ λ × ≤ ≥ ≠"
)
_WORDS = "|".join(re.escape(s) for s in sorted(SYMBOLS.split(), key=len, reverse=True))
_PATTERN = re.compile(
    rf"""
    (?P<space>[ \t\r\ufeff]+) | (?P<newline>\n) | (?P<line>--[^\n]*) | (?P<block>/-)
    | (?P<interpolated>[sfm]!") | (?P<raw>r\#*") | (?P<string>")
    | (?P<name>{NAME}(?:\.(?:{NAME}))*)
    | (?P<index>(?<=[\w)\]}}⟩»·'!?])\.\d+)
    | (?P<number>0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | 0[oO][0-7_]+
        | \d[\d_]*(?:\.\d[\d_]*|\.(?![.\w]))?(?:[eE][+-]?\d+)?)
    | (?P<character>'(?:[^\\'\n]|\\(?:x[0-9a-fA-F]{{2}}|u\{{?[0-9a-fA-F]{{1,8}}\}}?|[^xu\n]))')
    | (?P<symbol>{_WORDS}|\#[A-Za-z_]+!?|.)
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/-|-/")
_STRING_STOP = re.compile(r'["\\]')
_INTERPOLATED_STOP = re.compile(r'["\\{]')
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\})|(\r?\n[ \t]*)|(.))")
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "'": "'", "\\": "\\", "{": "{", "}": "}"}
_PASSED = frozenset(("space", "newline", "line"))
_VALUED = frozenset(("block", "number", "index", "character", "string", "interpolated", "raw"))
_KINDS = {"name": Kind.NAME}
_BRACES = {"{": 1, "}": -1}
# what takes an interpolated string without the letter before it
INTERPOLATING = {"println!", "print!", "eprintln!", "eprint!", "throwError", "logInfo", "dbg_trace", "panic!"}


def tokens(text: str) -> tuple[Token, ...]:
    """All tokens of a file, the last one END; raises Misread for what is opened and not closed, or too much."""
    return tuple(_Scanner(text).scan(0, braced=False)[0])


class _Scanner:
    """One walk over a text; `scan` calls itself for the braces of interpolated strings."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line = 1
        self.line_start = 0
        self.depth = 0
        self.count = 0
        self.long_string: Span | None = None  # the first string that goes over a line's end: the likely culprit

    def scan(self, at: int, *, braced: bool) -> tuple[list[Token], int]:
        """The tokens from `at` to the end, or to the brace that closes; and the offset after them."""
        found: list[Token] = []
        match, text, size = _PATTERN.match, self.text, len(self.text)
        spaced, first, braces = True, not braced, 0
        while at < size:
            hit = match(text, at)
            assert hit is not None, "the pattern's last alternative takes any character"
            group, start = hit.lastgroup or "", at
            word, at = hit.group(), hit.end()
            if group in _PASSED:
                if group == "newline":
                    self.line, self.line_start, first = self.line + 1, at, True
                spaced = True
                continue
            line, column = self.line, start - self.line_start + 1
            kind, value = _KINDS.get(group, Kind.SYMBOL), ""
            if group in _VALUED:
                kind, value, at = self._valued(group, start, at, found[-1].text if found else "")
                word = text[start:at] if kind is not Kind.DOC else "/--"
                if group == "block" and kind is not Kind.DOC:
                    spaced = True
                    continue
            elif kind is Kind.NAME and word.count(".") >= MOST_PARTS:
                raise Misread(self._place(start, len(word)), f"wants a name of at most {MOST_PARTS} parts, got more")
            elif braced and word in _BRACES:
                braces += _BRACES[word]
            ends = braces < 0
            found.append(Token(Kind.END if ends else kind, word, value, line, column, start, at, spaced, first))
            if ends:
                return found, at
            spaced = first = False
            self.count += 1
            if self.count > MOST_TOKENS:
                raise Misread(found[-1].span, f"wants a file of at most {MOST_TOKENS} words, got more; split it")
        if braced:
            raise Misread(self._place(at), "wants } to end the braces in an interpolated string, got the file's end")
        place = at - self.line_start + 1
        found.append(Token(Kind.END, "", "", self.line, place, at, at, spaced, first))
        return found, at

    def _valued(self, group: str, start: int, at: int, before: str) -> tuple[Kind, Any, int]:
        """Kind, value and end of what is more than its text; a comment that is no doc comment has the kind SYMBOL."""
        if group == "block":
            at = self._comment(start)
            doc = self.text.startswith("/--", start) and at - start >= 5
            return (Kind.DOC, self.text[start + 3 : at - 2].strip(), at) if doc else (Kind.SYMBOL, "", at)
        word = self.text[start:at]
        if group == "number":
            return Kind.NUMBER, self._number(word, start), at
        if group == "index":
            return Kind.INDEX, self._number(word[1:], start), at
        if group == "character":
            return Kind.CHARACTER, self._unescaped(word, start)[1:-1], at
        return self._quoted(start, at, "interpolated" if group == "string" and before in INTERPOLATING else group)

    def _place(self, at: int, size: int = 1) -> Span:
        return Span(self.line, at - self.line_start + 1, at - self.line_start + 1 + size)

    def _pass_lines(self, start: int, end: int) -> None:
        """Count the line ends between two offsets."""
        number = self.text.count("\n", start, end)
        if number:
            self.line += number
            self.line_start = self.text.rindex("\n", start, end) + 1

    def _comment(self, start: int) -> int:
        """The offset after the comment that opens at `start`; comments nest."""
        opened, depth = self._place(start, 2), 0
        for edge in _COMMENT_EDGE.finditer(self.text, start):
            depth += 1 if edge.group() == "/-" else -1
            if depth == 0:
                self._pass_lines(start, edge.end())
                return edge.end()
        raise Misread(opened, "this comment is not closed; wants -/ for each /-")

    def _number(self, word: str, start: int) -> int | float:
        if len(word) > LONGEST_NUMERAL:
            raise Misread(self._place(start, len(word)), f"wants a numeral of at most {LONGEST_NUMERAL} characters")
        plain = word.replace("_", "")
        try:
            if plain[:2].lower() in ("0x", "0b", "0o"):
                return int(plain, 0)
            return float(plain) if set(plain) & set(".eE") else int(plain)
        except ValueError as error:  # `0x_`, and the digits of other scripts that Python and Lean both refuse
            raise Misread(self._place(start, len(word)), f"wants a numeral, got {word!r}; write it again") from error

    def _quoted(self, start: int, at: int, group: str) -> tuple[Kind, str | tuple[Part, ...], int]:
        """Kind, value and end of the string whose quote is at `at - 1`."""
        opened = self._place(start, at - start)
        if group == "raw":
            close = '"' + "#" * (at - start - 2)
            end = self.text.find(close, at)
            if end < 0:
                raise Misread(opened, f"this string is not closed; wants {close}")
            self._pass_lines(at, end)
            return Kind.STRING, self.text[at:end], end + len(close)
        line = self.line
        if group == "string":
            _, end = self._stretch(at, _STRING_STOP, opened)
            value: str | tuple[Part, ...] = self._unescaped(self.text[at:end], at)
            self._pass_lines(at, end)
        else:
            value, end = self._interpolated(at, opened)
        if self.line > line and self.long_string is None:
            self.long_string = opened
        return Kind.STRING if group == "string" else Kind.INTERPOLATED, value, end + 1

    def _stretch(self, at: int, stop: re.Pattern[str], opened: Span) -> tuple[str, int]:
        """What stops the text from `at` on, a quote or a brace, and where; escapes are passed over."""
        while True:
            hit = stop.search(self.text, at)
            if hit is None:
                raise Misread(self.long_string or opened, 'this string is not closed; wants " at its end')
            if hit.group() != "\\":
                return hit.group(), hit.start()
            at = hit.end() + 1

    def _interpolated(self, at: int, opened: Span) -> tuple[tuple[Part, ...], int]:
        """The parts of an interpolated string, and the offset of its closing quote."""
        self.depth += 1
        if self.depth > DEEPEST_INTERPOLATION:
            raise Misread(opened, f"wants strings nested at most {DEEPEST_INTERPOLATION} deep; name the inner ones")
        parts: list[Part] = []
        while True:
            found, end = self._stretch(at, _INTERPOLATED_STOP, opened)
            if end > at:
                parts.append(self._unescaped(self.text[at:end], at))
                self._pass_lines(at, end)
            if found == '"':
                self.depth -= 1
                return tuple(parts), end
            inner, at = self.scan(end + 1, braced=True)
            parts.append(tuple(inner))

    def _unescaped(self, raw: str, start: int) -> str:
        if "\\" not in raw:
            return raw

        def spelled(hit: re.Match[str]) -> str:
            two, point, gap, letter = hit.groups()
            if gap is not None:
                return ""  # a line that ends in \ goes on after the next line's indentation
            if letter is not None and letter in ESCAPES:
                return ESCAPES[letter]
            code = int((two or point).strip("{}"), 16) if two or point else -1
            if 0 <= code < 0xD800 or 0xDFFF < code < 0x110000:
                return chr(code)
            self._pass_lines(start, start + hit.start())
            raise Misread(
                self._place(start + hit.start(), 2),
                f"wants an escape, got {hit.group()!r}; Lean has \\n \\t \\r \\\" \\' \\\\ \\xHH \\uHHHH",
            )

        return _ESCAPE.sub(spelled, raw)
