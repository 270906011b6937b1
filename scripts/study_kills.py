"""Kill trainings at random times and at changes of their files, resume them, and compare every byte.

    python scripts/study_kills.py [--kills N] [--flips N] [--pairs N] [--seed S] [-o FILE.md]

The subject is a small net on the embedded digits, on the evaluator, with checkpoints every few steps. Each case is a
process of its own, forked from this one, which runs the command line `netc train ..`. It is killed (KILL) or asked to
stop (TERM) at a random time, or killed just before its n-th opening, renaming, linking or removing of a file in the
run's folder; the same words with --auto-resume, or --resume, then go on, and one time in four are killed again. At the
end the folder must hold what that of a training that nobody stopped holds: the same files, and in all but
`timing.jsonl` the same bytes (a run that was asked to stop has saved once more, so that of the checkpoints before
`last` it may keep others). `lost` are runs that could not be resumed, `spoiled` those that ended with other bytes.
Nothing is forced to the disk: a process that is killed loses nothing that it has handed to the system.

Bits are flipped in every file of a stopped run, one at a time: a resume must refuse and name the file, or say what it
did and end with the right trace and state. Not said is what is cut off and computed again, behind the last checkpoint.

Pairs are two writers that begin or resume one run at about the same time.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from netc.cli.main import _run
from netc.cli.signals import end_tidily
from netc.netspec.layers import Dense, Flatten
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runtime.run import checkpoint

# what a training imports, once for all cases
WARM = ("netc.cli.views.train", "netc.runtime.evaluate", "netc.runtime.backends.reference", "netc.runtime.data.catalog")
WARM += ("netc.runtime.data.digits", "netc.netspec.zoo", "netc.cli.lasting")

NET = to_toml(NetSpec("tiny", (8, 8, 1), (Flatten(), Dense(10))))
WORDS = ["train", "net.toml", "--target", "reference", "--batch", "128", "--epochs", "3"]
WORDS += ["--checkpoint-every", "4", "--keep", "3"]
CHANGES = {"open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"}
MUST_DIFFER = {"timing.jsonl"}  # wall times
HEADS = ("case", "times", "runs", "equal", "lost", "spoiled")


def begin(folder: Path, words: list[str], before: Callable[[], None] = lambda: None) -> int:
    """Fork a process that runs netc with these words in `folder`; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(folder)
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.fsync = lambda handle: None
        end_tidily()
        before()
        code = _run(words)
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """The exit code of a process, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run's folder, but for those that differ from run to run."""
    files = (p for p in sorted(run.rglob("*")) if p.is_file())
    return {str(p.relative_to(run)): b"" if p.name in MUST_DIFFER else p.read_bytes() for p in files}


def at_changes(run: Path, act: Callable[[int], object]) -> Callable[[], None]:
    """Have the process call `act` with 1, 2, .. before each change of a file in `run`."""
    numbers = itertools.count(1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in CHANGES and str(arguments[0]).startswith((run.name, str(run))):
            act(next(numbers))

    return lambda: sys.addaudithook(hook)


def die_at(number: int) -> Callable[[int], object]:
    """Kill the process when it is told this number."""
    return lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == number else None


class Study:
    """The cases, in a folder that goes at the end."""

    def __init__(self, place: Path, draws: random.Random) -> None:
        self.place, self.draws = place, draws
        for name in WARM:
            importlib.import_module(name)
        os.environ["NETC_CACHE_DIR"] = str(place / "cache")
        started = time.monotonic()
        folder = self.fresh("whole")
        if ended(begin(folder, [*WORDS, "--out", "run"])):
            sys.exit((folder / "said").read_text())
        self.seconds = time.monotonic() - started
        self.whole = content(folder / "run")

    def fresh(self, name: str) -> Path:
        """An empty folder with the net in it."""
        folder = self.place / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "net.toml").write_text(NET)
        return folder

    def words(self, folder: Path) -> list[str]:
        """How the run goes on, or begins."""
        if (folder / "run" / "run.json").exists() and self.draws.random() < 0.5:
            return ["train", "--resume", "run"]
        return [*WORDS, "--out", "run", "--auto-resume"]

    def stop(self, folder: Path, number: int, change: int = 0) -> bool:
        """Run, and kill; False if the run was over before."""
        if change:
            return ended(begin(folder, self.words(folder), at_changes(folder / "run", die_at(change)))) == -number
        started = time.monotonic()
        child = begin(folder, self.words(folder))
        watched = os.pidfd_open(child)
        over, _, _ = select.select([watched], [], [], self.draws.uniform(0, self.seconds))
        os.close(watched)
        if over:  # the machine is quicker than it was: later kills come sooner
            self.seconds = time.monotonic() - started
        else:
            os.kill(child, number)
        return ended(child) in (-number, 128 + number)

    def outcome(self, folder: Path, *, asked: bool = False) -> str:
        """Let the run go on to its end, and compare; `asked`: it was asked to stop."""
        code = ended(begin(folder, self.words(folder)))
        if code:
            print((folder / "said").read_text(), file=sys.stderr)
            return "lost"
        found = content(folder / "run")
        names = found.keys() | self.whole.keys()
        if asked:
            names -= {n for n in found.keys() ^ self.whole.keys() if n.startswith("step-")}
        other = [n for n in sorted(names) if found.get(n) != self.whole.get(n)]
        if other:
            print(f"other than in a whole run: {', '.join(other)}", file=sys.stderr)
        return "spoiled" if other else "equal"

    def killed(self, count: int, number: int, changes: Iterator[int] | None = None) -> Counter[str]:
        """`count` kills in all; a run may take several."""
        found: Counter[str] = Counter()
        while found["times"] < count:
            folder = self.fresh("killed")
            again = True
            while again:
                found["times"] += self.stop(folder, number, next(changes) if changes else 0)
                again = self.draws.random() < 0.25
            found["runs"] += 1
            found[self.outcome(folder, asked=number == signal.SIGTERM)] += 1
        return found

    def changes(self) -> int:
        """How many changes of files a whole run makes."""
        folder = self.fresh("counted")
        count = os.open(folder / "count", os.O_WRONLY | os.O_CREAT)
        ended(begin(folder, [*WORDS, "--out", "run"], at_changes(folder / "run", lambda n: os.write(count, b"."))))
        os.close(count)
        return (folder / "count").stat().st_size

    def pairs(self, count: int) -> Counter[str]:
        """Two writers at about the same time; one alone may end well, or one after the other."""
        found: Counter[str] = Counter()
        for _ in range(count):
            folder = self.fresh("pair")
            if self.draws.random() < 0.5:
                self.stop(folder, signal.SIGKILL)
            first = begin(folder, self.words(folder))
            time.sleep(self.draws.uniform(0, self.seconds / 2))
            second = begin(folder, self.words(folder))
            codes = ended(first), ended(second)
            if all(codes):
                found["lost"] += 1
            else:
                found[self.outcome(folder)] += 1
            found["times"] += 1
            found["runs"] += 1
        return found

    def flips(self, count: int) -> dict[str, Counter[str]]:
        """By file: how many flips, and what a resume made of them."""
        base = self.fresh("base")
        while self.stop(base, signal.SIGTERM) or not 14 < self.done(base) < 30:
            if self.done(base) > 14:
                break
            base = self.fresh("base")
        said_of = {p.relative_to(base / "run") for p in (base / "run").rglob("*") if p.is_file()}
        bound = checkpoint.load(base / "run" / "last").meta["trace"]["bytes"]  # type: ignore[index,call-overload]
        table: dict[str, Counter[str]] = {}
        for name in sorted(said_of):
            kind = str(name) if len(name.parts) == 1 else f"{name.parts[0].split('-')[0]}/{name.name}"
            found = table.setdefault(kind, Counter())
            for _ in range(count):
                found["flips"] += 1
                found[self.flipped(base, name, int(bound))] += 1  # type: ignore[call-overload]
        return table

    def done(self, folder: Path) -> int:
        """Steps of `last`, 0 without one."""
        path = folder / "run" / "last"
        return int(checkpoint.load(path).meta["step"]) if checkpoint.exists(path) else 0  # type: ignore[call-overload]

    def flipped(self, base: Path, name: Path, bound: int) -> str:
        """What becomes of a copy of the run with one bit of this file flipped."""
        folder = self.place / "flipped"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        path = folder / "run" / name
        data = bytearray(path.read_bytes())
        place = self.draws.randrange(8 * len(data))
        data[place // 8] ^= 1 << place % 8
        path.write_bytes(data)
        code = ended(begin(folder, ["train", "--resume", "run"]))
        said = (folder / "said").read_text()
        named = str(Path("run") / name) in said or f"run/{name.parts[0]} " in said
        if code:
            return "refused" if named else "silent"
        right = all(content(folder / "run")[n] == self.whole[n] for n in ("trace.jsonl", "last/state.safetensors"))
        if not right:
            return "silent"
        if named:
            return "said, and right"
        behind = name.name == "trace.jsonl" and place // 8 >= bound
        return "cut off, and right" if behind else "silent"


def row(cells: tuple[object, ...]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300, help="half of them at random times, the rest at file changes")
    parser.add_argument("--flips", type=int, default=20, help="for each file of a run")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="write the tables there too")
    options = parser.parse_args()
    draws = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="netc-kills-") as name:
        study = Study(Path(name), draws)
        third = options.kills // 3
        most = study.changes()
        at = itertools.cycle(draws.sample(range(1, most), most - 1))
        cases = {
            "KILL at a random time": study.killed(third, signal.SIGKILL),
            "TERM at a random time": study.killed(third, signal.SIGTERM),
            f"KILL at one of {most} file changes": study.killed(options.kills - 2 * third, signal.SIGKILL, at),
            "two writers at once": study.pairs(options.pairs),
        }
        lines = [row(HEADS), row(("---",) * len(HEADS))]
        lines += [row((case, *(found[h] for h in HEADS[1:]))) for case, found in cases.items()]
        flips = study.flips(options.flips)
        kinds = ("flips", "refused", "said, and right", "cut off, and right", "silent")
        lines += ["", row(("one bit flipped in", *kinds)), row(("---",) * (len(kinds) + 1))]
        lines += [row((file, *(found[k] for k in kinds))) for file, found in flips.items()]
    text = "\n".join(lines)
    print(text)
    if options.out:
        head = f"# Runs that were killed\n\nPrinted by `scripts/study_kills.py`, seed {options.seed}.\n\n"
        options.out.write_text(f"{head}{text}\n", encoding="utf-8")
    bad = [c for c in cases.values() if c["lost"] or c["spoiled"]] + [f for f in flips.values() if f["silent"]]
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
