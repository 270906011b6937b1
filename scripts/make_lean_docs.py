"""Write the tables of docs/lean.md: the constructors and the fields of TrainConfig, as netc reads them.

python scripts/make_lean_docs.py
"""

from __future__ import annotations

import re
from pathlib import Path

from netc.netspec.lean.arguments import ACTIVATION_WORDS, NORM_WORDS, described
from netc.netspec.lean.config import FIELDS
from netc.netspec.lean.constructors import ROWS, Constructor

PAGE = Path(__file__).parent.parent / "docs" / "lean.md"
BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def _constructor(row: Constructor) -> str:
    arguments = " ".join(f"[{p.name}={_default(p.default)}]" if p.optional else p.name for p in row.parameters)
    note = row.note.partition(": ")[2].replace("|", "\\|")
    return f"| `{row.head}` | {f'`{arguments}`' if arguments else ''} | {row.kind} | {note} |"


def _default(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "." + next(word for words in (ACTIVATION_WORDS, NORM_WORDS) for word, ours in words.items() if ours == value)


def constructors() -> str:
    """A row for each constructor."""
    head = "| constructor | arguments | netc's layers | where it differs |\n|---|---|---|---|\n"
    return head + "\n".join(map(_constructor, ROWS)) + "\n"


def fields() -> str:
    """The fields of TrainConfig by what becomes of them."""
    words = {
        "taken": "become options of `netc train`",
        "noted": "change no result; the command says why",
        "part": "belong to a field that is refused when it is on; alone, the command says so",
        "refused": "are refused by name, unless they ask for nothing",
    }
    head = "| fields | what becomes of them |\n|---|---|\n"
    rows = (
        f"| {', '.join(f'`{name}`' for name, field in FIELDS.items() if field.role == role)} | {said} |"
        for role, said in words.items()
    )
    return head + "\n".join(rows) + "\n"


TABLES = {"constructors": constructors, "fields": fields}


def written(text: str) -> str:
    """The page with its tables as they are now."""
    return BLOCK.sub(lambda found: f"<!-- {found[1]} -->\n{TABLES[found[1]]()}<!-- end -->\n", text)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(
        f"{PAGE}: {len(ROWS)} constructors, {len(FIELDS)} fields; {described(ROWS[0].head, ROWS[0].parameters)} first"
    )
