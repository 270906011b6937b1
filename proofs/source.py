"""A Lean file of somebody's, as Lean itself sees it: where the Lean that is here can read it at all."""

from __future__ import annotations

import re
from pathlib import Path

from netc.netspec.errors import UserError
from netc.proofs.lean import INSTALL, Checked, check, lean

ABSENT = re.compile(r"(?:unknown (?:module prefix|package)|of module|unknown module) '?([\w.]+)'?")
COMMENTS = re.compile(r"\s+|/-(?:.|\n)*?-/|--.*")


def check_source(path: Path) -> Checked:
    """Lean's answer to the file. Raises UserError where its imports cannot be had, or there is no Lean."""
    it = lean()
    text = path.read_text(encoding="utf-8")
    if not it.library and not alone(text):
        raise UserError(
            f"checking {path} needs a Lean with its library, since it does not start with `prelude`, got {it.said}, "
            f"which has none; {INSTALL}, or let the other check what netc reads: netc emit-lean {path}:NAME "
            "`check=True`"
        )
    answer = check(path)
    if not answer.holds and (missing := ABSENT.search(answer.messages)) and "import " in text:
        raise UserError(
            f"{path} wants its imports, got no {missing[1]} where {it.said} looks; run it in the folder of the project "
            f"that has them: lake env netc show {path} `check=True`"
        )
    return answer


def alone(text: str) -> bool:
    """Whether a file does without Lean's library: its first word is `prelude`, and it imports nothing."""
    place = 0
    while found := COMMENTS.match(text, place):
        place = found.end()
    return text.startswith("prelude", place) and not re.search(r"^\s*import\b", text, re.MULTILINE)
