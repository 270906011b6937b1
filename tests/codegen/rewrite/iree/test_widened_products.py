"""Products of bf16 numbers read float32 copies, made once, where the CPU does not multiply bf16 numbers."""

import numpy as np
import pytest

from netc.codegen.evaluator import rounded_to_bf16
from netc.codegen.program import build
from netc.codegen.rewrite.iree.widened_products import widen_products
from netc.codegen.rewrite.precision import CONTRACTIONS
from netc.codegen.symbolic.program import build_any_batch
from netc.codegen.verify import verify
from netc.netspec import layers as nn
from netc.netspec.batch import BatchRange
from netc.netspec.check import check
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.runtime.cpu_levels import LEVELS, multiplies_bf16
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from tests.codegen.witness import by_evaluator, module_of

NET = check(NetSpec("small", (6, 6, 2), (nn.Conv2d(8, 3, activation="relu"), nn.Flatten(), nn.Dense(3))))
BF16 = Recipe(precision="bf16")


def operands(module):
    """The types of what products and convolutions read."""
    return {v.type.dtype for f in module for op in f.ops if op.kind in CONTRACTIONS for v in op.operands}


def test_each_operand_is_widened_once_and_no_number_changes():
    def body(b, x, w, v):
        x, w, v = (b.convert(a, "bf16") for a in (x, w, v))
        return b.dot(x, w, (1, 0)), b.dot(x, v, (1, 0))

    module = module_of(body, TensorType((5, 7)), TensorType((7, 3)), TensorType((7, 2)))
    after = verify(widen_products(module))
    assert operands(module) == {"bf16"} and operands(after) == {"f32"}
    assert [op.kind for op in after.function("f").ops].count("barrier") == 3
    args = [rounded_to_bf16(np.random.default_rng(0).standard_normal(p.shape)) for p in module.function("f").params]
    for got, wanted in zip(by_evaluator(after, args), by_evaluator(module, args), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("word", ["cpu:x86-64-v4", "cpu:x86-64-v3", "cpu:generic", "cpu:aarch64", "cpu:znver3"])
def test_a_processor_without_bf16_gets_products_of_float32(word):
    target = parse_target(word)
    assert target.widens and operands(emit_text(build(NET, BF16, 2), target).module) == {"f32"}
    assert operands(emit_text(build_any_batch(NET, BF16, BatchRange()), target).module) == {"f32"}


@pytest.mark.parametrize("word", ["cpu:znver4", "cpu:sapphirerapids", "cuda:sm_89", "xla", "reference"])
def test_others_keep_products_of_bf16(word):
    target = parse_target(word)
    assert not target.widens and "bf16" in operands(emit_text(build(NET, BF16, 2), target).module)


def test_float32_stays_as_it_is():
    module = build(NET, Recipe(), 2).module
    assert operands(widen_products(module)) == operands(module) == {"f32"}
    assert parse_target("cpu:x86-64-v3").suited(module) is module


def test_this_processor_is_asked_for_its_own(monkeypatch):
    assert not any(map(multiplies_bf16, LEVELS))
    for features, has in ((frozenset({"avx512f"}), False), (frozenset({"avx512f", "avx512_bf16"}), True)):
        monkeypatch.setattr("netc.runtime.cpu_levels._features", lambda features=features: features)
        assert multiplies_bf16("host") is has
        assert parse_target("cpu").widens is not has
