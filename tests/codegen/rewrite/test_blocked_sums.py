"""Products over a long axis as sums of blocks: the same product, and no block is long."""

import numpy as np
import pytest

from netc.codegen.inference import NAME
from netc.codegen.rewrite.iree.blocked_sums import LONG, sum_in_blocks
from netc.codegen.rewrite.lower import passes
from netc.codegen.verify import verify
from netc.runtime.cache.store import Cache
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import parse_target
from tests.codegen.rewrite.test_long_products import dots, product
from tests.codegen.witness import by_evaluator


@pytest.mark.parametrize(
    ("made", "blocks"),
    [
        (product((3, 3136), (3136, 2), (1, 0)), 7),
        (product((1568, 3), (1568, 2), (0, 0)), 4),  # a kernel gradient: 3 is no divisor
        (product((2, 2048, 3), (2, 3, 2048), (1, 2), ((0,), (0,))), 4),  # a batch that stays in front
        (product((3, 7, 512), (512, 7, 2), ((1, 2), (1, 0))), 8),  # the longest of two summed axes
    ],
)
def test_the_sum_of_blocks_is_the_product(made, blocks):
    after = verify(sum_in_blocks(made))
    (dot,) = dots(after)
    assert dot.result.shape[len(dot.attr("batch")[0]) - 1] == blocks
    rng = np.random.default_rng(0)
    args = [rng.integers(-8, 8, p.shape).astype(float) for p in made.function("f").params]  # exact in any order
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])


@pytest.mark.parametrize(
    "made",
    [
        product((3, LONG), (LONG, 2), (1, 0)),  # not long
        product((3, 1733), (1733, 2), (1, 0)),  # no divisor
    ],
)
def test_other_products_stay(made):
    assert sum_in_blocks(made).function("f").ops == made.function("f").ops


def test_blocks_round_less_on_the_target(tmp_path):
    made = product((8, 12544), (12544, 8), (1, 0), name=NAME)
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(p.shape, np.float32) for p in made.function(NAME).params)
    wanted = np.float64(x) @ np.float64(y)

    def error(without):
        (got,) = SmallProgram(made, parse_target("cpu"), Cache(tmp_path), {}, "sum", without)(x, y)
        return np.linalg.norm(got - wanted)

    assert error("") < error("sum_in_blocks") / 2


def test_only_cpu_has_the_pass():
    assert [p for p in ("cpu", "gpu", "xla", "plain", "c") if "sum_in_blocks" in dict(passes(p))] == ["cpu"]
