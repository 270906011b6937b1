"""What `netc train` prints of a run."""

import io
import re

import pytest
from rich.console import Console

from netc.cli.views import pace as paces
from netc.cli.views import train as views
from netc.cli.views.pace import Pace, resident
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


def test_the_rate_is_of_the_last_seconds_and_of_steps_alone():
    pace = Pace(32, "images")
    assert "images/s" not in pace.said(100.0, 0, 80)
    assert pace.said(101.0, 10, 80) == "320 images/s"
    for second in range(2, 40):
        said = pace.said(100.0 + second, 10 + 100 * (second - 1), 80)
    assert said == "3,200 images/s"
    pace.pause()  # an evaluation of a minute
    assert pace.said(200.0, 5000, 80) == "" and pace.said(202.0, 5001, 80) == "16 images/s"


def test_a_wide_terminal_has_the_share_of_waiting_and_the_memory(monkeypatch):
    pace = Pace(8, "contexts")
    pace.waited(0.034)
    pace.said(0.0, 0, 120)
    held = resident()
    assert 10e6 < held < 100e9
    monkeypatch.setattr(paces, "resident", lambda: 512_000_000)
    assert pace.said(2.0, 1, 120) == "4 contexts/s  data 3%  512 MB"
    monkeypatch.setattr(paces, "STATM", paces.Path("/nowhere"))
    assert resident() == 0


def test_the_bar_is_drawn_on_a_terminal_and_never_in_a_pipe(netc, monkeypatch):
    words = ("train", "small.toml", "--target", "reference", "--batch", "4", "--epochs", "1")
    code, out, _ = netc(*words, "--out", "piped")
    assert code == 0 and "images/s" not in out and "epoch   1" in out
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=140, markup=False, emoji=False, highlight=False)
    monkeypatch.setattr(views, "terminal", lambda **words: console)
    monkeypatch.setattr(views, "REFRESH", 50)
    assert netc(*words, "--out", "drawn")[0] == 0
    assert re.search(r"images/s  data \d+%  [\d.]+ [MG]B", drawn.getvalue())
    assert "images/s" in drawn.getvalue() and "MB" in drawn.getvalue() and "epoch   1" in drawn.getvalue()


def test_what_was_asked_of_the_step_is_said_at_the_start(netc):
    words = ("--target", "reference", "--batch", "512", "--epochs", "1")
    more = ("--mixup", "0.2", "--ema", "0.9", "--ema-warmup")
    code, out, err = netc("train", "small.toml", *words, *more, "--out", "asked")
    assert code == 0, err
    assert "each step has --ema 0.9, --ema-warmup, --mixup 0.2\n" in out
    code, out, err = netc("train", "small.toml", *words, "--out", "plain")
    assert code == 0 and "each step has" not in out
