"""Statements for Mathlib: the words of the table, and that a file states what the checked one proves, whole.

No Lean with Mathlib reads them here, so what is tested is their shape.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.proofs import mathlib
from netc.proofs.expressions import read
from netc.proofs.file import library, recurrences
from netc.proofs.mathlib import of_library, of_proof, spelled
from netc.proofs.optimizer import prove_optimizers
from netc.proofs.prove import prove, prove_rewrite
from tests.proofs import mathlib_reading
from tests.proofs.test_prove import CNN, GPT, SCAN, program

THEOREM = re.compile(r"^(?:protected )?theorem (\w+)", re.MULTILINE)
OWN = re.compile(
    r"\b(?:Same|Arith|Dual|N|B|choose|ind|sum|clamp|plus|times|equal|less|A\.(?:add|mul|zero|one|minus)|re|eps)\b"
)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("(A.add A.zero (A.mul A.minus P.c0))", "(0 : K) + ((-1 : K) * P.c0)"),
        ("(sum A S.n0 (fun k5 => (A.add (v0 A S P k5) A.one)))", "∑ k5 ∈ Finset.range S.n0, ((v0 A S P k5) + (1 : K))"),
        ("(largest A S.n0 (fun k => (P.x k)))", "A.largest S.n0 fun k => (P.x k)"),
        ("(sum (dual A) n f)", "∑ i ∈ Finset.range n, (f i)"),
        ("(max A (A.exp a) b)", "A.max (A.exp a) b"),
        ("(choose (both (less i S.n0) (equal i j)) a b)", "if ((decide (i < S.n0)) && (i == j)) then a else b"),
        ("(ind (dual A) (either c (not d)))", "(if (c || (!d)) then 1 else 0 : DualNumber K)"),
        (
            "(P.x (clamp S.n0 (plus (times i S.n1) (N.succ N.zero))))",
            "P.x (min ((i * S.n1) + ((0 : ℕ) + 1)) (S.n0 - 1))",
        ),
        ("(pow A P.beta1 (N.succ t))", "P.beta1 ^ (t + 1)"),
        ("Dual.mk (P.x i) A.zero", "(inl (P.x i) + inr (0 : K) : DualNumber K)"),
        ("(j0 : N) → (x : K) → Same (A.tanh x) (P.eps j0)", "∀ j0 : ℕ, ∀ x : K, (A.tanh x) = (P.eps j0)"),
        ("Same ((dual A).mul a b).eps (tied A x a.re)", "(a * b).snd = (A.tied x a.fst)"),
        ("N → B → Point (Dual K)", "ℕ → Bool → Point (DualNumber K)"),
        ("Same (lamb A S.n0 P.p).m A.half", "(lamb A S.n0 P.p).m = A.half"),
    ],
)
def test_the_table(ours, theirs):
    assert spelled(ours) == theirs


def shape(text: str) -> None:
    """Marked, balanced, one import, nothing of the library's words, and no proof."""
    assert text.startswith("/- NOT CHECKED: no Lean with Mathlib has read this file")
    assert re.findall(r"^import .*$", text, re.MULTILINE) == ["import Mathlib"] and "prelude" not in text
    code = re.sub(r"/-(?:.|\n)*?-/|--.*", "", text)
    assert not OWN.findall(code)
    assert all(code.count(a) == code.count(b) for a, b in ("()", "[]", "{}"))
    assert len(re.findall(r"^(?:section|namespace)\b", code, re.MULTILINE)) == len(
        re.findall(r"^end\b", code, re.MULTILINE)
    )
    assert code.count(":= by\n  sorry\n") == code.count("sorry") == len(THEOREM.findall(code))


@pytest.mark.parametrize(
    "made",
    [
        lambda: prove(program(CNN)), lambda: prove(program(GPT)), lambda: prove(program(SCAN)),
        lambda: prove_rewrite("winograd"),
        lambda: prove_optimizers(["adam", "lamb"]),
    ],
    ids=["cnn", "gpt", "scan", "rewrite", "optimizers"],
)  # fmt: skip
def test_a_proof_is_stated_whole(made):
    """Each theorem whose axioms are printed, each operation, size and hypothesis, under its own name."""
    ours = made().text
    theirs = of_proof(ours)
    shape(theirs)
    printed = re.findall(r"^#print axioms .*$", ours, re.MULTILINE)
    assert re.findall(r"^#print axioms .*$", theirs, re.MULTILINE) == printed
    assert THEOREM.findall(theirs) == [line.split()[-1].rpartition(".")[2] for line in printed]
    for kind in (r"^noncomputable def (v\d+) ", r"^structure (\w+)", r"^  (\w+) : .* -- "):
        own = [n for n in re.findall(kind, ours.removeprefix(library()), re.MULTILINE) if n != "N"]
        assert [n for n in re.findall(kind, theirs, re.MULTILINE) if n not in ("Functions", "Laws")] == own


def test_the_library_is_stated_whole():
    text = of_library()
    shape(text)
    assert THEOREM.findall(text) == THEOREM.findall(library() + recurrences())


def misread(monkeypatch) -> list[tuple[str, str]]:
    """Each expression of four files whose text, read with Lean's precedences, is not what was meant; how many, last."""
    pairs: dict[tuple[str, str], None] = {}

    def kept(text: str) -> str:
        said = spelled(text)
        pairs[text, said] = None
        return said

    with monkeypatch.context() as patch:
        patch.setattr(mathlib, "spelled", kept)
        of_library()
        for text in texts():
            of_proof(text)
    assert len(pairs) > 400
    return [(ours, text) for ours, text in pairs if not means(ours, text)]


@cache
def texts() -> tuple[str, ...]:
    return prove(program(SCAN)).text, prove(program(GPT)).text, prove_optimizers(["adam", "lamb"]).text


def means(ours: str, text: str) -> bool:
    try:
        return mathlib_reading.read(text) == mathlib_reading.meant(read(ours))
    except mathlib_reading.UnreadableError:
        return False


def test_the_text_reads_as_what_was_meant(monkeypatch):
    """By the precedences of Lean's and Mathlib's notation, which a second reader has."""
    assert misread(monkeypatch) == []


def test_no_name_is_used_but_those_that_were_compared():
    """What begins with a capital and is not declared in the file itself is in the page's table."""
    page = (Path(__file__).parents[2] / "docs" / "proofs.md").read_text(encoding="utf-8")
    table = page.partition("## For Mathlib")[2].partition("\n## ")[0]
    compared = {w for line in table.split("\n") if line.startswith("| `") for w in re.findall(r"`([\w.*]+)`", line)}
    for text in (of_library(), *map(of_proof, texts())):
        code = re.sub(r"/-(?:.|\n)*?-/|--.*|^(?:import|namespace|end|open|#print|set_option) .*$", "", text, flags=re.M)
        own = set(re.findall(r"^(?:noncomputable )?(?:def|structure) ([\w.]+)", code, re.MULTILINE))
        bound = set(re.findall(r"[({]([A-Z]) :", code))
        used = set(re.findall(r"(?<![\w.])[A-Z]\w*(?:\.\w+)*\*?", code))
        assert {w for w in used - own - bound if w[1:2] != "."} <= compared


@pytest.mark.parametrize(
    ("table", "word", "wrong"),
    [
        ("NUMBERS", "add", "{0} + {1}"),
        ("OVER", "sum", "∑ {i} ∈ Finset.range {n}, {body}"),
        ("SPELLED", "choose", "if {0} then {1} else {2}"),
        ("SPELLED", "clamp", "(min {0} ({1} - 1))"),
        ("OF_NUMBERS", "ind", "(if {0} then 1 else 0)"),
    ],
)
def test_a_table_that_says_another_thing_is_misread(table, word, wrong, monkeypatch):
    monkeypatch.setitem(getattr(mathlib, table), word, wrong)
    assert misread(monkeypatch)


def test_what_is_no_expression_is_told():
    with pytest.raises(AssertionError):
        read("(A.add a b))")


@pytest.mark.parametrize(
    ("words", "name", "theorem"),
    [
        (("mnist-mlp",), "mnist-mlp.mathlib.lean", "theorem gradients_are_the_derivative {K : Type*} [CommRing K]"),
        (("--optimizer", "sgd"), "sgd.mathlib.lean", "theorem holds {K : Type*} [CommRing K]"),
        ((), "netc.mathlib.lean", "protected theorem mul_sum :"),
    ],
)
def test_prove_writes_it(words, name, theorem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(cli, ["prove", *words, "--mathlib"])
    assert found.exit_code == 0 and f"written to {name}\nnot checked: these are statements for Mathlib" in found.output
    assert theorem in (tmp_path / name).read_text(encoding="utf-8")
