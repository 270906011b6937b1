"""Quotients of whole numbers to 2^31, against Python's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.codegen.quotient import multiple
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, by_xla, module_of

MOST = 2**31 - 1
NUMBERS = st.integers(0, MOST)
PAIRS = st.one_of(
    st.tuples(NUMBERS, st.integers(2, MOST)),
    st.tuples(NUMBERS, st.integers(2, 2000)),
    st.tuples(st.integers(2, 1 << 15), st.integers(1, 1 << 15)).map(lambda p: (p[0] * p[1], p[0])),  # multiples
    st.tuples(st.integers(2, 1 << 15), st.integers(1, 1 << 15)).map(lambda p: (p[0] * p[1] - 1, p[0])),
)


def made(of):
    return module_of(lambda b, n: multiple(b, n, of), TensorType((), "i32"))


@given(PAIRS, st.sampled_from(["f32", "f64"]))
def test_quotients_are_pythons(pair, dtype):
    number, of = pair
    count, hit = by_evaluator(made(of), [np.int32(number)], dtype)
    assert (int(count), bool(hit)) == (number // of, number % of == 0)


@pytest.mark.parametrize("of", [2, 3, 7, 1000, 2**24 + 1, MOST])
def test_xlas_too(of):
    module = made(of)
    for number in (0, 1, of - 1, of, 9_000_001, 2**30, MOST - 1, MOST):
        count, hit = by_xla(module, "f", [np.int32(number)])
        assert (int(count), bool(hit)) == (number // of, number % of == 0)
