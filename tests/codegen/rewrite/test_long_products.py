"""Products of large operands, cut into pieces: the same numbers, and no operand that is large."""

import numpy as np
import pytest

from netc.codegen.modules import Module
from netc.codegen.rewrite.iree.long_products import cut_long_products
from netc.codegen.rewrite.lower import passes
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

LARGE, PIECE = 64 << 10, 16 << 10


def product(x, y, contract, batch=((), ())):
    return module_of(lambda b, u, v: b.dot(u, v, contract, batch), TensorType(x), TensorType(y))


def dots(module: Module):
    return [op for op in module.function("f").ops if op.kind == "dot"]


@pytest.mark.parametrize(
    ("made", "pieces"),
    [
        (product((64, 900), (900, 64), (1, 0)), 15),  # a summed axis, of both
        (product((64, 65), (900, 65), (1, 1)), 15),  # a free axis of the second
        (product((64, 900), (64, 80), (0, 0)), 15),  # a free axis of the first, which is no first axis
        (product((4, 16, 900), (900, 64), (2, 0)), 15),  # a last axis of three
        (product((70, 4, 100), (4, 100, 72), ((1, 2), (0, 1))), 7),  # the longest of two summed axes
        (product((2, 900, 70), (70, 64), (2, 0)), 29),  # a free axis between others
        (product((512, 300), (300, 400), (1, 0)), 0),  # both are large: cut twice
    ],
)
def test_the_pieces_are_the_product(made, pieces):
    after = verify(cut_long_products(made, LARGE, PIECE))
    rng = np.random.default_rng(0)
    args = [rng.integers(-8, 8, p.shape).astype(float) for p in made.function("f").params]  # exact in any order
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])
    assert all(v.type.bytes <= LARGE for op in dots(after) for v in op.operands)
    assert not pieces or len(dots(after)) == pieces


@pytest.mark.parametrize(
    "made",
    [
        product((64, 200), (200, 64), (1, 0)),  # not large
        product((900, 8, 9), (900, 9, 70), (2, 1), ((0,), (0,))),  # by batch
        product((4, 900), (900, 64), (1, 0)),  # narrow: the memory's speed decides
        product((20_000, 20_000), (20_000, 20_000), (1, 0)),  # a text of millions of pieces would not end
    ],
)
def test_what_would_gain_nothing_stays(made):
    assert cut_long_products(made, LARGE, PIECE).function("f").ops == made.function("f").ops


def test_axes_of_one_tile_stay_whole():
    made = product((16, 16, 16, 16), (16, 16, 8, 8), ((2, 3), (0, 1)))
    assert len(dots(cut_long_products(made, LARGE, PIECE))) == 1


def test_only_cpu_has_the_pass():
    having = [p for p in ("cpu", "gpu", "xla", "plain", "c") if "cut_long_products" in dict(passes(p))]
    assert having == ["cpu"]
