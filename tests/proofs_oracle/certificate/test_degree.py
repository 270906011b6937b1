"""Degrees of what a program computes: over a common denominator, and of a part of a concatenation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import Dense, Flatten, MixtureOfExperts
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.degree import Degree, Reciprocals
from netc.proofs_oracle.certificate.dual import Dual
from netc.proofs_oracle.certificate.functions import TranscendentalField
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.residues import Residues, draw_primes
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.target import parse_target


def test_degree_over_a_common_denominator():
    made = Reciprocals()
    inner = made.of(b"a", 3, Degree(2))  # three different 1/t, t of degree 2
    outer = made.of(b"b", 1, Degree(1, {b"a": 1}))  # one 1/(x/t)
    assert made.cleared(Degree(5)) == 5
    assert made.cleared(Degree(1) * inner) == 1 + 3 * 2
    assert made.cleared(outer) == 1 + 3 * 2
    assert made.cleared(inner * inner | Degree(4)) == 4 + 2 * 3 * 2


def test_a_part_of_a_concatenation_has_its_own_degree():
    field = Residues(draw_primes(3, np.random.default_rng(0)))
    A = TranscendentalField(field, np.random.default_rng(0), Identities(), False)
    low = Dual(np.ones((2, 3)), np.ones((3, 2, 3)), None, Degree(2))
    high = Dual(np.ones((2, 4)), np.ones((3, 2, 4)), np.ones((3, 2, 4)), Degree(9), Degree(4))
    both = A.concatenate([low, high], 1)
    assert (both.deg, both.tdeg) == (Degree(9), Degree(4))
    for start, limit, deg, tdeg in ((0, 3, 2, 0), (1, 2, 2, 0), (3, 7, 9, 4), (2, 4, 9, 4)):
        part = A.slice(both, (0, start), (2, limit), (1, 1))
        assert (part.deg, part.tdeg) == (Degree(deg), Degree(tdeg))
    assert A.slice(both.value, (0, 3), (2, 7), (1, 1)).tdeg == Degree()
    changed = (replace(both, deg=Degree(20)), replace(both, res=both.res + 1), A.reshape(both, (7, 2)))
    for one in changed:  # no longer that concatenation
        assert A.slice(one, (0, 0), (1, 1), (1, 1)).deg == one.deg


def test_gates_beside_what_they_weigh_do_not_double_the_degree():
    blocks = [MixtureOfExperts(4, 2, name=f"e{i}") for i in range(3)]
    net = NetSpec("experts", (4, 4), (*blocks, Flatten(), Dense(2)))
    found = certify_program(build(check(net), Recipe(), 2), parse_target("cpu"), Settings(primes=2))
    assert found.statements[0].degree < 300  # 794 with the degree of the whole for each part
