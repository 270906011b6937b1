"""A product that joins an axis along which one side is a broadcast: the other side is summed first."""

import numpy as np
import pytest

from netc.codegen.modules import layer_module
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.verify import verify
from netc.netspec.layers import Chain, Conv2d, Dense, GlobalAvgPool
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of


def numbers(*shapes):
    rng = np.random.default_rng(0)
    return [rng.integers(-8, 8, s).astype(float) for s in shapes]  # exact in any order


def product(shapes, small, dims, contract, batch=((), ()), *, first=False):
    """The product of a [shapes[0]] and of a [small] repeated to [shapes[1]], on the side that `first` says."""

    def make(b, x, y):
        wide = b.broadcast(y, TensorType(shapes[1]), dims)
        return b.dot(*((wide, x) if first else (x, wide)), contract, batch)

    return module_of(make, TensorType(shapes[0]), TensorType(small))


def dots(module, name="f"):
    """For each product, the number of axes that it joins."""
    return [len(op.attr("contract")[0]) for op in module.function(name).ops if op.kind == "dot"]


@pytest.mark.parametrize(
    ("made", "left"),
    [
        # dw[c, o] of a kernel's tap: pixels are summed, examples are joined
        (product([(2, 3, 4, 5), (2, 3, 4, 6)], (2, 6), (0, 3), ((0, 1, 2), (0, 1, 2))), 1),
        (product([(2, 3, 4, 5), (2, 3, 4, 6)], (2, 6), (0, 3), ((0, 1, 2), (0, 1, 2)), first=True), 1),
        (product([(4, 3, 2), (3, 2, 4)], (2,), (1,), ((1, 2), (0, 1))), 1),  # a free axis is a repeat too and stays
        (product([(2, 3, 4), (3, 5, 2)], (3, 2), (0, 2), ((1,), (0,)), ((0,), (2,))), 1),  # the repeat is not joined
        (product([(2, 3, 4), (2, 3, 4)], (2, 4), (0, 2), ((1, 2), (1, 2)), ((0,), (0,))), 1),
        (product([(3, 4), (3, 5)], (5,), (1,), (0, 0)), 1),  # nothing would be joined: it stays as it is
    ],
)
def test_the_product_is_the_same(made, left):
    after = verify(dce(sum_before_products(made)))
    args = numbers(*(p.shape for p in made.function("f").params))
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])
    assert dots(after) == [left]


def test_an_axis_that_is_no_repeat_stays():
    made = module_of(lambda b, x, y: b.dot(x, y, ((0, 1), (0, 1))), TensorType((2, 3, 4)), TensorType((2, 3, 5)))
    assert sum_before_products(made).function("f").ops == made.function("f").ops


def test_what_was_replaced_before_is_read_as_it_is_now():
    """The second product's broadcast repeats the first product."""
    wide = TensorType((2, 3, 5))

    def make(b, x, y):
        inner = b.dot(x, b.broadcast(y, wide, (0, 2)), ((0, 1), (0, 1)))  # [4, 5]
        return b.dot(x, b.broadcast(inner, TensorType((2, 3, 4, 5)), (2, 3)), ((1, 2), (1, 2)))

    made = module_of(make, TensorType((2, 3, 4)), TensorType((2, 5)))
    args = numbers((2, 3, 4), (2, 5))
    after = verify(dce(sum_before_products(made)))
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])
    assert dots(after) == [1, 1]


def total(make, *shapes, dims):
    """The sum over `dims` of a product that `make` builds."""
    return module_of(lambda b, *args: b.sum(b.mul(*make(b, *args)), dims), *map(TensorType, shapes))


WIDE = TensorType((2, 3, 4, 6))


def repeated(b, y):
    return b.broadcast(y, WIDE, (0, 3))


@pytest.mark.parametrize(
    ("made", "sums"),
    [
        (total(lambda b, x, y: (x, repeated(b, y)), WIDE.shape, (2, 6), dims=(0, 1, 2)), [(1, 2), (0,)]),
        (total(lambda b, x, y: (repeated(b, y), x), WIDE.shape, (2, 6), dims=(1, 2)), [(1, 2)]),
        (total(lambda b, x, y: (repeated(b, y), x), WIDE.shape, (2, 6), dims=(1, 3)), [(1,), (2,)]),
        # repeats are seen through what is elementwise, numbers included, and through axes that are split
        (
            total(lambda b, x, y: (x, b.sub(repeated(b, b.mul(y, 2.0)), 1.0)), WIDE.shape, (2, 6), dims=(0, 1)),
            [(1,), (0,)],
        ),
        (
            total(
                lambda b, x, y: (b.reshape(repeated(b, y), (2, 3, 4, 2, 3)), x), (2, 3, 4, 2, 3), (2, 6), dims=(1, 2, 4)
            ),
            [(1, 2), (2,)],
        ),
        (total(lambda b, x, y: (x, repeated(b, y)), WIDE.shape, (2, 6), dims=(0, 3)), [(0, 3)]),  # no repeat is summed
        (total(lambda b, x, y: (x, b.mul(repeated(b, y), x)), WIDE.shape, (2, 6), dims=(1,)), [(1,)]),  # x differs
        (total(lambda b, x: (x, b.constant(2.0, x.type)), WIDE.shape, dims=(1,)), [(1,)]),  # a number: nothing to gain
    ],
)
def test_the_sum_is_the_same(made, sums):
    after = verify(dce(sum_before_products(made)))
    args = numbers(*(p.shape for p in made.function("f").params))
    np.testing.assert_array_equal(by_evaluator(made, args)[0], by_evaluator(after, args)[0])
    assert [op.attr("dims") for op in after.function("f").ops if op.kind == "reduce_sum"] == sums


@pytest.mark.parametrize("family", sorted(FORM_TABLES))
@pytest.mark.parametrize("kernel", [1, 3])
def test_no_kernel_gradient_reads_the_repeats_of_a_global_average(family, kernel):
    """With them IREE's CPU backend stops: 'vector.contract' op invalid accumulator/result vector shape."""
    body = Chain((Conv2d(4, activation="relu"), Conv2d(4, kernel), GlobalAvgPool(), Dense(5)))
    made = layer_module(body, TensorType((6, 4, 3)), 2)
    function = lower(made, family).function("vjp")
    makers = {op.result: op.kind for op in function.ops}
    for op in function.ops:
        if op.kind == "dot":
            assert "broadcast" not in [makers.get(v) for v in op.operands]
    args = numbers(*(p.shape for p in function.params))
    for x, y in zip(
        by_evaluator(made, args, name="vjp"), by_evaluator(lower(made, family), args, name="vjp"), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)
