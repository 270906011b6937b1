"""A barrier before what is added to a product's result, where it is summed by rows of two axes; nowhere else."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.packed_addends import part_packed_addends
from netc.codegen.rewrite.iree.packed_twice import LARGE
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

TOKENS = (8, 16, 32)


def residual(axes=(1, 2), summed=True, flat=False, shape=TOKENS):
    """z = x w + x of tokens x = t + positions, and the sums of x by rows; `flat`: added before it is an image again."""
    rows = (shape[0] * shape[1], shape[2])

    def body(b, t, positions, w):
        x = b.add(t, b.broadcast(positions, t, axes))
        sums = b.sum(x, (2,)) if summed else b.sum(t, (2,))
        product = b.dot(b.reshape(b.mul(x, b.broadcast(sums, x, (0, 1))), rows), w, (1, 0))
        added = b.add(product, b.reshape(x, rows)) if flat else b.add(b.reshape(product, shape), x)
        return added, b.unary("neg", x)

    return module_of(body, TensorType(shape), TensorType(tuple(shape[a] for a in axes)), TensorType((shape[2],) * 2))


def barriers(module):
    """Of each barrier: the kind of what it holds, and how many read what is behind it, and what it holds."""
    ops = verify(part_packed_addends(module)).function("f").ops
    kinds = {op.result: op.kind for op in ops}

    def readers(v):
        return sum(v in op.operands for op in ops)

    return [(kinds[o.operands[0]], readers(o.result), readers(o.operands[0])) for o in ops if o.kind == "barrier"]


@pytest.mark.parametrize(("flat", "held", "others"), [(False, "add", 4), (True, "reshape", 1)])
def test_the_sum_with_the_product_alone_reads_behind_the_barrier(flat, held, others):
    module = residual(flat=flat)
    assert barriers(module) == [(held, 1, others)]
    rng = np.random.default_rng(0)
    args = [rng.integers(-4, 4, p.shape).astype(float) for p in module.function("f").params]
    for got, wanted in zip(by_evaluator(part_packed_addends(module), args), by_evaluator(module, args), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("axes", [(2,), (0, 1, 2)], ids=str)
def test_rows_that_are_one_axis_are_packed_as_they_are(axes):
    assert barriers(residual(axes)) == []


def test_what_no_kernel_sums_is_packed_as_it_is():
    assert barriers(residual(summed=False)) == []


def test_small_tokens_stay_whole():
    assert TensorType(TOKENS).bytes == LARGE
    assert barriers(residual(shape=(8, 16, 31))) == []
