"""Forms chosen for single convolutions: named by what they compute, before the table, refused where they misfit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netc.codegen.ir import IrError
from netc.codegen.modules import layer_module
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import candidates, digest_of, fits, key_of
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.precision import to_bf16
from netc.codegen.rewrite.select_forms import form_of, used
from netc.codegen.text import text_of
from netc.netspec.layers import Conv2d
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, halves
from tests.netspec.strategies import conv_options

FAMILIES = sorted(FORM_TABLES)


def module_of_conv(*args, x=(6, 6, 4), batch=2, **options):
    return layer_module(Conv2d(*args, **options), TensorType(x), batch)


def convs_of(module):
    return {op.kind: op for op in module.function("vjp").ops if op.kind in CONV_FORMS}


def arguments(module):
    rng = np.random.default_rng(0)
    return [halves(rng, p.shape) for p in module.function("vjp").params]


def test_a_key_says_what_is_computed():
    plain = convs_of(module_of_conv(128, 3, x=(16, 16, 128), batch=32))
    assert key_of(plain["conv_kernel_grad"]) == "conv_kernel_grad 32x16x16x128 3x3x128x128 /1 p1"
    assert {key_of(op).partition(" ")[2] for op in plain.values()} == {"32x16x16x128 3x3x128x128 /1 p1"}
    other = convs_of(module_of_conv(8, (3, 2), (2, 1), ((1, 0), (0, 2)), dilation=(1, 2), groups=2, x=(9, 8, 4)))
    for kind, op in other.items():
        assert key_of(op) == f"{kind} 2x9x8x4 3x2x2x8 /2x1 p1,0,0,2 d1x2 g2"


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=30)
@given(data=st.data())
def test_every_candidate_is_the_op(family, data):
    x = TensorType(data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))))
    made = layer_module(Conv2d(**{**data.draw(conv_options(x)), "activation": "identity"}), x, 2)
    args = arguments(made)
    truth = by_evaluator(made, args, name="vjp")
    for op in convs_of(made).values():
        assert fits(op, form_of(family, op))
        for form in candidates(op):
            found = by_evaluator(lower(made, family, {key_of(op): form}), args, name="vjp")
            for a, b in zip(truth, found, strict=True):
                np.testing.assert_array_equal(a, b)  # sums of products of half-integers are exact


def test_every_form_is_a_candidate_somewhere():
    nets = (
        module_of_conv(8, 3), module_of_conv(4, 3, groups=4), module_of_conv(8, 3, groups=2),
        module_of_conv(8, 2, 2, "valid"), to_bf16(module_of_conv(8, 3)),
    )  # fmt: skip
    seen = {(op.kind, form) for made in nets for op in convs_of(made).values() for form in candidates(op)}
    assert seen == {(kind, form) for kind, forms in CONV_FORMS.items() for form in forms}


def test_float32_has_nothing_to_widen():
    assert all("widened" not in candidates(op) for op in convs_of(module_of_conv(8, 3)).values())


def test_windows_of_many_taps_are_not_taken_tap_by_tap():
    op = convs_of(module_of_conv(4, 16, 16, "valid", x=(32, 32, 3)))["conv"]
    assert candidates(op) == ("direct", "patches")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_choice_comes_before_the_table(family):
    made = module_of_conv(8, 3, x=(9, 9, 4))  # no table's form is im2col at this size
    op = convs_of(made)["conv"]
    key = key_of(op)
    plain = text_of(lower(made, family), family)
    chosen = text_of(lower(made, family, {key: "im2col"}), family)
    assert chosen != plain and "stablehlo.concatenate" in chosen
    assert form_of(family, op, {key: "im2col"}) == "im2col"
    others = {"conv 1x1x1x1 1x1x1x1 /1 p0": "im2col", key: form_of(family, op)}
    assert text_of(lower(made, family, others), family) == plain
    assert used(made, family, {**others, key_of(convs_of(made)["conv_kernel_grad"]): "im2col"}) == {
        key_of(convs_of(made)["conv_kernel_grad"]): "im2col"
    }


def test_a_form_that_there_is_not():
    made = module_of_conv(8, 3)
    key = key_of(convs_of(made)["conv"])
    with pytest.raises(IrError, match=r"conv2d: conv wants a form of direct, im2col, .*, got 'magic'; run `netc tune`"):
        lower(made, "cpu", {key: "magic"})


def test_a_form_that_does_not_fit():
    made = module_of_conv(8, 3, groups=2)
    key = key_of(convs_of(made)["conv"])
    with pytest.raises(IrError, match=r"conv 2x6x6x4 3x3x2x8 /1 p1 g2 cannot be computed as 'im2col'"):
        lower(made, "cpu", {key: "im2col"})


def test_the_digest_does_not_depend_on_order():
    a, b = {"x": "direct", "y": "im2col"}, {"y": "im2col", "x": "direct"}
    assert digest_of(a) == digest_of(b) != digest_of({"x": "direct"})
    assert digest_of({}) == ""
