"""Lean text into tokens."""

from __future__ import annotations

import contextlib
import time

import pytest

from netc.netspec.lean.source import Misread
from netc.netspec.lean.tokens import Kind, tokens


def texts(source: str) -> list[str]:
    return [t.text for t in tokens(source)[:-1]]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (".dense 784 512 .relu", [".", "dense", "784", "512", ".", "relu"]),
        ("List.range n |>.map", ["List.range", "n", "|>.", "map"]),
        ("a -- to the line's end\nb", ["a", "b"]),
        ("a /- b /- nested -/ c -/ d", ["a", "d"]),
        ("a /-! a page -/ b", ["a", "b"]),
        ("x.1.2", ["x", ".1", ".2"]),
        ("xs[0]!", ["xs", "[", "0", "]", "!"]),
        ("xs.head! n'", ["xs.head!", "n'"]),
        ("n!=0", ["n", "!=", "0"]),
        ("«a net».«b.c»", ["«a net».«b.c»"]),
        ("größe α₁ β'", ["größe", "α₁", "β'"]),
        ("λ x => x", ["λ", "x", "=>", "x"]),
        ("#[1] ⟨a⟩ x::y", ["#[", "1", "]", "⟨", "a", "⟩", "x", "::", "y"]),
        ("#eval main", ["#eval", "main"]),
        ("a|>f<|b", ["a", "|>", "f", "<|", "b"]),
        ("[1..2]", ["[", "1", "..", "2", "]"]),
    ],
)
def test_words(source: str, wanted: list[str]) -> None:
    assert texts(source) == wanted


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1_000", 1000), ("0x1F", 31), ("0b101", 5), ("0o17", 15), ("1e-4", 1e-4), ("1.5", 1.5), ("2.", 2.0),
        ("1E3", 1000.0), ("'a'", "a"), (r"'\n'", "\n"), (r"'\x41'", "A"), (r'"a\tb\"c\\"', 'a\tb"c\\'),
        (r'"\u03b1 \u{3b2}"', "α β"), (r'"\u001f0"', "\x1f0"), ('"two\nlines"', "two\nlines"),
        ('"joined\\\n    up"', "joinedup"),
        ('r"a\\n"', "a\\n"), ('r#"say "x""#', 'say "x"'), ('"-- no comment /- -/"', "-- no comment /- -/"),
    ],
)  # fmt: skip
def test_values(source: str, value: object) -> None:
    [token, end] = tokens(source)
    assert token.value == value
    assert end.kind is Kind.END


def test_interpolated_strings_hold_tokens_and_strings_in_them() -> None:
    [token, _] = tokens('s!"a{n + 1}b{", ".intercalate (xs.map fun x => s!"{x}")}"')
    assert isinstance(token.value, tuple)
    a, first, b, second = token.value
    assert (a, b) == ("a", "b")
    assert [t.text for t in first] == ["n", "+", "1", "}"]
    assert [t.text for t in second][:2] == ['", "', "."]


def test_println_takes_an_interpolated_string_too() -> None:
    assert [t.kind for t in tokens('println! "{", ".intercalate xs} {n}"')[1:-1]] == [Kind.INTERPOLATED]


def test_places_count_from_one_and_pass_over_comments_and_strings() -> None:
    found = tokens('/- a\nb -/ x\n  "p\nq" y')
    assert [(t.text.replace("\n", "/"), t.line, t.column) for t in found[:-1]] == [
        ("x", 2, 6), ('"p/q"', 3, 3), ("y", 4, 4),
    ]  # fmt: skip


def test_doc_comments_are_kept() -> None:
    doc, word, _ = tokens("/-- What it is. -/ def")
    assert (doc.kind, doc.value, word.text) == (Kind.DOC, "What it is.", "def")


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("a\n /- b /- -/", 2, 2, "this comment is not closed; wants -/ for each /-"),
        ('a "b', 1, 3, 'this string is not closed; wants " at its end'),
        # the culprit is the string that goes over a line's end, not the last quote
        ('def a := "x\ndef b := "y"\n', 1, 10, "this string is not closed"),
        ('r#"abc"', 1, 1, 'this string is not closed; wants "#'),
        ('"a\\qb"', 1, 3, "wants an escape, got '\\\\q'"),
        ('s!"a{n"', 1, 7, 'this string is not closed; wants " at its end'),
        ('s!"a{n', 1, 7, "wants } to end the braces"),
        ("1" * 90, 1, 1, "wants a numeral of at most 80 characters"),
        ("0x_", 1, 1, "wants a numeral, got '0x_'"),
        ('s!"{' * 9, 1, 33, "wants strings nested at most 8 deep"),
    ],
)
def test_errors(source: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(Misread) as caught:
        tokens(source)
    assert sentence in caught.value.sentence
    assert (caught.value.span.line, caught.value.span.column) == (line, column)


@pytest.mark.parametrize("unit", ["(", '"', "/-", "«", "'", 's!"{', 'r#"', "a.", "1.", "\\", "0x", "|"])
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    """Sixteen times the text takes some sixteen times as long, in truth; the bound leaves room for a busy machine.

    What is quadratic takes 256 times as long.
    """
    small, large = (_seconds(unit * (size // len(unit))) for size in (1 << 13, 1 << 17))
    assert large < 64 * small + 0.5


def _seconds(text: str) -> float:
    def once() -> float:
        start = time.process_time()
        with contextlib.suppress(Misread):
            tokens(text)
        return time.process_time() - start

    return min(once(), once())


def test_a_file_of_too_many_words_is_refused() -> None:
    with pytest.raises(Misread, match="wants a file of at most 150000 words"):
        tokens("(" * 150_001)
