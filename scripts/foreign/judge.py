"""What `netc certify` says of a program, asked as a user asks, and how that compares with the truth."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from foreign.row import Program
from netc.cli.main import cli
from netc.netspec.errors import NetcError

HOLDS, WRONG, UNDECIDED, REFUSED, TRACEBACK = "holds", "not the derivative", "undecided", "refused", "traceback"
WORDS = {"holds": HOLDS, "false": WRONG, "undecided": UNDECIDED}


@dataclass(frozen=True)
class Verdict:
    """One word, the sentence beside it, and seconds."""

    word: str
    reason: str
    seconds: float

    def fits(self, program: Program) -> bool:
        """Whether the verdict is none that is wrong: a right program blamed, a wrong one certified, a traceback."""
        return self.word not in (TRACEBACK, WRONG if program.right else HOLDS)


def judged(program: Program, folder: Path) -> Verdict:
    """Write the program's file and run `netc certify` on it, in this process."""
    path = folder / f"{program.name}.mlir"
    path.write_bytes(program.lowered())
    words = [w for claim in program.claims for w in ("--wrt", claim)] + list(program.words)
    ids = () if program.ids is None else ("--ids", str(program.ids))
    began = time.perf_counter()
    found = CliRunner().invoke(cli, ["certify", str(path), *words, *ids, "--json"])
    seconds = time.perf_counter() - began
    if isinstance(found.exception, NetcError):
        return Verdict(REFUSED, str(found.exception), seconds)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        return Verdict(TRACEBACK, repr(found.exception), seconds)
    if found.exit_code == 2:
        return Verdict(REFUSED, found.stderr.strip().splitlines()[-1], seconds)
    certificate = json.loads(found.stdout)
    why = [sentence for s in certificate["statements"] for sentence in (*s["wrong"], s["why"]) if sentence]
    return Verdict(WORDS[certificate["verdict"]], "; ".join(why) or f"2^{certificate['failure_log2']:.0f}", seconds)


def kind_of(reason: str) -> str:
    """A reason without its place, so that equal ones count together."""
    operation = re.search(r"(stablehlo|chlo|func|mhlo|sdy)\.\w+", reason)
    if operation and "has no rule" in reason:
        return f"{operation.group()} has no rule"
    return re.sub(r"^line \d+: |^netc: ", "", reason).split("; ")[0][:160]
