"""A noise floor is written and read back; what is damaged says so; the numbers that it is made of."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from netc.traces.errors import TraceError
from netc.traces.floor import (
    SPACING,
    Floor,
    doubling,
    flattened,
    misfit,
    read_floor,
    relative,
    window_means,
    write_floor,
)
from tests.traces.test_files import HEADER

FLOOR = Floor(
    net="mlp", spec_sha256=HEADER.spec_sha256, data_sha256=HEADER.data_sha256, recipe=HEADER.recipe, seed=HEADER.seed,
    batch=HEADER.batch, steps=4, twins=("cpu forms", "sums in turn"),
    differences=dict.fromkeys(("loss", "grad_norm", "param_norm"), (1e-06, 0.0, 3e-06, 2e-06)),
    window=2, means=(1e-6, 1e-9), gradient=4e-6, gradient_of="head.kernel", doubling=5.0,
)  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    write_floor(tmp_path / "noise.json", FLOOR)
    assert read_floor(tmp_path / "noise.json") == FLOOR


def test_the_first_steps_share_the_jumps_of_the_gradient():
    jumped = (1e-7, 1e-7, 3e-5, 1e-7, 1e-7, 1e-7, 1e-7, 1e-7, 2e-7, 4e-5)
    floor = replace(FLOOR, differences={"grad_norm": jumped, "loss": jumped})
    assert floor.envelope("grad_norm").tolist() == [3e-5] * 9 + [4e-5]
    assert floor.envelope("loss")[0] == SPACING
    short = replace(FLOOR, differences={"grad_norm": jumped[:3]})
    assert short.envelope("grad_norm").tolist() == [3e-5] * 3


def test_envelopes_never_fall_and_stay_above_a_spacing():
    assert FLOOR.envelope("loss").tolist() == [1e-6, 1e-6, 3e-6, 3e-6]
    assert FLOOR.spread().tolist() == [1e-6, 1e-6]
    assert FLOOR.envelope("nothing").tolist() == []
    quiet = Floor(**{**vars(FLOOR), "differences": {"loss": (0.0, 1e-9)}})
    assert quiet.envelope("loss").tolist() == [SPACING, SPACING]


@pytest.mark.parametrize(
    "change, said",
    [
        ({"kind": "header"}, "wants a noise file of format 1"),
        ({"format": 2}, "wants a noise file of format 1"),
        ({"more": 1}, "wants the fields"),
        ({"differences": [1]}, "is damaged"),
        ({"means": ["x"]}, "is damaged"),
        ({"window": 0}, "is damaged"),
        ({"recipe": 3}, "is damaged"),
    ],
)
def test_a_damaged_floor_says_so(tmp_path, change, said):
    path = tmp_path / "noise.json"
    write_floor(path, FLOOR)
    body = json.loads(path.read_text())
    del body["sha256"]  # as of an older version
    path.write_text(json.dumps({**body, **change}))
    with pytest.raises(TraceError, match=said):
        read_floor(path)


def test_no_flipped_bit_of_a_floor_is_read_as_another_one(tmp_path):
    path = tmp_path / "noise.json"
    write_floor(path, FLOOR)
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        data = bytearray(content)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(TraceError):
            read_floor(path)


def test_a_floor_without_a_digest_is_read(tmp_path):
    path = tmp_path / "noise.json"
    write_floor(path, FLOOR)
    body = json.loads(path.read_text())
    del body["sha256"]
    path.write_text(json.dumps(body))
    assert read_floor(path).steps == FLOOR.steps


@pytest.mark.parametrize("content", [None, b"", b"[1]", b"\xff"])
def test_what_is_no_floor_says_so(tmp_path, content):
    path = tmp_path / "noise.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError, match=r"noise\.json: wants a"):
        read_floor(path)


def test_relative_differences():
    nan, inf = math.nan, math.inf
    a, b = [1.0, 0.0, 2.0, nan, nan, inf, inf, 0.0], [1.0, 0.0, 1.0, nan, 1.0, inf, 1.0, 1e-30]
    assert relative(a, b).tolist() == [0, 0, 0.5, 0, inf, 0, inf, 1]


def test_windows_leave_a_rest_out():
    assert window_means([1, 3, 5, 7, 9], 2).tolist() == [2, 6]
    assert window_means([1.0], 2).tolist() == []


def test_doubling_is_that_of_the_rising_part():
    rising = [1e-7 * 2 ** (s / 3) for s in range(40)]
    assert doubling(rising + [1e-5] * 30) == pytest.approx(3)
    assert doubling([1e-4, 5e-5, 1e-5]) is None
    assert doubling([1e-7] * 9) is None  # a spacing is no growth
    assert doubling([]) is None


def test_the_field_of_another_training_is_named():
    assert misfit(FLOOR, HEADER) == ""
    assert misfit(Floor(**{**vars(FLOOR), "batch": 3}), HEADER) == "batch"
    assert misfit(Floor(**{**vars(FLOOR), "seed": 3}), HEADER) == ""  # a floor is not of one seed
    assert misfit(Floor(**{**vars(FLOOR), "recipe": {"lr": 0.2}}), HEADER) == "recipe.lr"


def test_flattened_leaves_out_what_is_only_recorded():
    assert flattened({"a": {"b": 1, "c": [2]}, "recipe": {"norms": True}}) == {"a.b": 1, "a.c": [2]}


def test_numbers_keep_three_digits(tmp_path):
    path = tmp_path / "noise.json"
    write_floor(path, Floor(**{**vars(FLOOR), "gradient": 1.23456e-6, "means": (np.inf, 1.0)}))
    again = read_floor(path)
    assert again.gradient == 1.23e-6
    assert again.means == (math.inf, 1.0)
