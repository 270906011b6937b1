"""What proofs assume does not contradict itself: it holds in a model, where 0 is not 1."""

from __future__ import annotations

import sys

import pytest

from netc.netspec.errors import NetcError
from netc.netspec.layers import Activation, SelfAttention
from netc.netspec.loss import LOSSES
from netc.netspec.types import TensorType
from netc.proofs import optimizer
from netc.proofs.file import library
from netc.proofs.optimizer import prove_optimizers, proven
from netc.proofs.prove import prove, prove_layer, prove_loss
from netc.proofs.update import variants
from tests.codegen.examples import EXAMPLES
from tests.proofs.model import Model
from tests.proofs.test_optimizers import short
from tests.proofs.test_prove import program, prove_faults

LIBRARY = library()
CAUSAL = SelfAttention(heads=2, causal=True)


@pytest.fixture(autouse=True)
def deep():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


def causal() -> str:
    return prove_layer(CAUSAL, TensorType((4, 12)), 2).text


def test_layers_and_losses_assume_what_has_a_model():
    found = {}
    jobs = {kind: lambda e=e: prove_layer(e.layer, e.x, 3) for kind, e in EXAMPLES.items()}
    jobs["h-swish"] = lambda: prove_layer(Activation("h-swish"), TensorType((4,)), 3)
    for kind, loss in LOSSES.items():
        out = TensorType((2, 4) if kind == "branching" else (4,))
        jobs[f"loss:{kind}"] = lambda loss=loss, out=out: prove_loss(loss(), out, 3)
    for name, make in jobs.items():
        try:
            proof = make()
        except NetcError:  # it has no proof
            continue
        if proof.proved.assumed.found:
            model = Model(proof.text, LIBRARY)
            assert [claim for claim, _, _ in model.claims] == [*proof.proved.assumed.found]
            found[name] = model.fails()
    assert len(found) > 15 and {"loss:focal", "loss:branching"} <= found.keys()
    assert not {name: wrong for name, wrong in found.items() if wrong}


@pytest.mark.parametrize("spec", prove_faults.NETS.values(), ids=lambda s: s.name)
def test_nets_assume_what_has_a_model(spec):
    assert Model(prove(program(spec)).text, LIBRARY).fails() == []


@pytest.mark.parametrize("word", proven())
def test_every_variant_of_an_optimizer_assumes_what_has_a_model(word, monkeypatch):
    """Of sequences two terms."""
    monkeypatch.setattr(optimizer, "variants", lambda word: [*map(short, variants(word))])
    proof = prove_optimizers([word])
    assert len(proof.parts) == len([*variants(word)]) > 1
    for part in proof.parts:
        own = proof.text.partition(f"\nnamespace {part.variant.name}\n")[2].partition("\nend ")[0]
        model = Model(own, LIBRARY)
        assert [name for name, _, _ in model.claims] == [*part.assumed.found] and model.fails() == []


def test_attention_assumes_what_has_a_model():
    model = Model(causal(), LIBRARY)
    assert {name.partition("_")[0] for name, _, _ in model.claims} == {"masked", "not"} and model.fails() == []


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("empty : (x : K) → Same (A.exp (A.add A.lowest x)) A.zero", ["empty"]),  # as it once stood: all exp are 0
        ("same : Same A.zero A.one", ["same"]),
        ("none : (j0 : N) → Same (A.exp (P.x j0 j0 j0)) A.zero", []),
        ("some : (j0 : N) → Same (A.exp (P.x j0 j0 j0)) A.one", ["some"]),
        ("far : (x : K) → Same (A.tanh (A.add A.one x)) A.zero", ["far"]),
    ],
)
def test_an_assumption_that_is_too_much_is_told(added, told):
    text = causal().replace("(P : Point K) where\n  masked", f"(P : Point K) where\n  {added}  -- planted\n  masked", 1)
    model = Model(text, LIBRARY)
    assert model.claims[0][0] == added.split()[0] and model.fails() == told


def test_two_hypotheses_that_contradict_each_other_are_told():
    """The sum of exponentials is not 0, and each of them is."""
    text = causal()
    at = text.index("  masked_")
    line = text[at : text.index("\n", at)]
    name = line.split()[0]
    wrong = line.replace("A.lowest", "A.zero").replace(name, "all_masked")
    # with 0 for the lowest: exp(0 - m) = 0 is that of a pixel, too, where its score is 0
    both = text.replace(line, f"{line}\n{wrong}")
    assert Model(both, LIBRARY).fails() == ["not_zero_v23"]
