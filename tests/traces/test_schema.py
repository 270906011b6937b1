"""Each record is one line and comes back from it; numbers are the shortest that do."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.traces.errors import TraceError
from netc.traces.line import from_line, to_line
from netc.traces.schema import (
    NON_FINITE,
    EvalRecord,
    Header,
    StepRecord,
    TimingRecord,
    plain,
    single,
    single_to_json,
)

HEADER = Header(
    net="mlp",
    spec_sha256="a" * 64,
    module_sha256="b" * 64,
    data="digits",
    data_sha256="c" * 64,
    recipe={"optimizer": {"kind": "adam", "betas": (0.9, 0.999)}, "epochs": 3},
    seed=7,
    batch=32,
    target="cpu",
    versions={"netc": "0.1.0", "iree": "3.12.0"},
)
STEP = StepRecord(step=3, epoch=0, loss=0.1, lr=1e-3, grad_norm=2.0, param_norm=3.0)
EVAL = EvalRecord(step=3, epoch=0, loss=0.1, accuracy=0.5, count=10)

singles = st.integers(0, 2**32 - 1).map(lambda bits: float(np.array(bits, np.uint32).view(np.float32)))
counts = st.integers(0, 2**63)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
steps = st.builds(
    StepRecord, step=counts, epoch=counts, loss=singles, lr=singles, grad_norm=singles, param_norm=singles
)
evals = st.builds(EvalRecord, step=counts, epoch=counts, loss=singles, accuracy=singles, count=counts)
timings = st.builds(TimingRecord, step=counts, seconds=st.floats(0, 1e9, allow_subnormal=True) | st.integers(0, 2**52))
headers = st.builds(
    replace,
    st.just(HEADER),
    net=st.text(),
    recipe=st.dictionaries(st.text(), json_values, max_size=3),
    seed=st.integers(-(2**63), 2**64 - 1),
    versions=st.dictionaries(st.text(), st.text(), max_size=3),
)


@given(steps | evals | timings | headers)
def test_a_record_is_one_line_and_comes_back(record):
    line = to_line(record)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert to_line(from_line(line)) == line
    assert type(from_line(line)) is type(record)
    if b"NaN" not in line:  # a NaN is equal to nothing
        assert from_line(line) == record


@given(singles)
def test_float32_round_trips_with_the_fewest_digits(value):
    text = json.dumps(single_to_json(value), allow_nan=False)
    if not math.isfinite(value):
        assert NON_FINITE[json.loads(text)] == value or math.isnan(value)
        return
    back = np.float32(json.loads(text))
    assert back.tobytes() == np.float32(value).tobytes()  # the sign of zero too
    digits = len(text.split("e")[0].replace("-", "").replace(".", "").strip("0"))
    assert digits <= 9
    if digits > 1:
        # One digit fewer reads back as another number.
        assert np.float32(float(f"{value:.{digits - 2}e}")) != np.float32(value)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x00000001, "1e-45"),
        (0x00400000, "5.877472e-39"),
        (0x00800000, "1.1754944e-38"),
        (0x7F7FFFFF, "3.4028235e+38"),
        (0xFF7FFFFF, "-3.4028235e+38"),
        (0x3DCCCCCD, "0.1"),
        (0x3F800000, "1.0"),
        (0x4B800000, "16777216.0"),
        (0x00000000, "0.0"),
        (0x80000000, "-0.0"),
        (0x7F800000, '"Infinity"'),
        (0xFF800000, '"-Infinity"'),
        (0x7FC00001, '"NaN"'),
        (0xFFC00000, '"NaN"'),
        # The double nearest to the shortest decimal of this one is midway between two float32 values.
        (0x15AE43FD, "7.03853069e-26"),
        (0x95AE43FD, "-7.03853069e-26"),
    ],
)
def test_spelling_of_float32(bits, text):
    value = np.array(bits, np.uint32).view(np.float32)
    assert json.dumps(single_to_json(float(value)), allow_nan=False) == text
    if np.isfinite(value):
        assert np.float32(json.loads(text)).tobytes() == value.tobytes()


def test_spelling_does_not_hear_print_options():
    with np.printoptions(precision=2, floatmode="fixed", legacy="1.13"):
        assert b'"loss": 0.1,' in to_line(STEP)


def test_fields_are_rounded_to_float32():
    assert STEP.loss == float(np.float32(0.1)) != 0.1
    assert single(np.float64(0.1), "x") == single(np.float32(0.1), "x")
    assert single(1e-60, "x") == 0.0
    assert single(np.float16(0.5), "x") == 0.5


def test_the_lines_themselves():
    assert to_line(STEP) == (
        b'{"kind": "step", "step": 3, "epoch": 0, "loss": 0.1, "lr": 0.001, "grad_norm": 2.0, "param_norm": 3.0}\n'
    )
    assert to_line(EVAL) == (b'{"kind": "eval", "step": 3, "epoch": 0, "loss": 0.1, "accuracy": 0.5, "count": 10}\n')
    timing = b'{"kind": "timing", "step": 3, "seconds": 0.1, "waited": 0.025}\n'
    assert to_line(TimingRecord(step=3, seconds=0.1, waited=0.025)) == timing
    assert to_line(HEADER).startswith(b'{"kind": "header", "format": 1, "net": "mlp", ')


def test_the_order_of_a_mapping_does_not_matter():
    other = replace(HEADER, recipe=dict(reversed(HEADER.recipe.items())))
    assert to_line(other) == to_line(HEADER)
    assert other == HEADER


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(STEP, step=-1), "step.step wants 0 or more, got -1"),
        (lambda: replace(STEP, step=True), "step.step wants an int, got True"),
        (lambda: replace(STEP, step=1.0), "step.step wants an int, got 1.0"),
        (lambda: replace(STEP, step=2**64), "step.step wants an int of 64 bits"),
        (lambda: replace(STEP, loss="nan"), "step.loss wants a number or one of NaN, Infinity, -Infinity"),
        (lambda: replace(STEP, loss=1e39), r"step.loss wants a number in the range of float32, got 1e\+39"),
        (lambda: replace(STEP, loss=10**5000), "step.loss wants a number in the range of float32, got an en"),
        (lambda: replace(STEP, loss=False), "step.loss wants a float32 number, got False"),
        (lambda: replace(STEP, loss=None), "step.loss wants a float32 number, got None"),
        (lambda: TimingRecord(0, math.inf), "timing.seconds wants seconds that are finite"),
        (lambda: TimingRecord(0, math.nan), "timing.seconds wants seconds that are finite"),
        (
            lambda: TimingRecord(0, -1),
            "timing.seconds wants seconds that are finite and not negative, got -1",
        ),
        (lambda: replace(HEADER, net=3), "header.net wants a string, got 3"),
        (lambda: replace(HEADER, format=2), "header.format wants trace format 1, got 2"),
        (lambda: replace(HEADER, batch=0), "header.batch wants 1 or more, got 0"),
        (lambda: replace(HEADER, data_sha256="A" * 64), "header.data_sha256 wants a SHA-256"),
        (lambda: replace(HEADER, recipe=[1]), "header.recipe wants a mapping"),
        (lambda: replace(HEADER, recipe={"a": {1: 2}}), "header.recipe.a wants string keys, got 1"),
        (lambda: replace(HEADER, recipe={"a": [0, math.nan]}), r"recipe.a\[1\] wants a finite number"),
        (lambda: replace(HEADER, recipe={"a": np.float32(1)}), "recipe.a wants plain JSON .* got float32"),
        (lambda: replace(HEADER, versions={"iree": 3}), "header.versions.iree wants a string, got 3"),
    ],
)
def test_a_wrong_field_is_named(make, message):
    with pytest.raises(TraceError, match=message):
        make()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "wants one JSON object"),
        (b"\n", "wants one JSON object"),
        (b"\x00" * 40, "wants one JSON object"),
        (b"\xff\xfe{}", "wants one JSON object"),
        (b"[" * 200_000, "wants one JSON object"),
        (b'{"kind": "step", "step": 3', "wants one JSON object"),
        (b"[1]", r"wants one JSON object, got \[1\]"),
        (b"{}", "wants a kind among header, step, eval, change, timing, seal, got None"),
        (b'{"kind": ["step"]}', "wants a kind among"),
        (b'{"kind": "stop"}', "got 'stop'"),
        (b'{"kind": "timing", "step": 1}', "wants the timing fields seconds"),
        (b'{"kind": "timing", "step": 1, "seconds": 1, "x": 2}', "no field but those of timing, got 'x'"),
        (b'{"kind": "timing", "step": 1, "step": 1, "seconds": 1}', "wants each key once"),
        (b'{"kind": "timing", "step": 1, "seconds": NaN}', "bare NaN"),
        (b'{"kind": "timing", "step": 1, "seconds": 1e999}', "fit in 64 bits, got '1e999'"),
        (b'{"kind": "timing", "step": %s, "seconds": 1}' % (b"9" * 5000), "wants one JSON object"),
        (b'{"kind": "timing", "step": 1.5, "seconds": 1}', "timing.step wants an int"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line, message):
    with pytest.raises(TraceError, match=message):
        from_line(line)


@given(st.binary(max_size=80))
def test_garbage_is_a_trace_error(line):
    with pytest.raises(TraceError):
        from_line(line)


@given(steps, st.data())
def test_a_cut_line_is_a_trace_error(record, data):
    line = to_line(record)
    with pytest.raises(TraceError):
        from_line(line[: data.draw(st.integers(0, len(line) - 2))])


@given(json_values)
def test_plain_json_is_copied(value):
    assert plain(value, "x") == value


def test_an_exhaustive_stride_of_float32_round_trips():
    """Every 65 537th float32, and so all exponents and both signs."""
    for bits in range(0, 2**32, 65_537):
        value = np.array(bits, np.uint32).view(np.float32)
        if np.isfinite(value):
            assert np.float32(single_to_json(float(value))) == value


def test_the_programs_digest_is_said_where_it_is_known_and_an_older_trace_lacks_it():
    line = to_line(HEADER)
    assert b"program_sha256" not in line and from_line(line) == HEADER
    named = replace(HEADER, program_sha256="a" * 64)
    assert from_line(to_line(named)) == named
    with pytest.raises(TraceError, match="program_sha256"):
        replace(HEADER, program_sha256="abc")
