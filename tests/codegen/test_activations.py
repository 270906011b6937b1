"""What an activation keeps for its pullback."""

import pytest

from netc.codegen.modules import layer_module
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.lower import lower
from netc.netspec.layers import Activation
from netc.netspec.types import TensorType


@pytest.mark.parametrize("family", sorted(FORM_TABLES))
@pytest.mark.parametrize(("function", "kind"), [("gelu", "erf"), ("gelu-tanh", "tanh")])
def test_gelu_keeps_only_its_input(function, kind, family):
    """The pullback computes erf or tanh again; were it the same expression, common subexpressions would join the two,
    and it would be stored from the forward pass to the backward one."""
    step = lower(layer_module(Activation(function), TensorType((3,)), 2), family).function("vjp")
    again = [op for op in step.ops if op.kind == kind]
    assert len(again) == 2
    assert again[0].operands != again[1].operands
