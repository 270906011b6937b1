"""What expressions are: Lean's numbers, lists, strings, functions and matches; and the limits."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import pytest

from netc.netspec.lean.commands import contents
from netc.netspec.lean.evaluate import Evaluator
from netc.netspec.lean.library import ROWS
from netc.netspec.lean.names import Globals
from netc.netspec.lean.source import Built, Integer, Misread, Product, Record, Value
from netc.netspec.lean.tokens import tokens
from tests.calls import SLOW_MACHINE


def value(source: str, name: str = "it") -> Value:
    """The value of `def it` in the text, or of the text as an expression."""
    text = source if "def it" in source else f"def it := {source}"
    found = contents(tokens(text))
    known = Globals(found.definitions, found.declared, ROWS, ["learningRate"], ["dense", "globalAvgPool"])
    return Evaluator(known).run(known.definitions[tuple(name.split("."))])


def plain(v: Value) -> object:
    """Without the places: a constructor as (head, arguments), a structure as a dict."""
    if isinstance(v, tuple):
        return [plain(x) for x in v]
    if isinstance(v, Product):
        return tuple(plain(x) for x in v.items)
    if isinstance(v, Built):
        named = {k: plain(x) for k, x in v.named.items()}
        return (f".{v.head}", *map(plain, v.args), *([named] if named else []))
    if isinstance(v, Record):
        return {k: plain(x) for k, (x, _) in v.fields.items()}
    return v


NUMBERS = [
    ("1 + 2 * 3", 7), ("7 - 9", 0), ("7 / 2", 3), ("7 / 0", 0), ("7 % 0", 7), ("7 % 4", 3), ("2 ^ 10", 1024),
    ("(-3)", -3), ("3 - (5 : Int)", -2), ("-7 / 2", -4), ("-7 % 2", 1), ("(-7) / (-2)", 4), ("(3 : Int) - 5", -2),
    ("1 / 2 + 0.5", 1.0), ("1e-4 * 10", 1e-3), ("(1 / 4 : Float)", 0.25), ("-0.5", -0.5), ("2.0 ^ 3.0", 8.0),
    ("1.0 / 0.0", math.inf), ("0x10 + 1_0", 26), ("max 3 4 + min 1 2", 5), ("Nat.succ 3", 4), ("(5 : Nat).pred", 4),
    ("Nat.sub 3 5", 0), ("(224 / 16) ^ 2", 196), ("Float.ofNat 3 / 2", 1.5), ("Float.sqrt 4.0", 2.0),
    ("(7 : Nat).toFloat / 2", 3.5), ("Nat.sqrt 17", 4), ("(2.7).toUInt64.toNat", 2), ("Int.toNat (-3)", 0),
]  # fmt: skip
TRUTHS = [
    ("1 < 2 && 2 ≤ 2", True), ("1 == 2 || 3 != 3", False), ("!true", False), ("not false", True), ("3 ≥ 4", False),
    ("false && 1 / 0 == 1", False), ('"a" == "a"', True), ("[1, 2] == [1, 2]", True), (".relu == .gelu", False),
    ("1 = 1 ∧ 2 ≠ 3", True), ("0.5 < 1", True), ('"a" < "b"', True),
]  # fmt: skip
STRINGS = [
    (r'"a\tb" ++ "c"', "a\tbc"), ('s!"n{1 + 2}-{[1, 2]}-{true}-{"x"}-{0.5}"', "n3-[1, 2]-true-x-0.500000"),
    ("toString 3", "3"), ("(3 : Nat).repr", "3"), ('", ".intercalate ["a", "b"]', "a, b"),
    ('String.join ["a", "b"]', "ab"), ('"ab".length', 2), ('"ab".toUpper', "AB"), ("s!\"{'c'}\"", "c"),
]  # fmt: skip
LISTS = [
    ("[1, 2,\n -- more\n 3,]", [1, 2, 3]), ("[1] ++ [2] ++ []", [1, 2]), ("1 :: 2 :: [3]", [1, 2, 3]),
    ("List.replicate 2 .relu", [(".relu",), (".relu",)]), ("List.range 3", [0, 1, 2]),
    ("List.range 3 |>.map fun i => i * 2", [0, 2, 4]), ("(List.range 3).map (· + 1)", [1, 2, 3]),
    ("List.map (fun x => x + 1) [1, 2]", [2, 3]), ("[[1], [2, 3]].flatten", [1, 2, 3]), ("List.join [[1], [2]]", [1, 2]),  # noqa: E501
    ("[1, 2].flatMap fun x => [x, x]", [1, 1, 2, 2]), ("List.bind [1, 2] (fun x => [x])", [1, 2]),
    ("[1, 2, 3].foldl (fun a x => a + x) 0", 6), ("[1, 2, 3].foldl (· - ·) 10", 4),
    ("[1, 2].foldr (fun x a => x :: a) []", [1, 2]), ("[1, 2, 3].length", 3), ("[1, 2].reverse", [2, 1]),
    ("[1, 2].zip [3, 4]", [(1, 3), (2, 4)]), ("[5, 6].enum", [(0, 5), (1, 6)]), ("[5, 6].zipIdx", [(5, 0), (6, 1)]),
    ("[1].append [2]", [1, 2]), ("[7, 8].head!", 7), ("[7, 8][1]!", 8), ("[7, 8][0]", 7), ("[7][3]?", (".none",)),
    ("[7][0]?", (".some", 7)), ("[7].getD 3 9", 9), ("#[1, 2].toList", [1, 2]), ("#[1].push 2 |>.toList", [1, 2]),
    ("[1, 2, 3].filter (· > 1)", [2, 3]), ("[1, 2].all (· > 0)", True), ("[1, 2].any (· > 1)", True),
    ("[1, 2, 3].take 2", [1, 2]), ("[1, 2, 3].drop 2", [3]), ("[1, 2].sum", 3), ("[1, 2].contains 2", True),
    ("[3, 4].mapIdx fun i x => i * x", [0, 4]), ("List.zipWith (· + ·) [1, 2] [3, 4]", [4, 6]),
    ("[1, 2].map fun | 1 => 5 | n => n", [5, 2]), ("([1, 2].head?).getD 0", 1), ("([] : List Layer)", []),
    ("[(1, 2), (3, 4)].map fun (a, b) => a + b", [3, 7]), ("[(1, 2)].map (·.2)", [2]), ("((1, 2, 3).2.1)", 2),
    ("[⟨1, 2⟩].map fun ⟨a, b⟩ => b", [2]), ("List.range 2 |>.map (fun i => [i]) |>.flatten", [0, 1]),
    ("List.replicate 2 [1, 2] |>.flatten", [1, 2, 1, 2]), ("[1, 2].map (Nat.add 1)", [2, 3]),
    ("[2, 3].map .flatten", [(".flatten", 2), (".flatten", 3)]), ("[1, 2] |> List.reverse", [2, 1]),
    ("List.reverse <| [1] ++ [2]", [2, 1]), ("(List.length ∘ List.reverse) [1, 2]", 2), ("List.sum $ List.range 4", 6),
]  # fmt: skip
FORMS = [
    (".dense 784 512 .relu", (".dense", 784, 512, (".relu",))),
    ("Layer.dense 784 (28 * 28) Activation.relu", (".dense", 784, 784, (".relu",))),
    (".transformerEncoder 192 3 768 12 (causalMask := true)",
     (".transformerEncoder", 192, 3, 768, 12, {"causalMask": True})),
    ("if 1 < 2 then 3 else 4", 3), ("if 1 > 2 then 3 else if true then 5 else 4", 5),
    ("match 3 with | 0 => 1 | n+1 => n | _ => 9", 2), ("match 0, 1 with | 0, 0 => 1 | 0, _ | _, 0 => 2 | _, _ => 3", 2),
    ("match [1, 2] with | [] => 0 | x :: xs => x + xs.length", 2), ("match (1, 2) with | (a, b) => a + b", 3),
    ("match some 3 with | some x => x | none => 0", 3), ("match none with | some x => x | none => 0", 0),
    ("match true with | true => 1 | false => 0", 1), ('match "a" with | "b" => 1 | _ => 2', 2),
    ("match Activation.relu with | .gelu => 1 | .relu => 2 | _ => 3", 2), ("match -1 with | -1 => 1 | _ => 2", 1),
    ("match .dense 1 2 .relu with | .dense a _ .relu => a | _ => 0", 1), ("match 3 with | .succ n => n | .zero => 0", 2),  # noqa: E501
    ("let a := 2; let f (n : Nat) : Nat := n * a; f 4", 8), ("let (a, b) := (1, 2)\na + b", 3),
    ("(fun x y => x - y) 5 2", 3), ("(fun x y => x - y) (y := 5) 7", 2), ("id 3", 3),
    ("{ a := 1, b := [2] }", {"a": 1, "b": [2]}), ("{ { a := 1, b := 2 } with b := 3, c := 4 }", {"a": 1, "b": 3, "c": 4}),  # noqa: E501
    ("{ { a := 1 }, { a := 2, b := 3 } with c := 4 }", {"a": 1, "b": 3, "c": 4}),
    ("({ a := 1, b := 2 }).b", 2), ("{ learningRate := 1 / 4, epochs := 7 / 2 }", {"learningRate": 0.25, "epochs": 3}),
]  # fmt: skip
FILES = [
    ("def a := b\ndef b := 3\ndef it := a + b", 6),
    ("def f (c n : Nat) : List Layer := List.replicate n (.dense c c)\ndef it := f 2 1 ++ f (n := 1) 3",
     [(".dense", 2, 2), (".dense", 3, 3)]),
    ("def f (c : Nat) (n : Nat := c * 2) : Nat := c + n\ndef it := [f 1, f 1 5, [1].map f |>.sum]", [3, 6, 3]),
    ("def f (w : Nat := 3) : Nat := w\ndef it := f + f 4", 7),
    ("def f {α : Type} [Inhabited α] (x : α) : α := x\ndef it := f 3", 3),
    ("def f : Nat → List Nat\n  | 0 => []\n  | n+1 => f n ++ [n]\ndef it := f 3", [0, 1, 2]),
    ("def f (c : Nat) : Nat → Nat → Nat\n  | 0, k => c + k\n  | n+1, k => f (c * 2) n k\ndef it := f 1 3 4", 12),
    ("def half (x : Float) : Float := x\ndef it := half (1 / 2)", 0.5),
    ("def lr : Float := 1 / 8\ndef it := lr", 0.125),
    ("def xs : List Float := [1, 1 / 2]\ndef it := xs", [1.0, 0.5]),
    ("def i : Int := 3 - 5\ndef it := i", -2),
    ("namespace A\ndef x := 1\nnamespace B\ndef y := x + 1\nend B\nend A\ndef it := A.x + A.B.y", 3),
    ("namespace A\ndef x := 1\nend A\nopen A in\ndef it := x", 1),
    ("namespace A.B\ndef x := 1\nend A.B\nopen A\ndef it := B.x", 1),
    ("section\nopen List\ndef it := replicate 2 1\nend", [1, 1]),
    ("open Layer\ndef it := [dense 1 2 .relu, globalAvgPool]", [(".dense", 1, 2, (".relu",)), (".globalAvgPool",)]),
    ("def Layer.stem (n : Nat) : Layer := .dense n n .relu\ndef it := [.stem 3, Layer.stem 4]",
     [(".dense", 3, 3, (".relu",)), (".dense", 4, 4, (".relu",))]),
    ("def base := { layers := [1], name := \"a\" }\ndef it := base.layers ++ base.layers.map (· + base.name.length)",
     [1, 2]),
    ("def NetSpec.wider (s : NetSpec) (n : Nat) : NetSpec := { s with imageH := n }\n"
     "def base : NetSpec := { name := \"a\" }\ndef it := base.wider 3", {"name": "a", "imageH": 3}),
    ("structure Stage where\n  c : Nat\n  n : Nat := 2\n  w : Float := 1 / 2\ndef s : Stage := ⟨64, 3, 1⟩\n"
     "def t : Stage := { c := 4 }\ndef it := [s.n, t.n, t.c]", [3, 2, 4]),
    ("structure Stage where\n  c : Nat\n  n : Nat\ndef stages : List Stage := [⟨64, 3⟩, { c := 128, n := 4 }]\n"
     "def it := stages.map fun s => s.c * s.n", [192, 512]),
    ("def Stage.blocks (s : Stage) : Nat := s.n\nstructure Stage where\n  n : Nat\ndef s : Stage := { n := 3 }\n"
     "def it := s.blocks", 3),
    ("def it : List Nat := go 3\nwhere\n  go : Nat → List Nat\n    | 0 => []\n    | n+1 => k n :: go n\n"
     "  k (n : Nat) : Nat := n * 2", [4, 2, 0]),
    ("def it : NetSpec where\n  layers := a 2\nwhere\n  a (n : Nat) := [n]", {"layers": [2]}),
    ("def xs : List (Float × Nat) := [(1 / 2, 3)]\ndef it := xs", [(0.5, 3)]),
    ("def it := ([1, 2].zip [(3, 4), (5, 6)]).map fun (a, b, c) => a + b + c", [8, 13]),
    ("def it := xs.map fun x => x + w\n  where\n  xs := [1]\n  w := 2", [3]),
    ("def größe := 3\ndef α₁ := größe\ndef «a b» := α₁\ndef it := «a b»", 3),
    ("inductive Size | small | large\ndef w : Size → Nat\n  | .small => 1\n  | .large => 2\ndef it := w Size.large", 2),
]  # fmt: skip


@pytest.mark.parametrize(("source", "wanted"), [*NUMBERS, *TRUTHS, *STRINGS, *LISTS, *FORMS, *FILES])
def test_values(source: str, wanted: object) -> None:
    found = plain(value(source))
    assert found == wanted
    assert type(found) is type(wanted) or isinstance(found, Integer)


def test_library_functions_by_name() -> None:
    assert value("[(1, 2, 3)].map Prod.fst") == (1,)
    assert plain(value("[(1, 2, 3)].map Prod.snd")) == [(2, 3)]


def test_places_of_a_constructor_and_its_arguments() -> None:
    built = value("[\n  .dense 1 (2 + 3) (act := .relu)]")
    assert isinstance(built, tuple) and isinstance(built[0], Built)
    dense = built[0]
    assert (dense.at.line, dense.at.column, dense.at.end) == (2, 4, 9)
    assert [s.column for s in dense.spans] == [10, 15]  # of a sum, the sign
    assert dense.named_spans["act"].column == 29


ERRORS = [
    ("1 + widht\ndef width := 3", 1, 15, "unknown name widht; did you mean width?"),
    ("open Layer\ndef it := zzz", 2, 11, "unknown name zzz"),
    ("zzz", 1, 11, "unknown name zzz; define it in this file with `def`"),
    ('1 + "a"', 1, 15, "+ wants numbers, got the String 'a'; join strings and lists with ++"),
    ("[1] + [2]", 1, 11, "+ wants numbers, got a list of 1; join strings and lists with ++"),
    (".maxPool 2 -1", 1, 12, "- wants numbers, got .maxPool; write (-1) for a negative argument"),
    ("[1] ++ 2", 1, 18, "++ wants lists (or two Strings), got the Nat 2"),
    ("[.a] ++ .relu", 1, 20, "++ wants lists (or two Strings), got .relu; put it in [ ]"),
    ("1 :: 2", 1, 16, ":: wants a list on its right, got the Nat 2; end with :: []"),
    ("if 1 then 2 else 3", 1, 14, "wants a Bool, got the Nat 1"),
    ("match 5 with | 0 => 1 | 1 => 2", 1, 11, "wants an arm for the Nat 5, but none fits; add `| _ => ..`"),
    ("3 4", 1, 11, "wants a function before arguments, got the Nat 3; is a comma or operator missing?"),
    ("[1][2]!", 1, 15, "wants an index below 1, the list's length, got 2"),
    ("[].head!", 1, 14, "wants a list with an element, got []"),
    ("[1].flatten", 1, 15, "wants a list of lists, got one with the Nat 1 in it; it is flat already"),
    ("List.replicate [1] 2", 1, 11, "List.replicate wants a Nat, got a list of 1"),
    ("(5).foo", 1, 15, "the Nat 5 has no field or function foo that netc knows"),
    ('1 == "a"', 1, 13, "wants two values of one type to compare"),
    ("{ 1 with a := 2 }", 1, 13, "wants a structure before `with`, got the Nat 1"),
    ("_", 1, 11, "wants a value, got _, which Lean would have to infer"),
    ("2 ^ 1000", 1, 13, "wants integers of at most 256 bits"),
    ("List.range 20000", 1, 11, "wants a list of at most 10000 elements, got 20000"),
    ('s!"{.relu}"', 1, 16, "wants a number, a String or a list to print, got .relu"),
    ("def it : Nat := 3 - (5 : Int)", 1, 19, "wants a Nat, got the Int -2; a Nat is a whole number from 0 on"),
    ("def it : Nat := 0.5", 1, 17, "wants a Nat, got the Float 0.5"),
    ("def it : List Layer := .relu", 1, 25, "wants a List, got .relu"),
    ('def it : NetSpec := "a"', 1, 21, "wants a NetSpec, got the String 'a'"),
    ("def it : Nat := a\ndef a : Nat := b\ndef b : Nat := a", 3, 16, "a is defined in terms of itself"),
    ("def f (n : Nat) : Nat := n\ndef it := f (m := 1)", 2, 19, "wants a parameter of f (n), got m"),
    ("def f (n : Nat) : Nat := n\ndef it := f \"a\"", 2, 13, "wants a Nat, got the String 'a'"),
    ("structure S where\n  a : Nat\ndef it : S := { b := 1 }", 3, 17, "S has no field b"),
    ("def f (n : Nat) : Nat := f n\ndef it := f 1", 1, 28, "nests more than 3000 deep"),
    ("def f : Nat → Nat | 0 => 0 | n+1 => f n + f n\ndef it := f 30", None, None, "more than 50000 steps"),
    ("def main : IO Unit := do\n  return\ndef it := main", 1, 23, "a `do` block is beyond what netc reads of Lean"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "line", "column", "sentence"), ERRORS)
def test_errors(source: str, line: int | None, column: int | None, sentence: str, deep_stack: None) -> None:
    with pytest.raises(Misread) as caught:
        value(source)
    assert sentence in caught.value.sentence
    assert line is None or (caught.value.span.line, caught.value.span.column) == (line, column)


@pytest.mark.parametrize(
    "source",
    [
        "(List.range 9999).foldl (fun a _ => a ++ [1]) []",
        "(List.range 9999).map fun _ => List.range 9999",
        "(List.range 300).foldl (fun a _ => [a, a]) []",
        '(List.range 99).foldl (fun a _ => a ++ a) "xxxxxxxx"',
        "(List.range 9999).foldl (fun a _ => a * 2 + 1) 1",
        "let w := fun x => x x; w w",
        "let a := (List.range 40).foldl (fun a _ => [a, a]) []; let b := (List.range 40).foldl (fun a _ => [a, a]) []\na == b",  # noqa: E501
        'String.join (List.replicate 9999 (String.join (List.replicate 999 "0123456789")))',
        '(List.range 9999).map fun i => s!"{List.range 999}"',
    ],
)
def test_hostile_expressions_end(source: str, deep_stack: None) -> None:
    start = time.process_time()
    with contextlib.suppress(Misread):
        value(source)
    assert time.process_time() - start < SLOW_MACHINE


def test_a_long_chain_nests_no_calls() -> None:
    assert value(" + ".join(["1"] * 3000)) == 3000
    assert plain(value(" ++ ".join(["[1]"] * 1000))) == [1] * 1000
    assert plain(value(" :: ".join(["1"] * 1000) + " :: []")) == [1] * 1000


@pytest.fixture
def deep_stack() -> Iterator[None]:
    """The stack that the file front gives the evaluator."""
    from netc.netspec.lean import file

    with file.deep_stack("test"):
        yield
