"""Sums that are products of many matrices with vectors stand between barriers on IREE's CPU; other sums do not."""

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.modules import layer_module
from netc.codegen.rewrite.iree.vector_products import part_vector_products
from netc.codegen.rewrite.lower import lower
from netc.codegen.verify import verify
from netc.netspec.layers import SelectiveScan
from netc.netspec.types import TensorType

WHOLE = TensorType((2, 3, 4))


def summed(axes, dim):
    """y = sum over `dim` of tanh(x) c, c broadcast along `axes`, and y + y as a reader."""
    b = Builder("f")
    x, c = b.parameter("x", WHOLE), b.parameter("c", TensorType(tuple(WHOLE.shape[i] for i in axes)))
    y = b.sum(b.mul(b.unary("tanh", x), b.broadcast(c, WHOLE, axes)), (dim,))
    return Module("m", (b.finish([("y", b.add(y, y))]),))


def barriers(module, name="f"):
    return [op.kind for op in module.function(name).ops].count("barrier")


@pytest.mark.parametrize(
    ("axes", "dim", "wanted"),
    [((0, 2), 2, 2), ((1, 2), 2, 2), ((2,), 2, 0), ((0, 1), 2, 0), ((0, 2), 1, 0)],
    ids=["a vector each", "a vector for each row", "one vector", "a factor of the sum", "a sum over rows"],
)
def test_a_product_of_matrices_and_vectors_stands_between_barriers(axes, dim, wanted):
    module = summed(axes, dim)
    parted = verify(part_vector_products(module))
    assert barriers(parted) == wanted
    rng = np.random.default_rng(0)
    given = [rng.standard_normal(p.shape).astype(np.float32) for p in module.function("f").params]
    assert np.array_equal(run(parted, "f", given)[0], run(module, "f", given)[0])


def test_a_selective_scan_is_parted_for_the_cpu_alone():
    module = layer_module(SelectiveScan(4), TensorType((6, 24)), 2)
    name = module.functions[0].name

    def held(profile):
        plain = lower(module, profile, without=["part_vector_products"])
        return barriers(lower(module, profile), name) - barriers(plain, name)

    assert held("cpu") > 0
    assert held("gpu") == held("xla") == 0
