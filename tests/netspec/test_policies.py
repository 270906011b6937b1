"""The words of policies: what one prints is what is read, to the last digit."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.netspec.errors import UserError
from netc.netspec.policies import POLICIES, AugMix, Rand, digits, parse_policy

POSITIVE = st.floats(0, 1e300)
RANDS = st.builds(
    Rand,
    m=POSITIVE,
    n=st.integers(1, 10**15),  # beyond 2^53 a float does not tell whole numbers apart
    p=st.floats(0, 1),
    mstd=POSITIVE | st.just(math.inf),
    mmax=st.floats(0, 30, exclude_min=True),
    inc=st.integers(0, 1),
    color=st.integers(0, 1),
)
MIXES = st.builds(AugMix, m=st.integers(1, 10), w=st.integers(1, 10), d=st.integers(0, 10))


@given(RANDS | MIXES)
def test_a_policy_is_read_as_it_is_printed(policy):
    assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize("row", [POLICIES[word] for word in POLICIES])
def test_a_plain_policy_is_its_word(row):
    assert str(row()) == row.word and parse_policy(row.word) == row()
    assert set(row.keys) <= {f.name for f in fields(row)}


@pytest.mark.parametrize(
    ("number", "text"),
    [(9.0, "9"), (0.5, "0.5"), (1e6, "1000000"), (1e-5, "0.00001"), (9.1234567, "9.1234567"), (math.inf, "inf")],
)
def test_digits_have_no_exponent(number, text):
    assert digits(number) == text


def test_a_whole_number_is_finite():
    with pytest.raises(UserError, match="n wants a whole number, got inf"):
        parse_policy("rand-ninf")
