"""Kill trainings, give malformed files to every reader, flip bits, and edit certified texts; print one page of tables.

    python scripts/reliability.py [--share 0.25] [--seed S] [-o docs/measurements/reliability.md]

Runs three studies one after the other, each a script that can be run alone and says what its columns mean. `--share`
is the part of the whole campaign that is run: 300 killed trainings, 20,000 malformed inputs, 1,000 flipped bits for
each kind of file, 2,000 edits of certified texts. What the studies print meanwhile goes to standard error. The exit
code is 1 where a run was lost or spoiled, a reader had a fault, a flip was silent, or a false gradient was certified.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Study:
    """A script, how many of what the whole campaign asks of it, and what its page is called there."""

    script: str
    whole: dict[str, int] = field(hash=False)
    heading: str

    def words(self, share: float, seed: int, out: Path) -> list[str]:
        """The command line of this part of it."""
        counts = [f"{option}={max(round(count * share), 1)}" for option, count in self.whole.items()]
        return [sys.executable, str(HERE / self.script), *counts, f"--seed={seed}", f"--out={out}"]


STUDIES = (
    Study("study_kills.py", {"--kills": 300, "--flips": 100, "--pairs": 20}, "Killed runs, and two writers"),
    Study("study_malformed.py", {"--inputs": 20_000, "--flips": 1_000}, "Malformed inputs and flipped bits"),
    Study("certificate_mutations.py", {"--edits": 2_000}, "Edits of certified texts"),
)


def part(study: Study, share: float, seed: int, folder: Path) -> tuple[str, bool]:
    """The study's tables under a heading of the page, and whether it found nothing bad."""
    out = folder / f"{study.script}.md"
    begin = time.perf_counter()
    done = subprocess.run(study.words(share, seed, out), stdout=sys.stderr, check=False)
    tables = out.read_text(encoding="utf-8") if out.exists() else "It failed."
    if tables.startswith("# "):
        tables = tables.partition("\n")[2]
    took = f"{time.perf_counter() - begin:.0f} s, exit code {done.returncode}."
    return f"## {study.heading}\n\n{tables.strip()}\n\n{took}\n", done.returncode == 0


def main() -> int:
    """Run all studies; 1 where one of them found something bad."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.25, help="of the campaign, which takes about ten minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="write the page there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netc-reliability-") as name:
        parts = [part(study, options.share, options.seed, Path(name)) for study in STUDIES]
    words = f"python scripts/reliability.py --share {options.share:g} --seed {options.seed}"
    cores = len(os.sched_getaffinity(0))
    where = f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {cores} cores."
    page = "\n".join([f"# Reliability\n\nPrinted by `{words}`. {where}\n", *(text for text, _ in parts)])
    print(page)
    if options.out:
        options.out.write_text(page, encoding="utf-8")
    return not all(fine for _, fine in parts)


if __name__ == "__main__":
    sys.exit(main())
