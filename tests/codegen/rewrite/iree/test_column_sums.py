"""Sums over many rows: the same numbers, in two stages, and a product of two tensors made before them."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.column_sums import FEW, ROWS, sum_columns
from netc.codegen.rewrite.lower import lower, passes
from netc.codegen.rewrite.reductions import COLUMNS_FROM, STAGES
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from netc.runtime.cache.store import Cache
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import parse_target
from tests.codegen.witness import by_evaluator, module_of

MANY = 2560  # rows: 64 times 40
PRIME = 2503


def summed(rows, of, axes=(0,)):
    def body(b, x, y):
        one = b.broadcast(b.rows(y, 0, 1), x.type) if of == "repeated" else y
        made = {"one": x, "square": b.mul(x, x), "two": b.mul(x, y), "repeated": b.mul(x, one)}[of]
        return b.sum(made, axes)

    return module_of(body, TensorType((rows, 8)), TensorType((rows, 8)))


@pytest.mark.parametrize(
    ("made", "sums", "barriers"),
    [
        (summed(MANY, "one"), 2, 0),
        (summed(MANY, "square"), 2, 0),
        (summed(MANY, "repeated"), 2, 0),
        (summed(MANY, "two"), 2, 1),
        (summed(PRIME, "one"), 1, 0),  # no stages divide it
        (summed(PRIME, "two"), 1, 1),
        (summed(ROWS - 4, "two"), 2, 0),  # fewer, in stages for their rounding alone
        (summed(FEW, "two"), 2, 0),
        (summed(FEW + 3, "two"), 1, 0),  # prime
        (summed(FEW + 10, "one"), 1, 0),  # 2 times 37
        (summed(FEW - 4, "two"), 1, 0),
        (summed(MANY, "two", (1,)), 1, 0),  # over columns
        (summed(MANY, "two", (0, 1)), 1, 0),  # of all
    ],
)
def test_the_form_and_its_numbers(made, sums, barriers):
    after = verify(sum_columns(made))
    kinds = [op.kind for op in after.function("f").ops]
    assert (kinds.count("reduce_sum"), kinds.count("barrier")) == (sums, barriers)
    rng = np.random.default_rng(0)
    args = [rng.integers(-8, 8, p.shape).astype(float) for p in made.function("f").params]  # exact in any order
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])


def test_the_longest_sums_are_in_that_form_too():
    lowered = lower(summed(COLUMNS_FROM // STAGES * STAGES + STAGES, "two"), "cpu").function("f")
    kinds = [op.kind for op in lowered.ops if op.kind != "constant"]
    assert kinds == ["mul", "barrier", "reshape", "reduce_sum", "reduce_sum"]


@pytest.mark.parametrize(("rows", "stages"), [(64, 8), (128, 8), (768, 32), (2080, 40), (392, 14)])
def test_fewer_rows_are_summed_in_stages_of_about_their_root(rows, stages):
    ops = sum_columns(summed(rows, "one")).function("f").ops
    assert next(op.result.shape for op in ops if op.kind == "reshape") in ((stages, rows // stages, 8),)


def test_a_bias_gradient_rounds_little(artefacts, monkeypatch):
    pytest.importorskip("iree.compiler")
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    made = summed(2048, "one")
    rng = np.random.default_rng(0)
    args = [rng.standard_normal((2048, 8)).astype(np.float32) for _ in range(2)]
    right = args[0].astype(float).sum(0)
    got = SmallProgram(made, parse_target("cpu"), Cache(), {}, "sums", function="f")(*args)[0]
    assert np.linalg.norm(got - right) < 3e-7 * np.linalg.norm(right)  # 5.7e-7 one after the other, 2.0e-7 so


def test_it_is_for_cpu_alone():
    assert [p for p in ("cpu", "gpu", "xla", "plain", "c") if "sum_columns" in dict(passes(p))] == ["cpu"]
