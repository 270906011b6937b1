"""The image of a convolution with one output ends where its window does, and the numbers stay."""

from itertools import product

import numpy as np
import pytest

from netc.codegen.rewrite.iree.unseen_pixels import crop_unseen_pixels
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

SIDES = [*product((0, 1, 2), (0, 1, 3))]


def convolution(size, kernel, sides, stride=2, dilation=1):
    """One window of `kernel` pixels along the height, several along the width."""

    def body(b, x, w):
        window = {"stride": (stride, 1), "padding": (sides, (0, 0)), "dilation": (dilation, 1), "groups": 1}
        return (b.op("conv", x, w, **window),)

    return module_of(body, TensorType((2, size, 5, 3)), TensorType((kernel, 2, 3, 4)))


def windows(module):
    """Of each convolution: padded rows, the rows that its window sees, and its outputs along them."""
    found = []
    for op in module.function("f").ops:
        if op.kind == "conv":
            low, high = op.attr("padding")[0]
            rows = (op.operands[1].shape[0] - 1) * op.attr("dilation")[0] + 1
            found.append((op.operands[0].shape[1] + low + high, rows, op.result.shape[1]))
    return found


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("dilation", [1, 2])
def test_what_one_window_does_not_see_is_cut_away(sides, dilation):
    cut = 0
    for size, kernel in product((1, 2, 3, 4), (1, 2, 3)):
        seen = (kernel - 1) * dilation + 1
        if size + sum(sides) < seen or sides[0] >= seen:
            continue
        module = convolution(size, kernel, sides, 8, dilation)
        ((padded, _, outputs),) = windows(module)
        assert outputs == 1
        after = verify(crop_unseen_pixels(module))
        assert windows(after) == [(seen, seen, 1)]
        cut += padded > seen
        rng = np.random.default_rng(0)
        args = [rng.integers(-4, 4, p.shape).astype(float) for p in module.function("f").params]
        for got, wanted in zip(by_evaluator(after, args), by_evaluator(module, args), strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert cut


def test_where_every_pixel_is_seen_or_there_are_more_windows_nothing_changes():
    for module in (convolution(3, 3, (0, 0)), convolution(4, 3, (1, 1)), convolution(6, 2, (0, 0))):
        assert windows(crop_unseen_pixels(module)) == windows(module)


def test_a_window_that_sees_padding_alone_stays():
    module = convolution(2, 2, (3, 0), 8)
    assert windows(crop_unseen_pixels(module)) == windows(module) == [(5, 2, 1)]
