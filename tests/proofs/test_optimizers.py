"""Optimizers' updates: what is emitted is what the papers state, Lean takes it, and refuses what is not so."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from netc.codegen.module_emitter import ModuleEmitter
from netc.codegen.optim import rule_of
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.layers import Dense
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs import lean, optimizer
from netc.proofs.optimizer import PAPERS, prove_optimizers, proven
from netc.proofs.prove import checked
from netc.proofs.published import published
from netc.proofs.taken import taken
from netc.proofs.update import Variant, begin_function, update_function, variants


def there() -> None:
    if lean.found() is None:
        pytest.skip(lean.missing())


def largest(word: str):
    """The variant with every option, of a matrix where that is another; of sequences two terms."""
    return short(max(variants(word), key=lambda v: len(v.name)))


def short(v: Variant) -> Variant:
    """A variant whose sequences have two terms."""
    less = {n: 2 for n in ("iterations", "root_iterations") if hasattr(v.optimizer, n)}
    return replace(v, optimizer=replace(v.optimizer, **less))


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
    assert len(proof.parts) == len(proven())


def test_every_optimizer_is_proven():
    assert proven() == (*OPTIMIZERS,)
    for word in proven():
        for v in variants(word):
            assert PAPERS[type(v.optimizer)].definition(v) in published()


@pytest.mark.parametrize("word", proven())
def test_each_variant_is_what_a_train_step_does(word):
    """The operations of a parameter in a step, with options that the proof does not have."""
    for v in variants(word):
        defaults = {n: d for n, d in OPTIMIZERS[word].options.items() if v.options.get(n, 1.0)}
        said = {n: d or 0.5 for n, d in defaults.items() if type(d) is float}
        used = replace(v.optimizer, **said)
        rows, columns = v.shape if len(v.shape) == 2 else (3, 2)
        net = NetSpec("toy", (rows,), (Dense(columns, name="dense"),))
        step = build(check(net), Recipe(optimizer=used, decay_all=True), 3).module.function("train_step")
        name, shape = ("kernel", v.shape) if len(v.shape) == 2 else ("bias", (columns,))
        kernel = [op for op in step.ops if op.loc in ("optimizer", f"dense.{name} (update)")]
        y = next((n for n, op in enumerate(kernel) if op.loc == "optimizer"), 0)  # operations of where g is taken
        kernel = kernel[y:]
        alone = update_function(used, shape).ops
        assert [(op.kind, op.attrs, op.result.type) for op in kernel] == [
            (op.kind, op.attrs, op.result.type) for op in alone
        ]
        proved = update_function(v.optimizer, v.shape).ops
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
        ("schedulefree", r"\(max A P\.correction3 P\.lr\)", "P.lr"),
        ("adafactor", r"\(sum A S\.n1", "(sum A S.n0"),
        ("muon", r"=> \(A\.mul (\((v\d+) A S P k\d+ (k\d+)\)) \(\2 A S P (\S+) \3\)", r"=> (A.mul \1 (\2 A S P \3 \4)"),
        ("shampoo", r"\(A\.rsqrt (\(v\d+ A S P\))\)", r"(A.sqrt \1)"),
        ("lion", r"\(A\.gt \((v\d+) A S P (k\d+)\) \((v\d+) A S P k\d+\)\)", r"(A.gt (\3 A S P \2) (\1 A S P \2))"),
    ],
    ids=[
        "beta1 for beta2", "rate for beta1", "no bias", "no epsilon", "epsilon inside", "sign lost", "last rate",
        "other size", "not transposed", "no reciprocal", "other way",
    ],
)  # fmt: skip
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
    from netc.netspec.optimizers import Adam

    def inside(b, o, p, g, decay, kept, lr):
        m, v = adam.moments(b, o, g, kept)
        step = b.broadcast(b.div(lr, kept["correction1"]), p, ())
        below = b.unary("sqrt", b.add(b.mul(v, b.broadcast(b.div(1.0, kept["correction2"]), v, ())), o.epsilon))
        return b.sub(p, b.div(b.mul(m, step), below)), {"m": m, "v": v}

    monkeypatch.setitem(RULES, Adam, replace(RULES[Adam], update=inside))
    placed = r"adamw: the emitted p is not shown to be the one that the paper states; .* are sub of p \(update\)"
    with pytest.raises(NetcError, match=placed):
        prove_optimizers(["adamw"])


@pytest.mark.parametrize("word", proven())
def test_what_init_gives_is_the_beginning_of_the_paper(word, one_each, monkeypatch):
    """Every tensor that an optimizer keeps is compared; with another first number no proof is found."""
    v = largest(word)
    begin = begin_function(v.optimizer, v.shape)
    kept = begin.result_names
    rule = rule_of(v.optimizer)
    assert {*rule.moments(v.optimizer), *rule.scalars} >= {*kept} and len(begin.ops) == len(kept) >= 1
    (part,) = prove_optimizers([word]).parts
    assert sum(c.name.endswith("_begins") for c in part.compared) >= len(kept)
    plain = ModuleEmitter.init
    for name in kept:
        if (word, name) == ("schedulefree", "correction1"):
            continue  # times the square of the largest rate, which begins at 0

        def init(self, name=name):
            function = plain(self)
            wrong = {r for n, r in zip(function.result_names, function.results, strict=True) if n.startswith(name)}
            ops = (replace(op, attrs=(("value", 1.0),)) if op.result in wrong else op for op in function.ops)
            return replace(function, ops=tuple(ops))

        monkeypatch.setattr(ModuleEmitter, "init", init)
        with pytest.raises(NetcError, match=rf"{v.name}: the emitted \w+_begins is not shown to be the one that"):
            prove_optimizers([word])


def test_the_kernel_refuses_another_beginning(one_each, tmp_path):
    """The 0 of `init` as 1, in the definition and in the lemma that unfolds it."""
    there()
    proof, path = prove_optimizers(["adam"]), tmp_path / "proof.lean"
    head, begin, rest = proof.text.partition("/-- constant, init -/")
    assert begin and rest.count("/-- constant, init -/") == 3
    name = re.search(r"def (v\d+) ", rest)[1]
    wrong = rest.replace("A.zero", "A.one", 1)
    lemma = next(line for line in rest.split("\n") if line.startswith(f"theorem {name}_is"))
    wrong = wrong.replace(lemma, lemma.replace("A.zero", "A.one"), 1)
    path.write_text(f"{head}{begin}{wrong}", encoding="utf-8")
    answer = checked(proof, path)
    assert not answer.holds and "type mismatch" in answer.messages.lower()


def test_a_sequence_that_is_another_is_not_found(monkeypatch):
    """The polynomial of Newton and Schulz with two numbers exchanged, in Python."""
    from netc.codegen.optim import muon

    a, b, c = muon.QUINTIC
    monkeypatch.setattr(muon, "QUINTIC", (b, a, c))
    with pytest.raises(NetcError, match=r"newton_schulz1_x1 of the paper's sequence; .* dot of p \(update\)"):
        prove_optimizers(["muon"])


def test_what_has_no_paper_says_so(monkeypatch):
    monkeypatch.setattr(optimizer, "PAPERS", {})
    with pytest.raises(UserError, match=r"wants an optimizer with a row in PAPERS, .*, got muon; add its row"):
        prove_optimizers(["muon"])
