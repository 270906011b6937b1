"""Asks `netc certify` about programs as others write them: JAX tutorials, optax, flax, equinox, hand-written StableHLO.

    python scripts/study_foreign_programs.py [--only NAME ..] [--family NAME] [--list] [--check] [--failing DIR]
        [--out docs/measurements/foreign_programs.md]

Each row of scripts/foreign is a train step or a gradient of its own, with a loss and parameters of a few numbers,
lowered by JAX. Some have a gradient that is wrong. The table shows by family what `netc certify` said; the exit code is
1 if a right program was called wrong or a wrong one was certified. `--check` compares the rows themselves with central
differences, so that a row that says "right" is. `--failing` writes the texts that were not judged, with a NOTES file.
flax and equinox are needed by their families only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from foreign import FAMILIES, load, missing
from foreign.differences import differs
from foreign.judge import HOLDS, REFUSED, TRACEBACK, UNDECIDED, WRONG, Verdict, judged, kind_of
from foreign.row import ROWS, Program

from netc.runtime.files import write_whole

WORDS = (HOLDS, REFUSED, UNDECIDED, WRONG, TRACEBACK)
HEAD = """# Other people's programs

By `scripts/study_foreign_programs.py`; docs/certificate.md says what the words mean. A program is wrongly judged if it
is right and called wrong, if it is wrong and certified, or if the command breaks off.

"""
HEADINGS = ("family", "truth", "programs", *WORDS, "wrongly judged")


def asked(name: str, folder: Path) -> tuple[Program, Verdict]:
    """Lower one row and judge it; a line on standard error."""
    program = ROWS[name]()
    verdict = judged(program, folder)
    mark = " " if verdict.fits(program) else "!"
    truth = "right" if program.right else "wrong"
    print(f"{mark} {name:44} {truth:6} {verdict.word:18} {verdict.seconds:5.1f} s  {verdict.reason[:200]}",
          file=sys.stderr, flush=True)  # fmt: skip
    return program, verdict


def table(found: list[tuple[Program, Verdict]]) -> list[str]:
    """A row for each family and truth, and the sums."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|" + "---:|" * (len(HEADINGS) - 2)]
    groups = [(family, right) for right in (True, False) for family in FAMILIES]
    for family, right in (*groups, (None, True), (None, False)):
        some = [(p, v) for p, v in found if p.right == right and family in (None, p.family)]
        if some:
            counts = Counter(v.word for _, v in some)
            cells = [family or "all", "right" if right else "wrong", str(len(some)), *(str(counts[w]) for w in WORDS)]
            lines.append("| " + " | ".join([*cells, str(sum(not v.fits(p) for p, v in some))]) + " |")
    return lines


def reasons(found: list[tuple[Program, Verdict]]) -> list[str]:
    """Why programs were not judged, most frequent first, each with their names."""
    groups: dict[str, list[str]] = {}
    for p, v in found:
        if v.word in (REFUSED, UNDECIDED):
            groups.setdefault(f"{v.word}: {kind_of(v.reason)}", []).append(p.name)
    ordered = sorted(groups.items(), key=lambda each: -len(each[1]))
    return [f"- {len(names)}: {why} ({', '.join(names)})" for why, names in ordered]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--only", nargs="+", metavar="NAME", default=[])
    options.add_argument("--family", action="append", choices=FAMILIES)
    options.add_argument("--list", action="store_true", help="print the rows and stop")
    options.add_argument("--check", action="store_true", help="compare the rows with central differences and stop")
    options.add_argument("--out", type=Path, metavar="FILE", help="write the page here")
    options.add_argument("--failing", type=Path, metavar="DIR", help="write here the texts that were not judged")
    given = options.parse_args()
    load()
    if unknown := set(given.only) - set(ROWS):
        options.error(f"--only wants names that --list prints, got {', '.join(sorted(unknown))}")
    names = given.only or [n for n in ROWS if not given.family or ROWS[n].family in given.family]
    if given.list:
        print("\n".join(f"{n} ({ROWS[n].family})" for n in names))
        return 0
    if given.check:
        bad = [sentence for n in names if (sentence := differs(ROWS[n]())) and not print(sentence, flush=True)]
        print(f"{len(names) - len(bad)} of {len(names)} rows are as they say")
        return 1 if bad else 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.failing or Path(temporary)
        folder.mkdir(exist_ok=True)
        found = [asked(n, folder) for n in names]
        if given.failing:
            keep(found, folder)
    page = [*table(found)]
    page += [f"\nSkipped: the rows of {library}, which is not installed." for library in missing()]
    if why := reasons(found):
        page += ["\nNot judged:\n", *why]
    print("\n".join(page))
    if given.out:
        write_whole(given.out, HEAD + "\n".join(page) + "\n")
    return 0 if all(v.fits(p) for p, v in found) else 1


def keep(found: list[tuple[Program, Verdict]], folder: Path) -> None:
    """Leave the texts that were not judged as they should be, and say why."""
    lines = reasons(found)
    for p, v in found:
        if v.word == (HOLDS if p.right else WRONG):
            (folder / f"{p.name}.mlir").unlink()
        elif v.word not in (REFUSED, UNDECIDED):
            lines.append(f"- {p.name} ({'right' if p.right else 'wrong'}): {v.word}: {v.reason}")
    (folder / "NOTES").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
