"""Pages of the guide: what they type runs, and prints what the page says; netc's own commands in this process."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from netc.cli.main import _run
from tests.test_tutorials import blocks_of, run, says

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys, c_compiler):
    """What a block of commands prints; the last has the exit code that the page says."""
    monkeypatch.chdir(tmp_path)

    def command(block):
        words = shlex.split(block.body)
        if words[0] != "netc" or {"|", "--plugin"} & set(words):
            return run(block, tmp_path)
        capsys.readouterr()
        code = _run(words[1:])
        said = capsys.readouterr()
        assert code == (1 if block.note == "exit code 1" else 0), said.err
        return said.out + said.err

    def printed(block):
        lines = block.body.replace("\\\n", " ").splitlines()
        return "".join(
            command(replace(block, body=line, note=block.note if line == lines[-1] else "")) for line in lines
        )

    return printed


@pytest.mark.parametrize("page", ["blas", "kernels"])
def test_the_page_does_what_it_says(page, typed, tmp_path):
    printed = None
    for block in blocks_of((DOCS / f"{page}.md").read_text(encoding="utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.body, encoding="utf-8")
        elif block.note.startswith("not run: "):
            printed = None
        elif block.language == "sh":
            printed = typed(block)
        elif printed is not None:
            assert says(block.body, printed), f"wanted\n{block.body}\ngot\n{printed}"


def test_the_page_of_kernels_has_what_is_not_run_from_another_test():
    left_out = [
        b for b in blocks_of((DOCS / "kernels.md").read_text(encoding="utf-8")) if b.note.startswith("not run: ")
    ]
    assert all(re.fullmatch(r"not run: tests/kernels/test_activation\.py does", b.note) for b in left_out)
    assert len(left_out) == 2
