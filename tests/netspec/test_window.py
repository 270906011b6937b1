"""Windows: sizes and paddings against a count that walks over the image."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.netspec.layer import LayerError, signature_of
from netc.netspec.layers import AvgPool, Conv2d, MaxPool
from netc.netspec.layers.window import extent, resolve_padding, window_label, window_output
from netc.netspec.types import TensorType

SIZE, SMALL = st.integers(1, 12), st.integers(1, 4)


def windows_by_hand(n, k, s, lo, hi, d):
    """The number of places where a window of k pixels, d apart, lies inside n + lo + hi pixels, s apart."""
    pixels, count, start = range(-lo, n + hi), 0, -lo
    while all(start + d * a in pixels for a in range(k)):
        count, start = count + 1, start + s
    return count


@given(st.tuples(SIZE, SIZE), st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.data())
def test_sizes_by_hand(size, kernel, stride, dilation, data):
    sides = data.draw(st.tuples(*(st.tuples(st.integers(0, 3), st.integers(0, 3)) for _ in "hw")))
    counts = tuple(map(windows_by_hand, size, kernel, stride, [a for a, _ in sides], [b for _, b in sides], dilation))
    if 0 in counts:
        with pytest.raises(LayerError, match="wants an image of at least"):
            window_output(size, kernel, stride, sides, dilation)
        return
    assert window_output(size, kernel, stride, sides, dilation) == counts
    layer = Conv2d(5, kernel, stride, sides, dilation=dilation)
    assert signature_of(layer, TensorType((*size, 2))).out.shape == (*counts, 5)


@given(SIZE, SMALL, SMALL, SMALL)
def test_same_gives_one_output_for_each_stride(n, k, s, d):
    sides = resolve_padding("same", (n, n), (k, k), (s, s), (d, d))
    (lo, hi), _ = sides
    assert windows_by_hand(n, k, s, lo, hi, d) == math.ceil(n / s)
    assert 0 <= hi - lo <= 1  # the odd pixel comes after
    if lo + hi:  # no pixel more than is needed
        assert windows_by_hand(n, k, s, lo, hi - 1, d) < math.ceil(n / s)


@given(SIZE, SMALL, SMALL, SMALL)
def test_same_symmetric_is_half_the_kernel(n, k, s, d):
    (lo, hi), _ = resolve_padding("same-symmetric", (n, n), (k, k), (s, s), (d, d))
    assert lo == hi == d * (k // 2)
    if k % 2:  # then torch's formula floor((n - 1) / s) + 1
        assert windows_by_hand(n, k, s, lo, hi, d) == (n - 1) // s + 1


@pytest.mark.parametrize(
    ("n", "k", "s", "same", "symmetric"),
    [
        (224, 7, 2, (2, 3), (3, 3)),  # the stem of TensorFlow's ResNet and of torchvision's
        (56, 3, 2, (0, 1), (1, 1)),
        (55, 3, 2, (1, 1), (1, 1)),
        (8, 2, 2, (0, 0), (1, 1)),
        (7, 1, 2, (0, 0), (0, 0)),
        (32, 3, 1, (1, 1), (1, 1)),
    ],
)
def test_the_two_spellings_differ_on_even_sizes(n, k, s, same, symmetric):
    assert resolve_padding("same", (n, n), (k, k), (s, s)) == (same, same)
    assert resolve_padding("same-symmetric", (n, n), (k, k), (s, s)) == (symmetric, symmetric)
    assert resolve_padding("valid", (n, n), (k, k), (s, s)) == ((0, 0), (0, 0))
    assert resolve_padding(((1, 2), (3, 4)), (n, n), (k, k), (s, s)) == ((1, 2), (3, 4))


@given(SIZE, SIZE, SMALL, SMALL, SMALL, SMALL, st.sampled_from(["same", "valid"]))
def test_pools_have_the_sizes_of_convolutions(h, w, kh, kw, sh, sw, padding):
    x = TensorType((h, w, 3))
    for pool in (MaxPool((kh, kw), (sh, sw), padding), AvgPool((kh, kw), (sh, sw), padding)):
        try:
            wanted = signature_of(Conv2d(3, (kh, kw), (sh, sw), padding), x).out
        except LayerError:
            with pytest.raises(LayerError):
                signature_of(pool, x)
            continue
        assert signature_of(pool, x).out == wanted


def test_a_pool_moves_by_its_size_unless_told():
    assert MaxPool(3).step == (3, 3)
    assert MaxPool((2, 3)).step == (2, 3)
    assert MaxPool(3, 2).step == (2, 2)
    assert MaxPool((2, 3), (1, 2)).step == (1, 2)


@pytest.mark.parametrize(("k", "d", "pixels"), [(1, 5, 1), (3, 1, 3), (3, 2, 5), (2, 4, 5)])
def test_extent(k, d, pixels):
    assert extent(k, d) == pixels == max(d * a for a in range(k)) + 1


def test_labels():
    assert window_label(3, 1) == "3x3"
    assert window_label((3, 1), 2) == "3x1/2"
    assert window_label(3, (1, 2)) == "3x3/1x2"
