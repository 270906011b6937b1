"""A zero that IREE does not know in sums of products: where it is, the numbers, and the kernels that it makes."""

import re

import numpy as np
import pytest

from netc.codegen.analysis.step_cost import works
from netc.codegen.rewrite.iree.unseen_zeros import READERS, add_unseen_zeros
from netc.codegen.rewrite.lower import passes
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.rewrite.iree.compiled_until import compiled_until
from tests.codegen.witness import by_evaluator, module_of

SHAPE = (4, 16, 8)


def of_two(b, x, y):
    return b.mul(x, y)


def square(b, x, y):
    return b.mul(x, x)


def multiple(b, x, y):
    """x times a vector along the last axis."""
    return b.mul(x, b.broadcast(b.sum(y, (0, 1)), x, (2,)))


def difference(b, x, y):
    return b.sub(x, y)


def reshaped(b, x, y):
    return b.reshape(b.mul(b.reshape(x, (64, 8)), b.reshape(y, (64, 8))), SHAPE)


def summed(made, axes):
    return module_of(lambda b, x, y: b.sum(made(b, x, y), axes), TensorType(SHAPE), TensorType(SHAPE))


@pytest.mark.parametrize(
    ("made", "axes", "zeros"),
    [
        (of_two, (0, 1), 1), (of_two, (1,), 1), (reshaped, (0, 1), 1), (square, (0,), 1), (multiple, (0, 1), 1),
        (square, (2,), 0), (multiple, (2,), 0), (of_two, (2,), 0),
        (difference, (0, 1), 0), (difference, (2,), 0), (of_two, (0, 1, 2), 0),
    ],
)  # fmt: skip
def test_where_the_zero_is_and_the_numbers(made, axes, zeros):
    module = summed(made, axes)
    after = verify(add_unseen_zeros(module))
    ops = after.function("f").ops
    assert [op.kind for op in ops].count("barrier") == zeros
    rng = np.random.default_rng(0)
    args = [rng.integers(-4, 4, SHAPE).astype(float) for _ in range(2)]
    np.testing.assert_array_equal(by_evaluator(after, args)[0], by_evaluator(module, args)[0])


@pytest.mark.parametrize(("sums", "zeros"), [(1, 1), (READERS, 1), (READERS + 1, 2), (3 * READERS, 3)])
def test_few_sums_share_a_zero(sums, zeros):
    """Sums that all read one zero are compiled in a time that grows with their cube."""

    def body(b, x, y):
        return tuple(b.sum(b.mul(x, b.mul(y, float(i))), (0,)) for i in range(sums))

    ops = add_unseen_zeros(module_of(body, TensorType(SHAPE), TensorType(SHAPE))).function("f").ops
    assert [op.kind for op in ops].count("barrier") == zeros


def test_nothing_waits_for_a_zero():
    """Made of the sum just before it, a zero would part two sums of one pass, and what both read were read twice."""

    def body(b, x, y):
        z = x
        for _ in range(2 * READERS - 1):  # one after the other, as blocks are
            z = b.sub(z, b.broadcast(b.sum(b.mul(z, y), (0,)), z, (1, 2)))
        return b.sum(b.mul(z, x), (0,)), b.sum(b.mul(z, y), (0,))

    module = module_of(body, TensorType(SHAPE), TensorType(SHAPE))
    before, after = (sum(w.bytes for w in works(m.function("f"))) for m in (module, add_unseen_zeros(module)))
    assert after - before < TensorType(SHAPE).bytes


def test_what_overflows_stays_where_it_is():
    def body(b, x, y):
        own = tuple(b.sum(b.mul(x, b.mul(y, float(i + 1))), (0,)) for i in range(READERS))
        return *own, b.sum(b.mul(y, y), (0,))

    module = module_of(body, TensorType(SHAPE), TensorType(SHAPE))
    x, y = np.full(SHAPE, np.inf), np.ones(SHAPE)
    np.testing.assert_array_equal(by_evaluator(add_unseen_zeros(module), [x, y])[-1], SHAPE[0])


@pytest.mark.parametrize(("without", "kernel"), [(["add_unseen_zeros"], "matvec_like"), ([], "reduction")])
def test_iree_takes_a_sum_of_products_for_a_product_without_it(without, kernel, tmp_path):
    """A newer IREE that adds products well fails here, and the pass can go."""
    module = module_of(lambda b, x, y: b.sum(b.mul(x, y), (1,)), *[TensorType((64, 32, 128))] * 2)
    made = compiled_until("executable-sources", module, without, tmp_path)
    assert kernel in "".join(re.findall(r"hal.executable.export public @(\w+)", made))


def test_it_is_for_cpu_alone():
    assert [p for p in ("cpu", "gpu", "xla", "plain", "c") if "add_unseen_zeros" in dict(passes(p))] == ["cpu"]
