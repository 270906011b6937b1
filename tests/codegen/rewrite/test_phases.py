"""Gradients by phase: the same numbers and no more operations, however long the stride is."""

import numpy as np
import pytest

from netc.codegen.modules import layer_module
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.lower import lower
from netc.netspec.layers import AvgPool, Conv2d, MaxPool
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, halves

LAYERS = {
    "conv": lambda stride: Conv2d(5, 3, stride),
    "wide": lambda stride: Conv2d(2, (2, 5), stride, dilation=2),
    "depthwise": lambda stride: Conv2d(3, 3, stride, groups=3),
    "max": lambda stride: MaxPool(3, stride, padding="same"),
    "average": lambda stride: AvgPool(2, stride),
}


@pytest.mark.parametrize("family", sorted(FORM_TABLES))
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("stride", [11, 13, 40, (12, 1), (1, 30)])
def test_a_long_stride_changes_no_number(family, layer, stride):
    module = layer_module(LAYERS[layer](stride), TensorType((23, 14, 3)), 2)
    rng = np.random.default_rng(3)
    args = [halves(rng, p.shape) for p in module.function("vjp").params]
    plain, lowered = (by_evaluator(m, args, name="vjp") for m in (module, lower(module, family)))
    for x, y in zip(plain, lowered, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("family", sorted(FORM_TABLES))
@pytest.mark.parametrize("layer", LAYERS)
def test_the_operations_do_not_grow_with_the_stride(family, layer):
    def size(stride):
        module = lower(layer_module(LAYERS[layer](stride), TensorType((64, 64, 3)), 2), family)
        return max(len(op.operands) for op in module.function("vjp").ops), len(module.function("vjp").ops)

    operands, ops = size(2_000_000_000)
    assert operands <= 2 * 5 + 2 and ops <= 300
    assert size(64)[1] <= 300


@pytest.mark.parametrize("family", ["cpu", "xla"])
@pytest.mark.parametrize(
    ("layer", "pads"),
    [
        (Conv2d(3, 7, groups=3), 3),  # of x forward and for the kernel's gradient, of dy for the image's
        (Conv2d(3, 5, 2, groups=3), 3),
        (MaxPool(3, 2, padding="same"), 3),  # of x, the winners' numbers, dy
        (AvgPool(3, 1, padding="same"), 2),
    ],
)
def test_an_image_is_padded_once_for_all_taps(family, layer, pads):
    module = lower(layer_module(layer, TensorType((14, 14, 3)), 2), family)
    assert sum(op.kind == "pad" for op in module.function("vjp").ops) <= pads
