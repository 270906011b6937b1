"""The script that times a recipe's options: it ends in time, names what it left, and writes the page."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "scripts" / "bench_step_options.py"
spec = importlib.util.spec_from_file_location("bench_step_options", PATH)
assert spec is not None and spec.loader is not None
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script  # where dataclasses look for it
spec.loader.exec_module(script)


def test_rows_are_taken_while_the_longest_so_far_would_end_in_time():
    clock = iter([0, 3, 3, 5, 5, 11, 11])  # each row's end is looked at twice
    assert [*script.in_time(["a", "b", "c", "d"], 14.0, lambda: next(clock))] == ["a", "b", "c"]
    assert [*script.in_time(["a"], 0.0)] == ["a"]


@pytest.mark.parametrize(("minutes", "left"), [("600", []), ("0", ["ema", "clip-norm", "mixup"])])
def test_a_quick_page_of_a_small_net(monkeypatch, tmp_path, capsys, minutes, left):
    page = tmp_path / "page.md"
    monkeypatch.setattr(script, "PAGE", page)
    words = ["--quick", "--write", "--net", "mnist-mlp", "--input", "8x8x1", "--batch", "4", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", [str(PATH), *words, "--target", "reference", "--minutes", minutes])
    script.main()
    written = page.read_text()
    assert written.strip() == capsys.readouterr().out.strip()
    rows = [line.split("`")[1] for line in written.splitlines() if line.startswith("| `")]
    assert rows == [name for name in ("plain", "ema", "clip-norm", "mixup") if name not in left]
    assert ("Not measured within 0 minutes: ema, clip-norm, mixup." in written) == bool(left)


def test_it_compiles_without_timing(monkeypatch, capsys):
    words = ["plain", "ema", "--compile", "--net", "mnist-mlp", "--input", "8x8x1", "--batch", "4"]
    monkeypatch.setattr(sys, "argv", [str(PATH), *words, "--target", "reference"])
    script.main()
    assert capsys.readouterr().out == "plain: compiled\nema: compiled\n"


def test_rows_with_a_bar_come_first():
    bars = [row.bar is not None for name, row in script.OPTIONS.items() if name != "plain"]
    assert bars == sorted(bars, reverse=True)
