"""Rewrites: what a pass makes is proven to be equal to the operation, and what is not is refused."""

from __future__ import annotations

import pytest

from netc.netspec.errors import NetcError
from netc.proofs import lean, rewrites
from netc.proofs.prove import checked_rewrite, prove_rewrite


@pytest.mark.parametrize("name", rewrites.REWRITES)
def test_a_rewrite_is_proven(name):
    proof = prove_rewrite(name)
    assert proof.text.count("theorem rewritten") == proof.text.count("#print axioms rewritten") >= 1


def test_lean_takes_one_and_refuses_a_fault(tmp_path):
    if lean.found() is None:
        pytest.skip(lean.missing())
    proof, path = prove_rewrite("winograd-kernel"), tmp_path / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    answer = checked_rewrite(proof, path)
    assert answer.holds, answer.messages
    place = proof.text.index("/-- neg, ")
    head, sign, rest = proof.text[place:].partition("A.mul A.minus ")
    path.write_text(f"{proof.text[:place]}{head}{sign.replace('A.minus', 'A.one')}{rest}", encoding="utf-8")
    assert "ype mismatch" in checked_rewrite(proof, path).messages


def test_a_wrong_form_is_refused(monkeypatch):
    wrong = rewrites.kernel_line
    monkeypatch.setattr(rewrites, "kernel_line", lambda b, line: wrong(b, line)[::-1])
    with pytest.raises(NetcError, match="winograd: result 0 is not shown to be that of the operation"):
        prove_rewrite("winograd")
