"""What the scripts that compile nets for a table share: words, failures that are rows, and rows that replace rows."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from netc.netspec.errors import UserError
from netc.runtime.compile import CompileError
from netc.runtime.target import parse_target

SCRIPTS = Path(__file__).parents[1] / "scripts"
TARGET = parse_target("cuda:sm_89")


@pytest.fixture(name="timed")
def _timed(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))  # as when one of the scripts is run
    return importlib.import_module("timed_compile")


@pytest.mark.parametrize(
    ("word", "input_shape", "batch"),
    [("resnet18@64:8", (64, 64, 3), 8), ("mnist-mlp", (28, 28, 1), 32), ("family:mobile:4", (13, 12, 3), 4)],
)
def test_a_word_names_net_size_and_batch(timed, word, input_shape, batch):
    net, _, found = timed.named(word)
    assert (net.x.shape, found) == (input_shape, batch)


def test_what_is_no_word_is_refused(timed):
    with pytest.raises(SystemExit, match="wants NET, NET@SIZE or NET@SIZE:BATCH, got 'a@b'"):
        timed.named("a@b")


def test_a_failure_is_a_row_that_names_its_step(timed, tmp_path, monkeypatch):
    def refuse():
        raise UserError("wants another precision")

    row = timed.timed_compile(refuse, TARGET, tmp_path / "x", 10)
    assert (row.step, row.error, row.size) == ("emit", "UserError: wants another precision", 0)

    def compile_text(text, target, output, longest):
        if text == "bad":
            raise CompileError("refused\nand more")
        output.write_bytes(b"12345")

    monkeypatch.setattr(timed, "compile_text", compile_text)
    row = timed.timed_compile(lambda: "bad", TARGET, tmp_path / "x", 10)
    assert (row.step, row.error, row.size) == ("compile", "CompileError: refused", 0)
    row = timed.timed_compile(lambda: "good", TARGET, tmp_path / "x", 10)
    assert (row.step, row.error, row.size) == ("", "", 5)


@dataclass(frozen=True)
class Row:
    net: str
    target: str
    size: int


def test_a_row_takes_the_place_of_its_like(timed, tmp_path):
    kept = tmp_path / "rows.json"
    for row in (Row("z", "cpu", 1), Row("b", "cpu", 2), Row("a", "cpu", 3), Row("b", "cpu", 4), Row("b", "any", 5)):
        timed.merge(row, kept, lambda r: (r.net, r.target), ("b", "a"), lambda rows: f"{len(rows)} rows")
    found = [(r["net"], r["target"], r["size"]) for r in json.loads(kept.read_text())]
    assert found == [("b", "any", 5), ("b", "cpu", 4), ("a", "cpu", 3), ("z", "cpu", 1)]
    assert (tmp_path / "rows.md").read_text() == "4 rows"
