"""Put the oracle's results into the pages of docs/layers.

    python scripts/make_layer_docs.py [PAGE ...] [--check]

A page has lines `<!-- results: KIND .. -->`; after each stands a table with one row for each case of these kinds, ended
by `<!-- end of results -->`. `--check` prints the pages whose rows (cases and tensors) are not those of the oracle, and
judges nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from netc.proofs_oracle.oracle import GradCheck, checks

PAGES = Path(__file__).parent.parent / "docs" / "layers"
BLOCK = re.compile(r"<!-- results: (?P<kinds>[^>]*?) -->\n(?:(?P<table>.*?)<!-- end of results -->\n)?", re.DOTALL)
HEAD = "| case | tensors | worst against JAX | worst against differences |\n|---|---|---|---|\n"


def kinds_of(text: str) -> list[str]:
    """The kinds that a page names, in order."""
    return [kind for block in BLOCK.finditer(text) for kind in block["kinds"].split()]


def result_table(chosen: Sequence[GradCheck]) -> str:
    """One row for each check, run now."""
    results = [check.run(seed=0) for check in chosen]
    bad = [result.verdict() for result in results if not result.passed]
    if bad:
        sys.exit("\n".join(bad))
    return HEAD + "".join(
        f"| {result.label} | {result.tensors} | {result.jax_error:.1e} | {result.difference()} |\n"
        for result in results
    )


def cases_in(table: str | None) -> list[str]:
    """The labels of a table's rows."""
    return re.findall(r"^\| (\S+/\S+) \|", table or "", re.MULTILINE)


def main() -> None:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="names without .md; all if none")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    by_kind: dict[str, list[GradCheck]] = {}
    for check in checks():
        by_kind.setdefault(check.kind, []).append(check)
    stale = []
    for path in sorted(PAGES.glob("*.md")):
        if options.pages and path.stem not in options.pages:
            continue
        text = path.read_text(encoding="utf-8")

        def filled(block: re.Match[str]) -> str:
            chosen = [check for kind in block["kinds"].split() for check in by_kind[kind]]
            return f"<!-- results: {block['kinds']} -->\n\n{result_table(chosen)}\n<!-- end of results -->\n"

        if options.check:
            stale += [path.name for block in BLOCK.finditer(text) if _stale(block, by_kind)]
        else:
            path.write_text(_replaced(text, filled), encoding="utf-8")
            print(path.name, flush=True)
    if stale:
        sys.exit(f"stale: {', '.join(dict.fromkeys(stale))}; run python scripts/make_layer_docs.py")


def _stale(block: re.Match[str], by_kind: dict[str, list[GradCheck]]) -> bool:
    wanted = [check.label for kind in block["kinds"].split() for check in by_kind.get(kind, [])]
    return cases_in(block["table"]) != wanted


def _replaced(text: str, filled: Callable[[re.Match[str]], str]) -> str:
    return BLOCK.sub(filled, text)


if __name__ == "__main__":
    main()
