"""Give malformed files to every reader of netc, and flip bits in every kind of file that netc writes.

    python scripts/study_malformed.py [--inputs N] [--flips N] [--seed S] [--kinds K,K] [-o FILE.md]

For each kind of file a small right one is made. An input is that file with a few changes: bits flipped, cut short,
parts doubled, moved, taken from another kind, numbers replaced by extreme ones, brackets nested, bytes of zero. The
reader must take it or refuse it by a sentence (NetcError, or TraceError of the traces room) within 2 s of the
processor and 512 MB.
Anything else is a fault: another exception (`traceback`), a longer time (`slow`), more memory (`memory`: MemoryError
under a limit of the address space), or a process that dies (`crash`). The first input of each fault is kept.

A flip is one bit of a file that netc wrote. It must be refused, or, where the reader gives what it gave before, be
without effect. `silent` are the others: read, and another value.

Readers of images and of StableHLO are other people's (Pillow, MLIR): what they raise must become a sentence too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from malformed_files import KINDS, Kind, location_of, make_samples, malformed

from netc.netspec.errors import NetcError
from netc.traces.errors import TraceError

SECONDS, BYTES = 2.0, 512 << 20


class _SlowError(BaseException):
    """The time is over; no reader may catch it."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise `_SlowError` after so long on the processor, or ten times as long on the clock: a machine may be busy."""

    def over(number: int, frame: FrameType | None) -> None:
        raise _SlowError

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, 10 * seconds))
    for number, timer, after in timers:
        signal.signal(number, over)
        signal.setitimer(timer, after)
    try:
        yield
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)


def verdict(kind: Kind, path: Path, seconds: float = SECONDS) -> tuple[str, Any]:
    """What became of one file: (`read`, value), (`refused`, sentence), or a fault and its description."""
    started = time.process_time()
    try:
        with bounded(seconds):
            found = kind.read(path)
    except (NetcError, TraceError) as error:
        found, word = str(error), "refused"
    except _SlowError:
        return "slow", "".join(traceback.format_stack(limit=3))
    except MemoryError:
        return "memory", traceback.format_exc(limit=-3)
    except (Exception, RecursionError):  # noqa: BLE001  # this is what is looked for
        return "traceback", traceback.format_exc(limit=-4)
    else:
        word = "read"
    return ("slow", word) if time.process_time() - started > seconds else (word, found)


@dataclass(frozen=True)
class Job:
    """So many inputs, or flips, for one kind."""

    kind: str
    count: int
    seed: int
    flips: bool


def work(job: Job, samples: Path, keep_in: Path, told: Any) -> None:
    """Do a job in a copy of the samples, and send what became of the files, by word."""
    kind, rng = KINDS[job.kind], random.Random(f"{job.seed} {job.kind} {job.flips}")
    root = Path(tempfile.mkdtemp(prefix="netc-malformed-"))
    words: Counter[str] = Counter()
    notes: dict[str, str] = {}
    try:
        warnings.simplefilter("ignore")  # Pillow's, about what it then refuses or reads
        shutil.copytree(samples, root, dirs_exist_ok=True)
        path = location_of(kind, root)
        content = path.read_bytes()
        first, value = verdict(kind, path, 60)  # it imports what it needs
        if first != "read" and "npz" not in job.kind:  # which is refused with the line that converts it
            raise SystemExit(f"the sample of {job.kind} is not read: {value}")
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + BYTES, held + BYTES))
        others = [location_of(other, root).read_bytes()[:5000] for other in KINDS.values()]
        bits = rng.sample(range(8 * len(content)), min(job.count, 8 * len(content))) if job.flips else []
        for number in range(job.count):
            if job.flips:
                bit = bits[number % len(bits)]
                data = bytearray(content)
                data[bit // 8] ^= 1 << bit % 8
                made = bytes(data)
            else:
                made = malformed(content, others, rng)
            path.write_bytes(made)
            (keep_in / "last").write_bytes(made)  # of a process that dies
            word, found = verdict(kind, path)
            if job.flips and word == "read":
                word = "without effect" if found == value else "silent"
            if word not in ("read", "refused", "without effect") and word not in notes:
                stem = re.sub(r"\W+", "-", f"{job.kind} {word}")
                (keep_in / stem).write_bytes(made)
                notes[word] = f"{keep_in / stem}\n{found if word != 'silent' else ''}"
            words[word] += 1
            path.write_bytes(content)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    told.send((words, notes))


def run(jobs: list[Job], workers: int, keep_in: Path) -> dict[Job, tuple[Counter[str], dict[str, str]]]:
    """Each job in a process of its own, so many at a time; one that dies counts as a crash."""
    fork = multiprocessing.get_context("fork")
    samples = Path(tempfile.mkdtemp(prefix="netc-samples-"))
    found: dict[Job, tuple[Counter[str], dict[str, str]]] = {}
    running: dict[Job, tuple[Any, Any]] = {}
    try:
        make_samples(samples)
        waiting = list(reversed(jobs))
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                own = keep_in / re.sub(r"\W+", "-", f"{job.kind} {'flips' if job.flips else 'inputs'}")
                own.mkdir(parents=True, exist_ok=True)
                ours, theirs = fork.Pipe(duplex=False)
                child = fork.Process(target=work, args=(job, samples, own, theirs))
                child.start()
                theirs.close()
                running[job] = child, ours
            for job, (child, ours) in list(running.items()):
                if not ours.poll(0.05) and child.is_alive():
                    continue
                try:
                    found[job] = ours.recv()
                except EOFError:
                    found[job] = Counter(crash=1), {"crash": f"exit code {child.exitcode}, {keep_in}"}
                child.join()
                del running[job]
    finally:
        shutil.rmtree(samples, ignore_errors=True)
    return found


FAULTS = ("traceback", "slow", "memory", "crash")
INPUT_COLUMNS, FLIP_COLUMNS = ("read", "refused", *FAULTS), ("refused", "without effect", "silent", *FAULTS)


def table(found: dict[Job, tuple[Counter[str], dict[str, str]]], flips: bool) -> list[str]:
    """Markdown: a row for each kind, and the sums."""
    columns = FLIP_COLUMNS if flips else INPUT_COLUMNS
    rows = [(job.kind, words) for job, (words, _) in found.items() if job.flips == flips]
    rows.sort(key=lambda row: list(KINDS).index(row[0]))
    rows.append(("all", sum((words for _, words in rows), Counter())))
    head = f"| file | {'flips' if flips else 'inputs'} | " + " | ".join(columns) + " |"
    lines = [
        f"| {name} | {words.total():,} | " + " | ".join(f"{words[c]:,}" for c in columns) + " |" for name, words in rows
    ]
    return [head, "|---" + "|---:" * (len(columns) + 1) + "|", *lines]


def main(arguments: list[str] | None = None) -> int:
    """Run the study; returns 1 where there was a fault or a silent flip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="malformed inputs in all")
    parser.add_argument("--flips", type=int, default=1_000, help="flipped bits for each kind of file that netc writes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="only kinds that contain one of these words, with commas between")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("-o", "--out", type=Path, help="write the tables here too")
    given = parser.parse_args(arguments)
    chosen = [k for k in KINDS if not given.kinds or any(word in k for word in given.kinds.split(","))]
    each = -(-given.inputs // len(chosen)) if given.inputs else 0
    jobs = [Job(k, each, given.seed, flips=False) for k in chosen if each]
    jobs += [Job(k, given.flips, given.seed, flips=True) for k in chosen if KINDS[k].written and given.flips]
    keep_in = Path(tempfile.mkdtemp(prefix="netc-faults-"))
    started = time.perf_counter()
    found = run(jobs, given.workers, keep_in)
    lines = [*table(found, flips=False), "", *table(found, flips=True), ""]
    lines.append(
        f"Seed {given.seed}, {time.perf_counter() - started:.0f} s, at most {SECONDS:g} s and {BYTES >> 20} MB each."
    )
    print("\n".join(lines))
    faults = [(job, word, note) for job, (_, notes) in found.items() for word, note in notes.items()]
    for job, word, note in faults:
        print(f"\n{job.kind}{', flip' if job.flips else ''}: {word}, {note}", file=sys.stderr)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not faults:
        shutil.rmtree(keep_in)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
