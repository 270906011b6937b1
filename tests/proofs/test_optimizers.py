"""Optimizers' updates: what is emitted is what the papers state, Lean takes it, and refuses what is not so."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Dense
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs import lean, optimizer
from netc.proofs.optimizer import PAPERS, checked, prove_optimizers, proven
from netc.proofs.published import published
from netc.proofs.taken import taken
from netc.proofs.update import update_function, variants

NET = NetSpec("toy", (3,), (Dense(2, name="dense"),))


def there() -> None:
    if lean.found() is None:
        pytest.skip(lean.missing())


def largest(word: str):
    """The variant with every option."""
    return max(variants(word), key=lambda v: len(v.name))


@pytest.fixture
def one_each(monkeypatch):
    """Of each optimizer the variant with every option, so that Lean has less to read."""
    monkeypatch.setattr(optimizer, "variants", lambda word: [largest(word)])


def test_lean_takes_every_optimizer(one_each, tmp_path):
    there()
    proof, path = prove_optimizers(proven()), tmp_path / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    answer = checked(proof, path)
    assert answer.holds, answer.messages[:2000]
    assert len(proof.parts) == len(proven()) == 11


def test_every_optimizer_is_proven_or_has_a_reason():
    assert {*proven(), *optimizer.REASONS} == {*OPTIMIZERS}
    assert not {*proven()} & {*optimizer.REASONS}
    for word in proven():
        for v in variants(word):
            assert PAPERS[type(v.optimizer)].definition(v.optimizer) in published()


@pytest.mark.parametrize("word", proven())
def test_each_variant_is_what_a_train_step_does(word):
    """The operations of a parameter in a step, with options that the proof does not have."""
    for v in variants(word):
        defaults = {n: d for n, d in OPTIMIZERS[word].options.items() if v.options.get(n, 1.0)}
        said = {n: d or 0.5 for n, d in defaults.items() if type(d) is float}
        used = replace(v.optimizer, **said)
        step = build(check(NET), Recipe(optimizer=used), 3).module.function("train_step")
        kernel = [op for op in step.ops if op.loc in ("optimizer", "dense.kernel (update)")]
        alone = update_function(used, (3, 2)).ops
        assert [(op.kind, op.attrs, op.result.type) for op in kernel] == [
            (op.kind, op.attrs, op.result.type) for op in alone
        ]
        proved = update_function(v.optimizer).ops
        assert [op.kind for op in proved] == [op.kind for op in alone]


def test_what_lean_took_is_what_the_page_says():
    page = (Path(__file__).parents[2] / "docs/measurements/proofs.md").read_text(encoding="utf-8")
    said = set(re.findall(r"^\| (\S+) \| .*\| taken, \d+ \|$", page, re.MULTILINE))
    assert taken() <= said and {name for name in said if name.startswith(("loss:", "optimizer:"))} <= taken()
    assert {f"optimizer:{word}" for word in proven()} <= taken()


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "wanted", "wrong"),
    [
        ("adam", r"P\.beta1", "P.beta2"),
        ("adam", r"A\.mul \(P\.m (k\d+)\) \(v\d+ A S P k\d+\)", r"A.mul P.lr (P.m \1)"),
        ("adam", r"\(A\.mul P\.lr \(A\.recip P\.correction1\)\)|\(A\.mul P\.lr \(A\.recip \(v\d+ A S P\)\)\)", "P.lr"),
        ("adam", r"\(A\.add \((v\d+) A S P (k\d+)\) \(v\d+ A S P k\d+\)\)(?= := refl)", r"(\1 A S P \2)"),
        ("adam", r"\(A\.sqrt (\(v\d+ A S P k\d+\))\)", r"(A.sqrt (A.add \1 P.epsilon))"),
        ("sgd", r"\(A\.mul A\.minus (\(v\d+ A S P k\d+\))\)", r"\1"),
        ("lion", r"\(A\.gt \((v\d+) A S P (k\d+)\) \((v\d+) A S P k\d+\)\)", r"(A.gt (\3 A S P \2) (\1 A S P \2))"),
    ],
    ids=["beta1 for beta2", "rate for beta1", "no bias", "no epsilon", "epsilon inside", "sign lost", "other way"],
)
def test_the_kernel_refuses_a_fault(one_each, word, wanted, wrong, tmp_path):
    """A definition and the lemma that unfolds it are made wrong in the file; the proof is the right one's."""
    there()
    proof, path = prove_optimizers([word]), tmp_path / "proof.lean"
    head, begin, rest = proof.text.partition(f"namespace {proof.parts[0].variant.name}\n")
    lemma = next(m for m in re.finditer(r"theorem (v\d+)_is.*\n", rest) if re.search(wanted, m[0]))
    right = re.search(wanted, lemma[0])
    bad = right.expand(wrong)
    body = rest.index(right[0], rest.index(f"def {lemma[1]} "))
    rest = rest[:body] + bad + rest[body + len(right[0]) :]
    changed = rest.replace(lemma[0], lemma[0].replace(right[0], bad, 1))
    path.write_text(head + begin + changed, encoding="utf-8")
    answer = checked(proof, path)
    assert changed != rest and not answer.holds and "type mismatch" in answer.messages.lower()


def test_what_emits_another_update_is_not_found(monkeypatch):
    """Epsilon inside the root, in Python."""
    from netc.codegen.optim import adam
    from netc.codegen.optim.rule import RULES
    from netc.netspec.errors import NetcError
    from netc.netspec.optimizers import Adam

    def inside(b, o, p, g, decay, kept, lr):
        m, v = adam.moments(b, o, g, kept)
        step = b.broadcast(b.div(lr, kept["correction1"]), p, ())
        below = b.unary("sqrt", b.add(b.mul(v, b.broadcast(b.div(1.0, kept["correction2"]), v, ())), o.epsilon))
        return b.sub(p, b.div(b.mul(m, step), below)), {"m": m, "v": v}

    monkeypatch.setitem(RULES, Adam, replace(RULES[Adam], update=inside))
    with pytest.raises(NetcError, match="adamw: the emitted p is not shown to be the one that the paper states"):
        prove_optimizers(["adamw"])


def test_what_has_no_proof_says_why():
    with pytest.raises(UserError, match=r"wants an optimizer that it can, adam, .*, got muon; the products of Newton"):
        prove_optimizers(["muon"])
