"""A proof's file, and what Lean says of it, as `netc prove` ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from netc.cli.console import say

if TYPE_CHECKING:
    from netc.proofs.lean import Checked


def written(text: str, path: Path | None, check: Callable[[Path], Checked] | None) -> Checked | None:
    """Write the file, or one that goes again where no path is given; Lean's answer to it, if `check` asks."""
    from netc.runtime.files import write_whole

    if path is not None:
        write_whole(path, text)
        return check(path) if check else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proof.lean"
        path.write_text(text, encoding="utf-8")
        return check(path) if check else None


def show_answer(
    answer: Checked | None, path: Path | None, claim: str, places: Callable[[str], Iterable[str]] = lambda messages: ()
) -> None:
    """Where the file is, and whether Lean takes the claim; `places` are those that its messages are about."""
    from netc.cli.views.table import print_line

    if path is not None:
        print_line(f"written to {path}")
    if answer is None:
        print_line("not checked; --check lets Lean check it")
    elif answer.holds:
        print_line(f"{claim}: Lean's kernel takes it, without an axiom, in {answer.seconds:.1f} s")
    else:
        for place in places(answer.messages):
            say(f"not shown at: {place}")
        print_line(answer.messages[:2000])
        print_line(f"Lean refuses it after {answer.seconds:.1f} s")
