"""The history of what a step costs: nothing grew since it was written, and a growth is seen."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
found = importlib.util.spec_from_file_location("bench_compare", ROOT / "scripts" / "bench_compare.py")
bench_compare = importlib.util.module_from_spec(found)
found.loader.exec_module(bench_compare)

SMALL = ("mnist-mlp:128", "mnist-cnn:128", "tiny-gpt:12")


def test_nothing_grew_since_the_history_was_written(capsys):
    assert bench_compare.main(SMALL) == 0, capsys.readouterr().out
    assert "(new)" not in capsys.readouterr().out  # the history has these nets


@pytest.mark.parametrize(("part", "code"), [(0.8, 1), (0.95, 0), (1.5, 0)])
def test_a_growth_of_more_than_a_tenth_is_a_failure(tmp_path, capsys, part, code):
    history = json.loads(bench_compare.HISTORY.read_text())
    now = bench_compare.numbers("mnist-mlp:128")
    now["cpu"]["ops"] = int(now["cpu"]["ops"] * part)
    now["cpu"]["kinds"]["add"] = 0
    history["entries"].append({"date": "2026-11-22", "revision": "later", "nets": {"mnist-mlp:128": now}})
    path = tmp_path / "history.json"
    path.write_text(json.dumps(history))
    assert bench_compare.main(["mnist-mlp:128", "--history", str(path)]) == code
    said = capsys.readouterr().out
    assert ("GREW ops" in said) == bool(code)
    assert ("most of it: add 0 ->" in said) == bool(code)


def test_an_entry_is_appended_with_its_revision(tmp_path, capsys):
    path = tmp_path / "history.json"
    for _ in range(2):
        assert bench_compare.main(["mnist-linear:4", "--history", str(path), "--write"]) == 0
    first, second = json.loads(path.read_text())["entries"]
    assert first["nets"] == second["nets"]
    assert first["revision"]
    assert "(new)" in capsys.readouterr().out
