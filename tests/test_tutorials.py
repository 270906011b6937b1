"""docs/tutorials: every program and command in them runs, in order, and prints what the page says.

A fenced block with a title is a file. A block of `sh` is run by bash in the folder of these files, and the block of
`text` after it is what it prints; `..` stands for anything. A comment before a block, `<!-- exit code N -->`, expects
that code, and `<!-- not run: REASON -->` leaves the block out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
PAGES = sorted(TUTORIALS.glob("*.md"))
BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*) -->\n)?"
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment before it."""

    language: str
    title: str | None
    body: str
    note: str


def blocks_of(text: str) -> list[Block]:
    return [Block(m["language"], m["title"], m["body"], m["note"] or "") for m in BLOCK.finditer(text)]


def says(expected: str, printed: str) -> bool:
    """Whether a text with `..` for anything is what was printed."""
    parts = (re.escape(part) for part in expected.strip().split(".."))
    return re.fullmatch(".*".join(parts), printed.strip(), re.DOTALL) is not None


def run(block: Block, folder: Path) -> str:
    """What a block of commands prints; fails where its exit code is another than the page says."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "NETC_CACHE_DIR": str(folder / "cache"),
    }
    environment.pop("XLA_FLAGS", None)  # of tests/conftest.py: here XLA's programs run for hundreds of steps
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.body],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    code = int(found[1]) if (found := re.fullmatch(r"exit code (\d+)", block.note)) else 0
    assert done.returncode == code, f"{block.body}exit code {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_tutorial_does_what_it_says(page, tmp_path):
    printed = None
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.body, encoding="utf-8")
        elif block.note.startswith("not run: "):
            printed = None
        elif block.language == "sh":
            printed = run(block, tmp_path)
        else:
            assert block.language == "text" and printed is not None, f"nothing runs this block:\n{block.body}"
            assert says(block.body, printed), f"wanted\n{block.body}\ngot\n{printed}"


def test_dots_stand_for_anything_and_nothing_else_does():
    assert says("a\n..\nb ..%", "a\nx\ny\nb 99.1%\n")
    assert not says("a ..", "b")
    assert not says("accuracy", "accuracy 3")


def test_every_reader_has_a_page():
    assert {p.stem for p in PAGES} == {"compiler-builder", "language-model", "lean", "photos"}
