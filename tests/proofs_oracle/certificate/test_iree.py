"""What a text for IREE has besides StableHLO: arith's signed integers, and several modules."""

from __future__ import annotations

import pytest

from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.reader import UNREAD

BRANCH = """func.func public @main(%x: tensor<f32>) -> tensor<f32> {
  %twice = stablehlo.add %x, %x : tensor<f32>
  %t = arith.constant true
  %f = arith.constant false
  %zero = arith.constant 0 : index
  DECISION
  cf.cond_br %b, ^then, ^else
  ^then:
  return %twice : tensor<f32>
  ^else:
  return %x : tensor<f32>
}"""
DECISIONS = {
    "arith.addi of i1": "%b = arith.addi %t, %t : i1",  # false: one bit
    "arith.subi of i1": "%b = arith.subi %f, %t : i1",
    "arith.cmpi of i1": "%b = arith.cmpi slt, %t, %f : i1",  # true: -1 < 0
    "arith.index_cast of i1": "%i = arith.index_cast %t : i1 to index\n  %b = arith.cmpi slt, %i, %zero : index",  # -1
    "arith.index_cast to i1": "%b = arith.index_cast %zero : index to i1",
}


@pytest.mark.parametrize("what", DECISIONS)
def test_numbers_of_one_bit_are_no_truth_values(what):
    with pytest.raises(CertifyError, match=f"{what} has no rule"):
        parse(BRANCH.replace("DECISION", DECISIONS[what]))


def test_a_literal_of_one_bit_decides_a_branch():
    found = parse(BRANCH.replace("DECISION", "%b = arith.cmpi slt, %zero, %zero : index"))
    assert found.results == found.params


def test_a_tensor_as_a_constant_of_arith_is_refused():
    text = BRANCH.replace("DECISION", "%d = arith.constant dense<2.0> : tensor<f32>\n  %b = arith.constant true")
    with pytest.raises(CertifyError, match=r"a constant dense<2\..* outside of tensors has no rule"):
        raise CertifyError(next(op.attr("why") for op in parse(text).ops if op.kind == UNREAD))


STEP = """module @STEP {
  func.func public @main(%x: tensor<f32>) -> tensor<f32> {
    return %x : tensor<f32>
  }
}
"""


def test_a_comment_that_looks_like_a_separator_is_a_comment():
    text = """func.func private @other(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}
// -----
func.func public @main(%y: tensor<f32>) -> tensor<f32> {
  return %y : tensor<f32>
}
"""
    assert parse(text).names == ("y",)


def test_two_modules_of_one_name_are_refused():
    two = STEP.replace("STEP", "train_step"), STEP.replace("STEP", "predict")
    assert parse("// -----\n".join(two)).name == "train_step"
    with pytest.raises(UserError, match="wants modules of different names, got two called train_step"):
        parse("// -----\n".join((*two, two[0])))
