"""Barriers between products and what is made of them: where several results are stored, and nowhere else."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.shared_products import LARGE, SHORT, part_shared_products
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

ROWS, INNER, WIDTH = 256, 8, 64  # of a product of LARGE bytes


def product(rest, inner=INNER, rows=ROWS):
    def body(b, x, w, dy):
        return rest(b, b.dot(x, w, (1, 0)), w, dy)

    return module_of(body, TensorType((rows, inner)), TensorType((inner, WIDTH)), TensorType((rows, WIDTH)))


def both(b, z, w, dy):
    return z, b.unary("neg", z)


def one(b, z, w, dy):
    return b.add(z, b.unary("neg", z))


def after_a_bias(b, z, w, dy):
    z = b.add(z, dy)
    return z, b.mul(z, z)


def reshaped(b, z, w, dy):
    """One result under two names."""
    return b.reshape(z, (ROWS // 2, 2, WIDTH)), z


def read_by_a_product(b, z, w, dy):
    """A layer, its activation, and a cotangent that reads z: z and a are stored."""
    a = b.unary("neg", z)
    y = b.dot(a, w, (1, 1))
    return y, b.mul(b.dot(y, w, (1, 0)), z)


def read_later(b, z, w, dy):
    """-z is computed where it is read, in the kernel that has the sum: z alone is stored."""
    return b.mul(b.unary("neg", z), b.broadcast(b.sum(z, (0,)), z, (1,)))


def summed(b, z, w, dy):
    """z z is computed in the sum's kernel."""
    return z, b.sum(b.mul(z, z), (0,))


CASES = {both: 1, one: 0, after_a_bias: 1, reshaped: 0, read_by_a_product: 1, read_later: 0, summed: 0}


def barriers(module):
    after = verify(part_shared_products(module)).function("f")
    return sum(op.kind == "barrier" for op in after.ops)


@pytest.mark.parametrize("case", CASES)
def test_where_the_barriers_are(case):
    module = product(case)
    assert barriers(module) == CASES[case]
    rng = np.random.default_rng(0)
    args = [rng.integers(-4, 4, p.shape).astype(float) for p in module.function("f").params]
    for got, wanted in zip(by_evaluator(part_shared_products(module), args), by_evaluator(module, args), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_a_bias_stays_with_the_product():
    after = part_shared_products(product(after_a_bias)).function("f")
    assert [op.kind for op in after.ops] == ["dot", "add", "barrier", "mul"]


def test_small_products_and_long_sums_stay_whole():
    assert ROWS * WIDTH * 4 == LARGE
    assert barriers(product(both, rows=ROWS - 1)) == 0
    assert barriers(product(both, inner=SHORT)) == 1
    assert barriers(product(both, inner=SHORT + 1)) == 0
