"""Which sizes are variables."""

import pytest

from netc.codegen.builder import Builder
from netc.netspec.types import TensorType
from netc.proofs.axes import Axes, UnreadError


def split(first: tuple[int, ...], second: tuple[int, ...]) -> list[list[int]]:
    b = Builder("f")
    x = b.parameter("x", TensorType(first))
    function = b.finish([("y", b.reshape(x, second))])
    return [[leaf.size for leaf in a.leaves()] for a in Axes(function, function.ops).of(function.results[0])]


def test_a_merged_axis_is_its_factors():
    assert split((2, 3, 5), (2, 15)) == [[2], [3, 5]]
    assert split((2, 15), (2, 3, 5)) == [[2], [3], [5]]
    assert split((6, 10), (2, 3, 10)) == [[2], [3], [10]]
    assert split((6, 10), (2, 30)) == [[2], [3, 10]]


def test_an_axis_of_one_is_none():
    assert split((2, 1, 3), (2, 3, 1)) == [[2], [3], []]


def test_sizes_without_common_factors_are_refused():
    with pytest.raises(UnreadError, match="f: reshape cuts an axis at 2 and at 3, of which neither divides the other"):
        split((2, 3), (3, 2))


def test_a_long_row_of_joined_axes_is_one():
    """Longer than Python's stack: a dense net of a thousand sums."""
    b = Builder("f")
    y = b.parameter("x", TensorType((4,)))
    for n in range(1200):
        y = b.add(y, b.parameter(f"x{n}", TensorType((4,))))
    function = b.finish([("y", y)])
    assert len(Axes(function, function.ops).sizes) == 1


def test_what_is_joined_is_one_variable_and_what_is_only_equal_is_not():
    b = Builder("f")
    x, w = b.parameter("x", TensorType((4, 4))), b.parameter("w", TensorType((4, 4)))
    function = b.finish([("y", b.dot(x, w, (1, 0)))])
    axes = Axes(function, function.ops)
    (n, k), (k2, m) = axes.names(x), axes.names(w)
    assert k == k2 and len({n, k, m}) == 3 and axes.names(function.results[0]) == (n, m)
