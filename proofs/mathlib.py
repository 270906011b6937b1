"""The same theorems over Mathlib's `CommRing` and `Finset.sum`: the file that Lean checks, spelled by another table.

What is spelled is the text of that file, declaration by declaration: the program, the structures, what is assumed, the
theorems. Its own numbers, sums and dual numbers become Mathlib's; what only the search for a proof needed is left out,
and where the proof was there is `sorry`. It is the statement that is given here, for use with Mathlib: no Lean with
Mathlib has checked it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from netc.proofs.expressions import Tree, read
from netc.proofs.file import library, recurrences
from netc.proofs.published import text as updates

NOTE = """/- NOT CHECKED: no Lean with Mathlib has read this file, and each theorem in it ends in `sorry`.

{said}

It states over Mathlib what `netc prove` proves over definitions of its own: without --mathlib it writes that file, with
the proof, which Lean's kernel takes. Here numbers are of a `CommRing`, sums are `Finset.sum`, the derivative is the
ε-part on `DualNumber`, and sizes and indices are `ℕ`. It wants a Mathlib that has `∑ i ∈ s, f i`. -/
import Mathlib

-- a large net's statement is a sum of hundreds of sums, each within the one before
set_option maxRecDepth 100000
set_option maxHeartbeats 0

open TrivSqZeroExt (inl inr)

namespace Netc
"""
OF_PROGRAM = "Updates of optimizers as netc emits them, and as their papers state them."
OF_LIBRARY = "The library: what every proof that netc makes leans on."

RING = ("zero", "one", "minus", "add", "mul")  # of the library's numbers, what Mathlib has by `CommRing`
NO_LAW_BUT = "/-- No number is greater than itself; the laws of a commutative ring are Mathlib's. -/"
HEADER = ("Arith", "Laws", "dual")  # of the library, what the statement of a theorem speaks of

# -- the table: the library's words as Mathlib has them; {R} is the type of the numbers, {A} the functions on them -----

WORDS = {
    "N": "ℕ", "B": "Bool", "Type": "Type*", "N.zero": "(0 : ℕ)", "N.rec": "Nat.rec", "B.no": "false", "B.yes": "true",
    "Arith": "Functions", "Dual": "DualNumber",
}  # fmt: skip
FIELDS = {"re": "fst", "eps": "snd"}
NUMBERS = {
    "zero": "(0 : {R})", "one": "(1 : {R})", "minus": "(-1 : {R})", "add": "({0} + {1})", "mul": "({0} * {1})",
}  # fmt: skip
SPELLED = {
    "Same": "({0} = {1})", "choose": "(if {0} then {1} else {2})", "both": "({0} && {1})", "either": "({0} || {1})",
    "not": "(!{0})", "equal": "({0} == {1})", "less": "(decide ({0} < {1}))", "plus": "({0} + {1})",
    "times": "({0} * {1})", "N.succ": "({0} + 1)", "clamp": "(min {1} ({0} - 1))",
    "Dual.mk": "(inl {0} + inr {1} : DualNumber K)",
}  # fmt: skip
OF_NUMBERS = {  # whose first argument is the functions
    "ind": "(if {0} then 1 else 0 : {R})", "max": "({A}.max {0} {1})", "tied": "({A}.tied {0} {1})",
    "pow": "({0} ^ {1})",
}  # fmt: skip
OVER = {  # of a size and a function
    "sum": "(∑ {i} ∈ Finset.range {n}, {body})", "largest": "({A}.largest {n} fun {i} => {body})",
}  # fmt: skip
OWN = {*SPELLED, *OF_NUMBERS, *OVER}  # a definition of such a name is Mathlib's, or lean/mathlib.lean's


def spelled(text: str) -> str:
    """An expression or a type of the checked file in Mathlib's words, without parentheses around it."""
    return _bare(_said(read(text)))


def _bare(text: str) -> str:
    """Without parentheses that go around the whole, unless they say a type."""
    if not text.startswith("(") or _closed(text, 0) != len(text) - 1 or _typed(text):
        return text
    return text[1:-1]


def _typed(text: str) -> bool:
    if text.startswith(("(∀", "(fun ")):
        return False
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == ":" and depth == 1:
            return True
    return False


def _closed(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for n in range(start, len(text)):
        depth += (text[n] in "({") - (text[n] in ")}")
        if depth == 0:
            return n
    raise AssertionError(text)


def _said(tree: Tree) -> str:
    match tree:
        case str():
            return _word(tree)
        case ("fun", names, body):
            return f"(fun {' '.join(names)} => {_bare(_said(body))})"
        case ("all", names, kind, body):
            return f"(∀ {' '.join(names)} : {_bare(_said(kind))}, {_bare(_said(body))})"
        case ("to", a, b):
            return f"({_said(a)} → {_bare(_said(b))})"
        case ("of", inner, name):
            if name in NUMBERS:
                return _number(name, inner, [])
            return f"{_said(inner)}.{FIELDS.get(name, name)}"
        case ("let", name, value, body):
            return f"let {name} := {_bare(_said(value))}\n  {_bare(_said(body))}"
        case ("named", name, value):
            return f"({name} := {_bare(_said(value))})"
        case ("with", own):
            return "{ " + ", ".join(f"{n} := {_bare(_said(v))}" for n, v in own.items()) + " }"
    return _applied(*tree)


def _word(word: str) -> str:
    of, _, name = word.rpartition(".")
    if of == "A" and name in NUMBERS:
        return _number(name, of, [])
    if of and name in FIELDS and of.partition(".")[0] not in ("P", "D", "S"):
        return f"{of}.{FIELDS[name]}"
    return WORDS.get(word, word)


def _number(name: str, of: Tree, arguments: list[Tree]) -> str:
    return NUMBERS[name].format(*map(_said, arguments), R="K" if of == "A" else "DualNumber K")


def _applied(head: Tree, *arguments: Tree) -> str:
    match head:
        case ("of", of, name) if name in NUMBERS:
            return _number(name, of, [*arguments])
        case str() if head.startswith("A.") and head[2:] in NUMBERS:
            return _number(head[2:], "A", [*arguments])
        case str() if head in SPELLED:
            return SPELLED[head].format(*map(_said, arguments))
        case str() if head in OF_NUMBERS or head in OVER:
            return _of_numbers(head, *arguments)
    return f"({' '.join(map(_said, (head, *arguments)))})"


def _of_numbers(head: str, numbers: Tree, *arguments: Tree) -> str:
    known = {"A": _said(numbers), "R": "K" if numbers == "A" else "DualNumber K"}
    if head in OF_NUMBERS:
        return OF_NUMBERS[head].format(*map(_said, arguments), **known)
    size, function = arguments
    (index,), body = function[1:] if function[0] == "fun" else (("i",), [function, "i"])
    index = "_i" if index == "_" else index
    return OVER[head].format(n=_said(size), i=index, body=_said(body), **known)


# -- declarations ------------------------------------------------------------------------------------------------------

CHUNK = re.compile(r"^(?:/-(?:.|\n)*?-/|--.*|\S.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)
DECLARED = re.compile(r"(noncomputable def|theorem|structure) ([\w.]+)\s*")
FIELD = re.compile(r"^  (\w+) (:=|:) ((?:.|\n   )*?)(  -- .*)?$(?=\n  \w|\n  --|\Z)", re.MULTILINE)


@dataclass(frozen=True)
class Declared:
    """A definition, a theorem or a structure: its binders as they stand, its type, what is after `:=` or `where`."""

    kind: str
    name: str
    binders: tuple[str, ...]
    type: str
    after: str
    fields: bool

    def said(self) -> str:
        """In Mathlib's words; a theorem without its proof."""
        name = WORDS.get(self.name, self.name)
        head = " ".join((self.kind, name, *map(binder, self.binders)))
        typed = f" : {spelled(self.type)}" if self.type else ""
        if self.kind == "theorem":
            return f"{head} :\n    {spelled(self.type)} := by\n  sorry\n"
        if self.fields:
            return "\n".join((f"{head}{typed} where", *self._lines(), ""))
        return f"{head}{typed} :=\n  {spelled(self.after)}\n"

    def _lines(self) -> Iterator[str]:
        for name, sign, value, comment in FIELD.findall(self.after):
            ring = name in RING or (self.name == "Laws" and "A.gt" not in value)
            if self.name not in HEADER or not ring:
                yield f"  {name} {sign} {spelled(value)}{comment}"


def binder(text: str) -> str:
    """`(a b : type)`, or in braces; numbers that a theorem or a definition is about are of a commutative ring."""
    names, _, kind = text[1:-1].partition(" : ")
    made = f"{text[0]}{names} : {spelled(kind)}{text[-1]}"
    return f"{made} [CommRing K]" if text == "{K : Type}" else made


def declared(text: str) -> Declared | None:
    """A declaration's parts, or None for what is none."""
    if (found := DECLARED.match(text)) is None:
        return None
    rest, binders = text[found.end() :], []
    while rest[:1] in ("(", "{"):
        end = _closed(rest, 0)
        binders.append(rest[: end + 1])
        rest = rest[end + 1 :].lstrip()
    sign = re.search(r"(?:\A|\s)where(?=\n|\Z)|:=", rest)
    before, after = (rest[: sign.start()], rest[sign.end() :]) if sign else (rest, "")
    typed = before.strip().removeprefix(":").strip()
    fields = sign is not None and sign[0] != ":="
    return Declared(found[1], found[2], tuple(binders), typed, after.strip("\n"), fields)


def _binders(line: str) -> str:
    """A line `variable ..`."""
    return "variable " + " ".join(map(binder, re.findall(r"\([^()]*\)|\{[^{}]*\}", line)))


def _respelled(text: str, keep: Callable[[str, bool], bool], *, scopes: bool) -> Iterator[str]:
    """The declarations that `keep` says, of a kind, and whether within a section; with sections if `scopes`."""
    comment, depth = "", 0
    for chunk in CHUNK.findall(text):
        word = chunk.split()[0]
        if word == "/--":
            comment = f"{chunk}\n"
            continue
        own, comment = comment, ""
        depth += (word == "section") - (chunk == "end")
        if (found := declared(chunk)) is not None:
            if found.name not in OWN and keep(found.kind, depth > 0):
                yield own + found.said()
        elif word in ("namespace", "#print") or (word == "end" and chunk != "end"):
            yield f"{chunk}\n"
        elif scopes and word in ("section", "variable", "include", "omit", "end"):
            yield f"{_binders(chunk) if word == 'variable' else chunk}\n"
        elif word == "--" and (scopes if depth else chunk.endswith("--")):
            yield f"{chunk}\n"


def _header() -> Iterator[str]:
    """What a statement speaks of: the functions on numbers, their laws, and the derivative of each."""
    comment = ""
    for chunk in CHUNK.findall(library()):
        if chunk.startswith("/--"):
            comment = f"{chunk}\n"
            continue
        found, own, comment = declared(chunk), comment, ""
        if found is not None and found.name in HEADER and found.kind != "theorem":
            yield f"{NO_LAW_BUT}\n{found.said()}" if found.name == "Laws" else own + found.said()
            if found.name == "Arith":
                yield (files("netc.proofs") / "lean" / "mathlib.lean").read_text(encoding="utf-8")


def of_proof(text: str) -> str:
    """The file of a proof, of a net, a text, a rewrite or optimizers, as statements over Mathlib."""
    rest, parts = text.removeprefix(library()), [*_header()]
    for own in (recurrences(), updates()):
        if rest.lstrip().startswith(own.lstrip()):
            rest = rest.lstrip().removeprefix(own.lstrip())
            parts += _respelled(own, lambda kind, _: kind != "theorem", scopes=True)
    parts.insert(0, NOTE.format(said=_about(rest)))
    parts += _respelled(rest, lambda kind, inside: kind == "structure" or not inside, scopes=False)
    return "\n".join((*parts, "end Netc\n"))


def _about(rest: str) -> str:
    found = re.match(r"\s*/- ((?:.|\n)*?) -/", rest)
    return found[1] if found else OF_PROGRAM


def of_library() -> str:
    """The library's own theorems over Mathlib."""
    head = [NOTE.format(said=OF_LIBRARY), "universe u v\n", *_header()]
    made = [
        *_respelled(library(), lambda kind, _: kind == "theorem", scopes=True),
        *_respelled(recurrences(), lambda kind, _: kind != "structure", scopes=True),
    ]
    own = (
        re.sub(r"^theorem", "protected theorem", part, flags=re.MULTILINE) for part in made
    )  # Mathlib's have the names
    return "\n".join((*head, *own, "end Netc\n"))
