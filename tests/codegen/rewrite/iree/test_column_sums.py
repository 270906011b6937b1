"""Sums over many rows: the same numbers, in two stages."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.column_sums import FEW, ROWS, sum_columns
from netc.codegen.rewrite.lower import passes
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from netc.runtime.cache.store import Cache
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import parse_target
from tests.codegen.witness import by_evaluator, module_of

MANY = 2560  # rows: 64 times 40
PRIME = 2503


def summed(rows, axes=(0,)):
    return module_of(lambda b, x: b.sum(x, axes), TensorType((rows, 8)))


@pytest.mark.parametrize(
    ("made", "sums"),
    [
        (summed(MANY), 2),
        (summed(PRIME), 1),  # no stages divide it
        (summed(ROWS - 4), 2),
        (summed(FEW), 2),
        (summed(FEW + 3), 1),  # prime
        (summed(FEW + 10), 1),  # 2 times 37
        (summed(FEW - 4), 1),
        (summed(MANY, (1,)), 1),  # over columns
        (summed(MANY, (0, 1)), 1),  # of all
    ],
)
def test_the_form_and_its_numbers(made, sums):
    after = verify(sum_columns(made))
    assert [op.kind for op in after.function("f").ops].count("reduce_sum") == sums
    rng = np.random.default_rng(0)
    args = [rng.integers(-8, 8, p.shape).astype(float) for p in made.function("f").params]  # exact in any order
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])


@pytest.mark.parametrize(("rows", "stages"), [(64, 8), (128, 8), (768, 32), (2080, 40), (392, 14)])
def test_fewer_rows_are_summed_in_stages_of_about_their_root(rows, stages):
    ops = sum_columns(summed(rows)).function("f").ops
    assert next(op.result.shape for op in ops if op.kind == "reshape") in ((stages, rows // stages, 8),)


def test_a_bias_gradient_rounds_little(artefacts, monkeypatch):
    pytest.importorskip("iree.compiler")
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    made = summed(2048)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2048, 8)).astype(np.float32)
    right = x.astype(float).sum(0)
    got = SmallProgram(made, parse_target("cpu"), Cache(), {}, "sums", function="f")(x)[0]
    assert np.linalg.norm(got - right) < 3e-7 * np.linalg.norm(right)  # 5.7e-7 one after the other, 2.0e-7 so


def test_it_is_for_cpu_alone():
    assert [p for p in ("cpu", "gpu", "xla", "plain", "c") if "sum_columns" in dict(passes(p))] == ["cpu"]
