"""Rewrites: what a pass makes is proven to be equal to the operation, and what is not is refused."""

from __future__ import annotations

import pytest

from netc.codegen.rewrite import conv_forms, scan_forms
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.netspec.errors import NetcError
from netc.proofs import lean, rewrites
from netc.proofs.forms import FORMS
from netc.proofs.prove import checked, prove_rewrite

# what is no form of sums and places: the operation itself, a conversion, a kernel turned round, tiles of an image
OTHERS = {"direct", "widened", "convolution", "winograd", "winograd-stacked"}


@pytest.mark.parametrize("name", rewrites.REWRITES)
def test_a_rewrite_is_proven(name):
    proof = prove_rewrite(name)
    assert proof.text.count("theorem rewritten") == proof.text.count("#print axioms rewritten") >= 1


def test_every_form_of_a_convolution_is_proven():
    assert {(c.kind, c.form) for c in FORMS.values()} == {
        (kind, form) for kind, forms in CONV_FORMS.items() for form in forms if form not in OTHERS
    }


@pytest.mark.parametrize(
    ("name", "where", "right", "wrong"),
    [
        ("winograd-kernel", "/-- neg, ", "A.mul A.minus ", "A.mul A.one "),
        ("phases-dilated", "/-- slice, ", "(equal (plus (N.succ N.zero)", "(equal (plus N.zero"),
    ],
)
def test_lean_takes_one_and_refuses_a_fault(name, where, right, wrong, tmp_path):
    if lean.found() is None:
        pytest.skip(lean.missing())
    proof, path = prove_rewrite(name), tmp_path / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    answer = checked(proof, path)
    assert answer.holds, answer.messages
    head, place, rest = proof.text.partition(where)
    assert right in rest
    path.write_text(f"{head}{place}{rest.replace(right, wrong, 1)}", encoding="utf-8")
    assert "ype mismatch" in checked(proof, path).messages


def test_a_recurrence_in_doublings_is_its_steps(tmp_path):
    """Of five steps, each a theorem, forward and from the end."""
    if lean.found() is None:
        pytest.skip(lean.missing())
    for name in ("doubling", "doubling-back"):
        proof, path = prove_rewrite(name), tmp_path / "proof.lean"
        path.write_text(proof.text, encoding="utf-8")
        answer = checked(proof, path)
        assert answer.holds and proof.text.count("\n#print axioms") == 5, answer.messages


@pytest.mark.parametrize("name", ["doubling", "doubling-back"])
def test_a_recurrence_with_another_shift_is_refused(name, monkeypatch):
    right = scan_forms._later
    monkeypatch.setattr(
        scan_forms, "_later", lambda b, x, axis, by, reverse, value: right(b, x, axis, 1, reverse, value)
    )
    with pytest.raises(NetcError, match=f"{name}: the result at .* is not shown to be that of the operation"):
        prove_rewrite(name)


def test_a_wrong_form_is_refused(monkeypatch):
    wrong = rewrites.kernel_line
    monkeypatch.setattr(rewrites, "kernel_line", lambda b, line: wrong(b, line)[::-1])
    with pytest.raises(NetcError, match="winograd: the result at i0, i1 is not shown to be that of the operation"):
        prove_rewrite("winograd")


def test_taps_in_another_order_are_refused(monkeypatch):
    right = conv_forms.view
    monkeypatch.setattr(conv_forms, "view", lambda b, image, w, tap: right(b, image, w, (1 - tap[0], tap[1])))
    for name in ("taps", "im2col", "kernel-taps"):
        with pytest.raises(NetcError, match=f"{name}: the result at .* is not shown to be that of the operation"):
            prove_rewrite(name)
