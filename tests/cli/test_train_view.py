"""What `netc train` prints of a run."""

import pytest

from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml

NET = NetSpec("small", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("view")
    (place / "small.toml").write_text(to_toml(NET))
    return place


@pytest.mark.parametrize(
    ("target", "said"), [("xla", "compiled by XLA when first called"), ("reference", "evaluated as it is")]
)
def test_no_time_of_a_compile_that_there_was_not(netc, target, said):
    code, out, err = netc("train", "small.toml", "--target", target, "--batch", "256", "--epochs", "1", "--out", target)
    assert code == 0, err
    line = next(line for line in out.splitlines() if line.startswith("one module"))
    assert said in line and "compiled in" not in line
