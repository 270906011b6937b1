"""The algebra that stands beside netc's rules: the statement of a line of source, and the comment on it."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import netc.codegen
from netc.codegen.origins import SourceLine

ROOMS = Path(netc.codegen.__file__).parent.parent  # netc's own files are shown by their path below it


@dataclass(frozen=True)
class Statement:
    """A statement of a rule: where it stands, its code, and what its comment says."""

    file: str
    number: int
    code: str
    comment: str
    function: str


@lru_cache(maxsize=256)
def statement_at(line: SourceLine) -> Statement:
    """The innermost statement that covers a line. Its comment stands on its lines, or alone just above it."""
    path = Path(line.file)
    text = path.read_text("utf-8")
    rows, comments = text.splitlines(), _comments(path)
    tree = _tree(path)
    within = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _covers(node, line.number)]
    simple = min(within, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)
    first, last = (simple.lineno, simple.end_lineno or simple.lineno) if simple else (line.number, line.number)
    if simple is not None and isinstance(simple, ast.FunctionDef | ast.With | ast.For | ast.If):
        first = last = line.number  # its head: the whole body would be too much
    above = first - 1
    while above in comments and rows[above - 1].lstrip().startswith("#"):
        above -= 1
    said = [comments[n][1] for n in range(above + 1, last + 1) if n in comments]
    code = "\n".join(rows[n - 1][: comments[n][0] if n in comments else None].rstrip() for n in range(first, last + 1))
    shown = path.relative_to(ROOMS) if path.is_relative_to(ROOMS) else path.name
    return Statement(str(shown), first, _dedented(code), " ".join(filter(None, said)), _function(tree, line.number))


def _covers(node: ast.stmt, number: int) -> bool:
    return node.lineno <= number <= (node.end_lineno or node.lineno)


@lru_cache(maxsize=128)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@lru_cache(maxsize=128)
def _comments(path: Path) -> dict[int, tuple[int, str]]:
    """The comments of a file by their lines: where each begins in its line, and its text; empty of a mark for tools."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    found = {t.start[0]: (t.start[1], t.string.lstrip("# ")) for t in tokens if t.type == tokenize.COMMENT}
    marks = ("noqa", "type:", "fmt:")
    return {n: (at, "" if text.startswith(marks) else text.partition("  # ")[0]) for n, (at, text) in found.items()}


def _dedented(code: str) -> str:
    rows = [row for row in code.splitlines() if row.strip()]
    margin = min((len(row) - len(row.lstrip()) for row in rows), default=0)
    return "\n".join(row[margin:] for row in rows)


def _function(tree: ast.Module, number: int) -> str:
    """The name of the innermost function around a line."""
    around = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and _covers(n, number)]
    return max(around, key=lambda node: node.lineno).name if around else ""
