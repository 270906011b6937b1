"""Barriers behind what two products pack by rows and by columns: where its rows are not one axis, nowhere else."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.packed_twice import LARGE, part_packed_twice
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

IMAGE, OUT = (4, 8, 8, 16), 3
FACTORS = {  # the axes of the image that a factor has, and whether the image's rows stay one axis
    (0, 3): False, (1, 2, 3): False, (1, 3): False,
    (0, 1, 2): True, (3,): True, (0,): True, (0, 1, 2, 3): True,
}  # fmt: skip


def gated(axes, make=None, ways=2, image=IMAGE):
    """y = x times a factor, read as a layer reads its input: by y w, and with `ways` 2 by y^T dy."""
    rows = (int(np.prod(image[:3])), image[3])

    def body(b, x, g, w, dy):
        y = b.mul(x, b.broadcast(g, x.type, axes) if len(axes) < 4 else g)
        y = make(b, y) if make else y
        z = b.dot(b.reshape(y, rows), w, (1, 0))
        return (z, b.dot(y, dy, ((0, 1, 2), (0, 1, 2)))) if ways == 2 else (z, b.unary("neg", z))

    shapes = (image, tuple(image[a] for a in axes), (image[3], OUT), (*image[:3], OUT))
    return module_of(body, *map(TensorType, shapes))


def held(module):
    """The kinds of operations that make what is behind barriers."""
    after = verify(part_packed_twice(module)).function("f")
    kinds = {op.result: op.kind for op in after.ops}
    return [kinds[op.operands[0]] for op in after.ops if op.kind == "barrier"]


@pytest.mark.parametrize("axes", FACTORS, ids=str)
def test_a_factor_that_keeps_the_rows_axes_apart_is_behind_a_barrier(axes):
    module = gated(axes)
    assert held(module) == ([] if FACTORS[axes] else ["mul"])
    rng = np.random.default_rng(0)
    args = [rng.integers(-4, 4, p.shape).astype(float) for p in module.function("f").params]
    for got, wanted in zip(by_evaluator(part_packed_twice(module), args), by_evaluator(module, args), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_last_operation_of_the_kernel_is_held():
    assert held(gated((0, 3), lambda b, y: b.maximum(y, 0.0))) == ["max"]


def test_what_is_stored_for_another_reader_is_no_part_of_the_kernel():
    """x g and its sums over the image: the difference of the two reads x g where it was stored."""

    def centred(b, y):
        return b.sub(y, b.broadcast(b.sum(y, (3,)), y, (0, 1, 2)))

    assert held(gated((0, 3), centred)) == []


def test_one_product_and_small_images_stay_whole():
    assert held(gated((0, 3), ways=1)) == []
    assert TensorType(IMAGE).bytes == LARGE
    assert held(gated((0, 3), image=(4, 8, 8, 15))) == []


def test_an_axis_of_one_row_is_no_axis():
    assert held(gated((0, 3), image=(256, 1, 1, 16))) == []


def normed(groups):
    """A layer norm of a convolution's result, read as `gated` reads its own."""
    channels = IMAGE[3]

    def body(b, x, kernel, w, dy):
        y = b.op("conv", x, kernel, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=groups)
        centred = b.sub(y, b.broadcast(b.sum(y, (3,)), y, (0, 1, 2)))
        z = b.mul(centred, b.broadcast(b.sum(b.mul(centred, centred), (3,)), y, (0, 1, 2)))
        rows = b.reshape(z, (int(np.prod(IMAGE[:3])), channels))
        return b.dot(rows, w, (1, 0)), b.dot(z, dy, ((0, 1, 2), (0, 1, 2)))

    shapes = (IMAGE, (3, 3, channels // groups, channels), (channels, OUT), (*IMAGE[:3], OUT))
    return module_of(body, *map(TensorType, shapes))


def test_the_norm_of_a_depthwise_convolution_is_held():
    assert held(normed(IMAGE[3])) == ["mul"]
    assert held(normed(1)) == held(normed(2)) == []
