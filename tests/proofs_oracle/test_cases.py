"""Every case in the oracle, every reference against differences of itself, every bad case against its message."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layer import signature_of
from netc.netspec.layers import KINDS, Dense
from netc.netspec.spec import NetSpec
from netc.netspec.toml import from_toml, to_toml
from netc.netspec.types import TensorType
from netc.proofs_oracle import witness
from netc.proofs_oracle.draws import DRAWS, draw_case, generator
from netc.proofs_oracle.oracle import checks, run_case
from netc.proofs_oracle.references import REFERENCES
from netc.proofs_oracle.subject import Subject, emitted
from netc.proofs_oracle.witness import layer_vjp

CHECKS = list(checks())
CASES = [(reference, case) for reference in REFERENCES.values() for case in reference.cases]
CASE_IDS = [f"{reference.kind}/{case.name}" for reference, case in CASES]


@pytest.mark.parametrize(("reference", "case"), CASES, ids=CASE_IDS)
def test_codegen_agrees_with_jax_and_with_differences_of_itself(reference, case):
    """The reference is consistent then: its derivative is that of a function which has its values."""
    signature, seen = signature_of(case.layer, case.x), []

    def kept(layer, x, batch, training):
        subject = emitted(layer, x, batch, training)
        return Subject(subject.forward, lambda args: seen.append(subject.vjp(args)) or seen[-1])

    result = run_case(reference, case, seed=0, make=kept)
    assert result.passed, result.verdict()
    assert result.tensors >= 2
    assert (result.directions > 0) == DRAWS[case.draw].smooth
    assert (result.skipped > 0) != DRAWS[case.draw].smooth
    y, dx, *rest = seen[0]
    assert y.shape == (case.batch, *signature.out.shape)
    assert dx.shape == (case.batch, *case.shape)
    assert [r.shape for r in rest] == [p.shape for p in (*signature.params, *signature.state)]


ONLY_AT_START = ("std",)  # options of what parameters start from, which no pullback sees

OTHERS = [e for e in CHECKS if e.label not in CASE_IDS]


@pytest.mark.parametrize("check", OTHERS, ids=[e.label for e in OTHERS])
def test_loss_optimizer_or_step_agrees(check):
    result = check.run(seed=0)
    assert result.passed, result.verdict()
    assert result.tensors >= 2


def test_bad_cases_are_refused():
    for bad in (bad for reference in REFERENCES.values() for bad in reference.bad_cases):
        try:
            check(NetSpec("bad", bad.shape, (bad.layer,), dtype=bad.dtype))
            said = ""
        except SpecError as error:
            said = str(error)
        assert bad.message in said and said, bad


def test_every_kind_has_a_reference_with_cases_of_both_sorts():
    assert set(REFERENCES) == set(KINDS)
    for kind, reference in REFERENCES.items():
        assert reference.bad_cases, kind
        assert any(case.layer.kind == kind for case in reference.cases), kind


def test_every_activation_is_judged_everywhere_it_may_stand():
    names = {check.label for check in CHECKS}
    wanted = {f"activation/{a}" for a in ACTIVATIONS} | {f"activation/{a}-kinks" for a in ACTIVATIONS}
    wanted |= {f"{kind}/act-{a}" for kind in ("dense", "conv2d", "convBn", "convTranspose2d") for a in ACTIVATIONS}
    assert wanted <= names


def test_every_case_is_a_layer_that_a_user_can_write():
    for kind, case in ((kind, case) for kind, reference in REFERENCES.items() for case in reference.cases):
        spec = NetSpec("case", case.shape, (case.layer,), dtype=case.x.dtype)
        check(spec)
        assert from_toml(to_toml(spec)) == spec, (kind, case.name)


def test_every_option_is_judged_away_from_its_default():
    unjudged = []
    for reference in REFERENCES.values():
        layers = [case.layer for case in reference.cases if case.layer.kind == reference.kind]
        for field in dataclasses.fields(KINDS[reference.kind]):
            given = field.default is dataclasses.MISSING or field.name in ("name", *ONLY_AT_START)  # in every case
            if not given and all(getattr(layer, field.name) == field.default for layer in layers):
                unjudged.append((reference.kind, field.name))
    assert unjudged == []


def test_labels_differ():
    labels = [check.label for check in CHECKS]
    assert len(set(labels)) == len(labels)


def maps_after(features):
    """How many memory maps the process has when JAX has differentiated a dense layer of each size."""
    for n in features:
        layer_vjp(Dense(n), TensorType((2,)), 1, True)([np.ones((2, n)), np.ones(n), np.ones((1, 2)), np.ones((1, n))])
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_programs_are_dropped_when_others_come(monkeypatch):
    """Each holds memory maps, of which a process may have 65,530: a run of all cases would else come near that."""
    monkeypatch.setattr(witness, "INTERPRETED", 0)
    kept = 32
    before = maps_after(range(1, kept + 1))
    assert maps_after(range(kept + 1, 2 * kept + 1)) < before + 4 * kept


# cases whose every gradient is 0 in truth: a variance of one element, functions flat at both ends, integers
FLAT = {
    "convBn/single-element", "activation/relu6-tails", "activation/h-sigmoid-tails", "topKGates/one-expert",
    "previousToken/one-token",
}  # fmt: skip


def test_no_other_case_has_only_zero_gradients():
    """A dead relu would agree with anything."""
    flat = set()
    for reference, case in CASES:
        signature = signature_of(case.layer, case.x)
        label = f"{reference.kind}/{case.name}"
        drawn = draw_case(generator(0, label), case)
        args = [*drawn.params.values(), *drawn.state.values(), drawn.x, drawn.dy]
        _, *gradients = emitted(case.layer, case.x, case.batch, case.training).vjp(args)[: 2 + len(signature.params)]
        if not any(np.any(np.abs(g) > 1e-12) for g in gradients):
            flat.add(label)
    assert flat == FLAT
