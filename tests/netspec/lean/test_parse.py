"""Tokens into expressions and definitions: precedences, layout, and what a message says."""

from __future__ import annotations

import pytest

from netc.netspec.lean.commands import Contents, contents
from netc.netspec.lean.parse import Parser
from netc.netspec.lean.source import Misread
from netc.netspec.lean.tokens import tokens
from netc.netspec.lean.tree import (
    Apply,
    Ascribed,
    Binary,
    Block,
    Dot,
    Function,
    Group,
    If,
    Index,
    Items,
    Literal,
    Match,
    Name,
    Node,
    Project,
    Structure,
    Unary,
)  # fmt: skip


def drawn(node: Node) -> str:  # noqa: PLR0912 (one case a form)
    """The tree, with brackets for what belongs together."""
    match node:
        case Literal(value=v):
            return repr(v) if isinstance(v, str) else str(v)
        case Name(parts=p):
            return ".".join(p)
        case Dot(name=n):
            return f".{n}"
        case Apply(function=f, arguments=a):
            given = [f"{x.name}={drawn(x.value)}" if x.name else drawn(x.value) for x in a]
            return f"({' '.join([drawn(f), *given])})"
        case Binary(symbol=s, left=x, right=y):
            return f"({drawn(x)} {s} {drawn(y)})"
        case Unary(symbol=s, operand=x):
            return f"({s}{drawn(x)})"
        case If(cases=c, otherwise=e):
            return "(" + " ".join(f"if {drawn(a)}: {drawn(b)}" for a, b in c) + f" else {drawn(e)})"
        case Match(values=v, arms=a):
            arms = [" or ".join(", ".join(map(drawn, p)) for p in x.alternatives) + f": {drawn(x.body)}" for x in a]
            return f"(match {', '.join(map(drawn, v))} {'; '.join(arms)})"
        case Function(parameters=p, body=b):
            return f"(fun {' '.join(drawn(x.pattern) for x in p)}: {drawn(b)})"
        case Block(bindings=b, body=e):
            return f"({'; '.join(f'{drawn(x.pattern)} := {drawn(x.value)}' for x in b)}; {drawn(e)})"
        case Items(items=i):
            return f"[{', '.join(map(drawn, i))}]"
        case Group(items=i, anonymous=a):
            return f"{'⟨' if a else '<'}{', '.join(map(drawn, i))}>"
        case Structure(bases=b, fields=f):
            return "{" + ", ".join([*map(drawn, b), *(f"{x.name}={drawn(x.value)}" for x in f)]) + "}"
        case Project(value=v, name=n):
            return f"{drawn(v)}!{n}"
        case Index(value=v, index=i, mode=m):
            return f"{drawn(v)}[{drawn(i)}]{m}"
        case Ascribed(value=v, type=t):
            return f"({drawn(v)} : {' '.join(t)})"
    return type(node).__name__


def expression(source: str) -> Node:
    parser = Parser(tokens(source))
    node = parser.expression()
    assert parser.ended, parser.token
    return node


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
        ("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"),
        ("-x ^ 2 + 1", "((-(x ^ 2)) + 1)"),
        ("a ++ b ++ c", "((a ++ b) ++ c)"),
        ("a :: b :: []", "(a :: (b :: []))"),
        ("a :: xs ++ ys", "((a :: xs) ++ ys)"),
        ("a == b && c < d || !e", "(((a == b) && (c < d)) || (!e))"),
        ("!a == b", "(!(a == b))"),
        ("f x y + g z", "((f x y) + (g z))"),
        ("f (n := 3) x", "(f n=3 x)"),
        (".dense 784 512 .relu", "(.dense 784 512 .relu)"),
        ("Layer.dense 784 (28 * 28)", "(Layer.dense 784 (28 * 28))"),
        ("xs |>.map f |>.flatten", "(xs!map f)!flatten"),
        ("xs |> f |> g", "((xs |> f) |> g)"),
        ("f <| g $ x", "(f <| (g $ x))"),
        ("f ∘ g", "(f ∘ g)"),
        ("xs.map fun i => i + 1", "(xs.map (fun i: (i + 1)))"),
        ("(List.range 3 |>.map (· * 2)).flatten", "((List.range 3)!map (fun ·0: (·0 * 2)))!flatten"),
        ("(· + ·)", "(fun ·0 ·1: (·0 + ·1))"),
        ("λ x y => x", "(fun x y: x)"),
        ("fun (x y : Nat) => x", "(fun x y: x)"),
        ("fun (a, b) => a", "(fun <a, b>: a)"),
        ("fun ⟨a, b⟩ => a", "(fun ⟨a, b>: a)"),
        ("fun x : Nat => x", "(fun x: x)"),
        ("fun | 0 => a | n+1 => b", "(fun #0: (match #0 0: a; (n + 1): b))"),
        ("if a then b else if c then d else e", "(if a: b if c: d else e)"),
        ("if h : a < b then b else c", "(if (a < b): b else c)"),
        ("x ++ if a then b else c", "(x ++ (if a: b else c))"),
        ("match n, m with | 0, _ => a | 1, 2 | 3, 4 => b", "(match n, m 0, Hole: a; 1, 2 or 3, 4: b)"),
        ("match n with\n| 0 => match m with\n     | 0 => a\n     | _ => b\n| _ => c",
         "(match n 0: (match m 0: a; Hole: b); Hole: c)"),
        ("let x := 1; let y : Nat := 2; x", "(x := 1; y := 2; x)"),
        ("let x := f 1\nx", "(x := (f 1); x)"),
        ("let f (n : Nat) : Nat := n\nf 2", "(f := (fun n: n); (f 2))"),
        ("let (a, b) := p\na", "(<a, b> := p; a)"),
        ("{ base with a := 1, b := f x }", "{base, a=1, b=(f x)}"),
        ("{ a := 1\n  b := f 2\n  c := 3 }", "{a=1, b=(f 2), c=3}"),
        ("{ a, b := 2 }", "{a=a, b=2}"),
        ("{ x, y with a := 1 }", "{x, y, a=1}"),
        ("{ f 1 with a := 1 : T }", "{(f 1), a=1}"),
        ("{}", "{}"),
        ("[a, b,\n -- c\n]", "[a, b]"),
        ("#[1, 2].toList", "[1, 2]!toList"),
        ("p.1.2", "p!1!2"),
        ("(f x).layers", "(f x)!layers"),
        ("xs[i + 1]!", "xs[(i + 1)]!"),
        ("xs[0]?", "xs[0]?"),
        ("xs[i]'(by simp [h])", "xs[i]"),
        ("f [1] x", "(f [1] x)"),
        ("(x : List Nat)", "(x : List Nat)"),
        ("⟨3, by decide⟩", "⟨3, Proof>"),
        ("(1, 2, 3)", "<1, 2, 3>"),
        ("↑n + 1", "(n + 1)"),
    ],
)  # fmt: skip
def test_forms(source: str, wanted: str) -> None:
    assert drawn(expression(source)) == wanted


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("f (1 + 2", 1, 3, "this ( is not closed: wants ), got the end"),
        ("[a, b", 1, 1, "this [ is not closed: wants ]"),
        ("[a, (b]", 1, 5, "this ( is not closed: wants ), got ]"),
        ("[a b c; d]", 1, 7, "wants ] or a comma, got ;"),
        ("1 +", 1, 4, "wants an expression, got the end"),
        ("if a then b", 1, 12, "wants else for the other case of if"),
        ("match a with 0 => 1", 1, 14, "wants | and a pattern, got 0"),
        ("match a, b with | 0 => 1", 1, 19, "wants 2 patterns here, got 1"),
        ("fun | 0 => a | 1, 2 => b", 1, 16, "wants 1 patterns, as in the first arm, got 2"),
        ("{ a := 1, a := 2 }", 1, 11, "the field a is given twice; drop one"),
        ("{ f x y }", 1, 9, "wants with after the structure that this one starts from"),
        ("do return 1", 1, 1, "a `do` block is beyond what netc reads of Lean"),
        ("let mut x := 1; x", 1, 5, "`let mut` is beyond what netc reads of Lean"),
        ("let x := 1 in x", 1, 12, "wants a new line or ; after this let, got in"),
        ("x |>. 3 +", 1, 10, "wants an expression"),
        ("m!\"a\"", 1, 1, 'only s!"..." is a String'),
        ('s!"{a b; c}"', 1, 8, "wants } after the expression, got ;"),
        ("(" * 101 + ")" * 101, 1, 101, "wants expressions nested at most 100 deep"),
    ],
)  # fmt: skip
def test_errors(source: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(Misread) as caught:
        expression(source)
    assert sentence in caught.value.sentence
    assert (caught.value.span.line, caught.value.span.column) == (line, column)


def defined(source: str) -> Contents:
    return contents(tokens(source))


def names(source: str) -> list[str]:
    return [".".join(d.name) for d in defined(source).definitions]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("def a := 1\ndef b := 2", ["a", "b"]),
        ("def a := 1 def b := 2", ["a", "b"]),
        ("@[simp, inline] private def a : Nat := 1", ["a"]),
        ("@[simp]\nnoncomputable protected def a : Nat := 1", ["a"]),
        ("abbrev a := 1\nset_option x true in\nopen Foo in\ndef b := 2", ["a", "b"]),
        ("namespace A\nnamespace B.C\ndef a := 1\nend B.C\ndef b := 2\nend A\ndef c := 3", ["A.B.C.a", "A.b", "c"]),
        ("namespace A\nsection S\ndef a := 1\nend S\nsection\ndef b := 1\nend\nend A\ndef c := 2", ["A.a", "A.b", "c"]),
        ("namespace A\n  def a := 1\n  def b := 2\nend A", ["A.a", "A.b"]),
        ("namespace A\ndef _root_.a := 1\ndef B.c := 2\nend A", ["a", "A.B.c"]),
        ("mutual\ndef a := 1\nend\ndef b := 2", ["a", "b"]),
        ("def «a b» := 1", ["a b"]),
        ("/-- doc -/ def a := 1\n/-! page -/\n/-- doc -/\ndef b := 1", ["a", "b"]),
        # what is not read is passed over, whatever stands in it
        ("import A.B\ntheorem t : 1 = 1 := by\n  simp [foo]\n  open X in\n  omega\ndef a := 1", ["a"]),
        ("example : True := by\n  exact ⟨def⟩\ndef a := 1", ["a"]),
        ("instance : Repr Layer where\n  reprPrec l _ := match l with\n    | _ => \"def x\"\ndef a := 1", ["a"]),
        ("inductive T where\n  | a (n : Nat)\n  | b\n  deriving Repr\nstructure S where\n  x : Nat\n\ndef a := 1", ["a"]),  # noqa: E501
        ("#eval do\n  let x := 1\n  IO.println x\ndef a := 1", ["a"]),
        ("#eval main\ndef a := 1\n#check a", ["a"]),
        ("macro \"foo\" : term => `(1 + 2)\nsyntax \"def\" term : command\nnotation \"x\" => 1\ndef a := 1", ["a"]),
        ("variable (n : Nat)\nuniverse u v\nattribute [simp] foo\nopen A B (c d) hiding e\ndef a := 1", ["a"]),
        ("deriving instance Repr for T\ninitialize x : IO Nat ← pure 1\ndef a := 1", ["a"]),
        ("theorem broken : (1 = 1 := by simp\ndef a := 1", ["a"]),
    ],
)  # fmt: skip
def test_commands(source: str, wanted: list[str]) -> None:
    found = defined(source)
    assert [".".join(d.name) for d in found.definitions] == wanted
    assert [d.problem for d in found.definitions] == [None] * len(wanted)


def test_a_definition_beyond_the_language_keeps_its_reason() -> None:
    source = 'def main : IO Unit := do\n  let x ← foo\n  IO.println s!"{x}"\ndef a := 1\npartial def b : Nat := Id.run do\n  return 1'  # noqa: E501
    main, a, b = defined(source).definitions
    assert main.problem is not None and "`do` block" in main.problem.sentence
    assert a.problem is None
    assert b.problem is not None


def test_signatures() -> None:
    [d] = defined(
        "def f.{u} (a b : Nat := 3) {n : Nat} [Inhabited T] x (p : Nat × Nat) : List (List Layer) := []"
    ).definitions
    assert [(p.name, p.type, p.explicit) for p in d.parameters] == [
        ("a", ("Nat",), True), ("b", ("Nat",), True), ("n", ("Nat",), False), ("x", (), True),
        ("p", ("Nat", "×", "Nat"), True),
    ]  # fmt: skip
    assert d.type == ("List", "(", "List", "Layer", ")")


def test_fields_stand_in_lines_and_an_argument_right_of_its_field() -> None:
    [d] = defined(
        'def x : NetSpec where\n  name := "a"\n  imageH :=\n    224\n  layers := f\n    1 2 ++ [\n  b]'
    ).definitions
    assert d.problem is None and d.body is not None
    assert drawn(d.body) == "{name='a', imageH=224, layers=((f 1 2) ++ [b])}"


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("def x : NetSpec where\n  a := 1,\n  b := 2", 2, 9, "must be on separate lines; remove the comma"),
        ("def x : NetSpec where\n  a := 1\n   b := 2", 3, 6, "wants an operator or the next field's line"),
        ("def x : NetSpec where\n  a := f\n b := 2", 3, 2, "wants this field in column 3, like the first"),
        ("def x : NetSpec where\n  a 1", 2, 5, "wants := after the field a, got 1"),
        ("def x : NetSpec", 1, 16, "wants := (or where) and a value, got the end of this definition"),
        ("def x := 1 )", 1, 12, "wants an operator or the end of this definition, got )"),
        ("def x := [1, 2\ndef y := 3", 1, 10, "this [ is not closed: wants ]"),
        ("def := 1", 1, 5, "wants a name after def, got :="),
        ("def f (a b c := 1", 1, 7, "this ( is not closed: wants )"),
    ],
)  # fmt: skip
def test_definition_errors(source: str, line: int, column: int, sentence: str) -> None:
    problem = defined(source).definitions[0].problem
    assert problem is not None
    assert sentence in problem.sentence
    assert (problem.span.line, problem.span.column) == (line, column)


def test_local_definitions_after_where() -> None:
    source = "def f : Nat := go 3\nwhere\n  go : Nat → Nat\n    | 0 => 1\n    | n+1 => go n\n  /-- doc -/\n  k (n : Nat) : Nat := n"  # noqa: E501
    [d] = defined(source).definitions
    assert d.problem is None
    assert isinstance(d.body, Block)
    assert [b.recursive for b in d.body.bindings] == [True, True]


def test_structures_are_declared_with_their_fields() -> None:
    [s] = defined(
        "structure Stage where\n  /-- doc -/\n  c : Nat\n  n m : Nat := 3\n  (w : Float)\n  deriving Repr"
    ).declared
    assert [(p.name, p.type, p.default is not None) for p in s.fields] == [
        ("c", ("Nat",), False), ("n", ("Nat",), True), ("m", ("Nat",), True), ("w", ("Float",), False),
    ]  # fmt: skip
