"""A barrier behind an image made of windows that a product reads: where it is, the numbers, and the kernels."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree.packed_windows import part_packed_windows
from netc.codegen.rewrite.lower import passes
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.rewrite.iree.compiled_until import compiled_until
from tests.codegen.witness import by_evaluator, module_of

IMAGE, OUT = (4, 18, 18, 96), 32


def of_windows(made, image=IMAGE):
    """The product of what is made of an image."""

    def body(b, x, w):
        y = made(b, x)
        return b.dot(b.reshape(y, (y.type.size // image[3], image[3])), w, (1, 0))

    return module_of(body, TensorType(image), TensorType((image[3], OUT)))


def windows(b, x):
    """The sum of two windows of 16x16 pixels, each channel times its own factor."""
    n, h, w, c = x.shape
    first = b.slice(x, (0, 0, 0, 0), (n, h - 2, w - 2, c))
    second = b.slice(x, (0, 2, 2, 0), (n, h, w, c))
    factors = b.constant(tuple(float(i + 1) for i in range(c)), TensorType((c,)))
    return b.mul(b.add(first, second), b.broadcast(factors, first))


def examples(b, x):
    """Whole images, fewer of them: their rows are one axis."""
    return b.unary("neg", b.slice(x, (1, 0, 0, 0), x.shape))


def pixels(b, x):
    return b.unary("neg", x)


def held(module):
    return [op.kind for op in verify(part_packed_windows(module)).function("f").ops].count("barrier")


@pytest.mark.parametrize(("made", "barriers"), [(windows, 1), (examples, 0), (pixels, 0)])
def test_where_the_barrier_is_and_the_numbers(made, barriers):
    module = of_windows(made)
    assert held(module) == barriers
    rng = np.random.default_rng(0)
    args = [rng.integers(-4, 4, p.shape).astype(float) for p in module.function("f").params]
    np.testing.assert_array_equal(
        by_evaluator(part_packed_windows(module), args)[0], by_evaluator(module, args)[0]
    )  # fmt: skip


def test_one_image_and_what_is_stored_anyway_have_none():
    assert held(of_windows(windows, (1, *IMAGE[1:]))) == 0
    assert held(module_of_two_products()) == 0


def module_of_two_products():
    def body(b, x, w):
        rows = b.reshape(windows(b, x), (4 * 16 * 16, IMAGE[3]))
        return b.dot(rows, w, (1, 0)), b.dot(rows, w, (1, 0))

    return module_of(body, TensorType(IMAGE), TensorType((IMAGE[3], OUT)))


@pytest.mark.parametrize(("without", "down_the_columns"), [(["part_packed_windows"], True), ([], False)])
def test_iree_runs_down_columns_without_it(without, down_the_columns, tmp_path):
    """A newer IREE that packs along the channels fails here, and the pass can go."""
    made = compiled_until("executable-configurations", of_windows(windows), without, tmp_path)
    assert ("vector_common_parallel = [1, 1, 16, 1]" in made) == down_the_columns


def test_it_is_for_cpu_alone():
    assert [p for p in ("cpu", "gpu", "xla", "plain", "c") if "part_packed_windows" in dict(passes(p))] == ["cpu"]
