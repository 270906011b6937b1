"""A process of another program, with a limit on its work that a busy machine does not reach.

A limit by the clock alone refuses what it should take, where other processes take the processor's time. So a process
ends here when the clock and the processor's time are both past the limit; or when it waits past it, for a lock or a
device, and does nothing; or when the clock is past BACKSTOP times the limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

BACKSTOP = 20
PROC = Path("/proc")
BUSY = "RD"  # states of a thread that runs, wants to run, or waits for a disk


def run(
    command: Sequence[str], seconds: float, *, given: str | bytes | None = None, **words: Any
) -> subprocess.CompletedProcess[Any]:  # fmt: skip
    """`subprocess.run` with output captured, of a command that may take `seconds` of the processor's time.

    That is the time of the process and of what it starts, over all their threads. Where there is no /proc, the limit
    is the clock's. `given` is its standard input. Raises subprocess.TimeoutExpired, with all of them killed, and what
    Popen raises.
    """
    words = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **words}
    if given is not None:
        words["stdin"] = subprocess.PIPE
    with subprocess.Popen(command, **words) as process:
        begin, wait, before, sent = time.monotonic(), seconds, -1.0, given
        while True:
            try:
                out, err = process.communicate(sent, timeout=wait)
                return subprocess.CompletedProcess(command, process.returncode, out, err)
            except subprocess.TimeoutExpired:
                sent, family = None, descent(process.pid)
                spent = sum(family.values())
                still = spent <= before and not busy(family)
                if still or not family or spent >= seconds or time.monotonic() - begin >= BACKSTOP * seconds:
                    for pid in (*family, process.pid):
                        with suppress(OSError):
                            os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(command, seconds) from None
                wait, before = min(1.0, seconds), spent
            except BaseException:
                process.kill()
                raise


def descent(pid: int) -> dict[int, float]:
    """A process and those that come from it: the seconds of the processor that each got, with its ended children's."""
    parents, spent = {}, {}
    for stat in PROC.glob("[0-9]*/stat"):
        if fields := _fields(stat):
            child = int(stat.parent.name)
            parents[child], spent[child] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    found = {pid} & spent.keys()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: spent[child] for child in found}


def busy(pids: Iterable[int]) -> bool:
    """Whether a thread of these processes runs, wants to run, or waits for a disk."""
    threads = (_fields(stat) for pid in pids for stat in PROC.glob(f"{pid}/task/*/stat"))
    return any(fields and fields[0] in BUSY for fields in threads)


def _fields(stat: Path) -> list[str]:
    """The fields of a /proc/PID/stat from the state on (proc(5)); none where the process is no more."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
