"""The processes of one machine, started together, watched, and ended together: `netc launch`.

Each is a `netc train` of its own. Its lines are shown behind its number. One that ends in an error, is killed or stands
still ends the others; the run is restarted from its last checkpoint as often as was asked for.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock, Thread
from types import FrameType
from typing import IO

from netc.runtime.processes.store import LOST

LAUNCHED = "NETC_LAUNCHED"
"""The environment variable that names the file in which process 0 says in JSON its folder, batch and devices."""

TICK = 0.05  # seconds between two looks at the processes
STANDING = 5.0  # seconds for which a process may stand still, as SIGSTOP makes it
LAST_WORDS = 1.0  # seconds for the others to end by themselves before they are killed
BLAME = 3.0  # seconds in which the process shows itself for which others ended
LAGGING = 60.0  # seconds that the last may take to end after the first is done
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
SAVED = frozenset(128 + number for number in FORWARDED)  # of processes that were asked to end, saved and ended
PR_SET_PDEATHSIG = 1  # of prctl(2)
NOISE = re.compile(  # Gloo's line about each connection, and what C++ says when another process is gone
    r"\[Gloo\] Rank |[EFIW]\d{4} [\d:.]+ +\d+ |\*\*\* Check failure|    @ +0x|RPC: /xla\.|Additional GRPC err|:UNKNOWN:"
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Launch:
    """What is started: `count` processes of `netc train WORDS`, and how often it may be restarted.

    With `elastic`, again with fewer processes, as many as divide the batch and the devices that are asked for. `cores`:
    processors for each process alone, or 0 for all of them. `program` takes the words.
    """

    words: tuple[str, ...]
    count: int
    restarts: int = 0
    elastic: bool = False
    cores: int = 0
    program: tuple[str, ...] = (sys.executable, "-m", "netc", "train")


@dataclass(frozen=True)
class Ended:
    """How processes that were started together ended: the exit code, and the sentence about the one at fault."""

    code: int
    fault: str = ""


@dataclass
class _Child:
    index: int
    process: subprocess.Popen[bytes]
    readers: tuple[Thread, ...]
    still_since: float | None = None


def launch(asked: Launch, out: Say, err: Say) -> int:
    """Run it to its end and return its exit code. `out` and `err` get each line of the processes, and what is said."""
    with tempfile.TemporaryDirectory(prefix="netc-launch-") as folder, _signals() as caught:
        said = Path(folder) / "run.json"
        left, started = asked.restarts, asked.count
        while True:
            ended = _run(asked, said, caught, out, err)
            if not ended.fault:
                return ended.code
            err(f"netc: {ended.fault}; the others were ended")
            if not left or caught or ended.code == 2:
                return ended.code
            left -= 1
            asked = _again(asked, said, started)
            err(f"netc: restarting with {asked.count} of {started} processes, restarts left: {left}")


def _again(asked: Launch, said: Path, started: int) -> Launch:
    """The same from the last checkpoint on; the same as it was if no run was started."""
    if not said.exists():
        return asked
    run = json.loads(said.read_text(encoding="utf-8"))
    count = asked.count
    if asked.elastic:
        shared = run["batch"], run["devices"]
        count = next((n for n in range(count - 1, 0, -1) if not any(size % n for size in shared)), count)
    words = [word for word in asked.words if word not in ("--auto-resume", "--not-bit-for-bit")]
    if not _has(words, "--resume"):
        words += ["--auto-resume", *(() if _has(words, "--out") else ("--out", run["folder"]))]
    if count != started or "--not-bit-for-bit" in asked.words:
        words.append("--not-bit-for-bit")
    return replace(asked, words=tuple(words), count=count)


def told(said: Path, folder: Path, batch: int, devices: int) -> None:
    """Tell the launcher, at the file that it named, which run is trained, and on how many devices, 0 for one each."""
    run = {"folder": str(folder.absolute()), "batch": batch, "devices": devices}
    said.write_text(json.dumps(run), encoding="utf-8")


def end_with_launcher() -> None:
    """Let Linux send SIGTERM to this process, so that its run is saved, once the launcher that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _has(words: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list of the signals that came to be passed on."""
    caught: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    old = {number: signal.signal(number, take) for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _run(asked: Launch, said: Path, caught: list[int], out: Say, err: Say) -> Ended:
    """Start all, and wait until all have ended."""
    lock, shown = Lock(), set[str]()

    def show(say: Say, line: str) -> None:
        with lock:  # a sentence that all processes say is shown once
            own = line.partition("] ")[2]
            if own.startswith("netc: ") and own in shown:
                return
            shown.add(own)
            say(line)

    where = f"127.0.0.1:{free_port()}"
    children: list[_Child] = []
    try:
        for index in range(asked.count):
            children.append(_started(asked, index, where, said, lambda t: show(out, t), lambda t: show(err, t)))
        return _watched(children, caught)
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        for reader in (reader for child in children for reader in child.readers):
            reader.join(5)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _started(asked: Launch, index: int, where: str, said: Path, out: Say, err: Say) -> _Child:
    meeting = ("--coordinator", where, "--process-id", str(index), "--processes", str(asked.count))
    environment = {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, LAUNCHED: str(said)}
    environment.setdefault("JAX_LOCAL_DEVICE_IDS", str(index))  # of accelerators each process has its own
    process = subprocess.Popen(
        [*asked.program, *asked.words, *meeting], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    if asked.cores:
        ours = sorted(os.sched_getaffinity(0))
        own = {ours[(index * asked.cores + at) % len(ours)] for at in range(asked.cores)}
        os.sched_setaffinity(process.pid, own)
    pairs = ((process.stdout, out), (process.stderr, err))
    readers = tuple(Thread(target=_relay, args=(pipe, index, say), daemon=True) for pipe, say in pairs)
    for reader in readers:
        reader.start()
    return _Child(index, process, readers)


def _relay(pipe: IO[bytes], index: int, say: Say) -> None:
    """Show each line of a process behind its number."""
    for line in pipe:
        text = line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]
        if text and not NOISE.match(text):
            say(f"[{index}] {text}")


def _watched(children: list[_Child], caught: list[int]) -> Ended:
    """Wait until all have ended well or as they were asked to, or one is at fault. Signals are passed on."""
    passed_on, done_since = 0, None
    while True:
        for number in caught[passed_on:]:
            passed_on += 1
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child.process.pid, number)
        codes = {child.index: child.process.poll() for child in children}
        ended = {index: code for index, code in codes.items() if code is not None}
        if len(ended) == len(children) and {*ended.values()} <= {0, *SAVED}:
            return Ended(max(ended.values()))
        if fault := _fault(children, ended):
            return fault
        if len(ended) > sum(code == LOST for code in ended.values()):
            done_since = done_since or time.monotonic()
            if time.monotonic() - done_since > LAGGING:
                late = min(index for index, code in codes.items() if code is None)
                return Ended(1, f"process {late} hangs: another one is done")
        time.sleep(TICK)


def _fault(children: list[_Child], ended: dict[int, int]) -> Ended | None:
    """The process at fault, if one is: it ended by itself in an error, or stands still."""
    bad = {i: code for i, code in ended.items() if code not in (0, LOST, *SAVED)}
    if bad:
        index = min(bad, key=lambda i: (bad[i] > 0, i))  # a killed one before those that failed for it
        time.sleep(0 if bad[index] < 0 else LAST_WORDS)
        return _said(index, bad[index])
    if still := _standing(children, 0 if LOST in ended.values() else STANDING):
        return Ended(1, f"process {still[0]} stands still: a signal stopped it, or a debugger")
    if LOST in ended.values() and len(ended) == len(children):
        return Ended(LOST, f"process {min(i for i, code in ended.items() if code == LOST)} lost the others")
    if LOST in ended.values():
        return _silent(children)
    return None


def _silent(children: list[_Child]) -> Ended | None:
    """Which of those that are still there let another one end for lack of an answer."""
    end = time.monotonic() + BLAME
    while time.monotonic() < end:
        codes = {child.index: child.process.poll() for child in children}
        if found := {i: code for i, code in codes.items() if code not in (None, 0, LOST)}:
            index = min(found)
            return _said(index, found[index] or 0)
        if all(code is not None for code in codes.values()):
            return None
        time.sleep(TICK)
    return Ended(LOST, f"process {min(i for i, code in codes.items() if code is None)} does not answer")


def _said(index: int, code: int) -> Ended:
    if code < 0:
        return Ended(128 - code, f"process {index} was killed by {signal.Signals(-code).name}")
    return Ended(code, f"process {index} ended with exit code {code}")


def _standing(children: list[_Child], seconds: float) -> list[int]:
    """The processes that have stood still for so long."""
    found = []
    for child in children:
        if not _stands(child.process.pid):
            child.still_since = None
            continue
        child.still_since = child.still_since or time.monotonic()
        if time.monotonic() - child.still_since >= seconds:
            found.append(child.index)
    return found


def _stands(pid: int) -> bool:
    """Whether the system says that a process is stopped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(") ")[2][:1] in ("T", "t")
