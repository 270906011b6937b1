"""Signals that end a command: it tidies up and ends with 128 and the signal's number, as a shell says it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Besides Ctrl-C, which Python itself raises. A training saves first: runtime/run/interrupt.py."""


class Stopped(SystemExit):
    """A signal asked the process to end: what was begun is undone on the way out, programs that it started end too."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(128 + number)


def end_tidily() -> None:
    """Let these signals raise Stopped, unless this process was told to ignore them, as `nohup` does with SIGHUP."""
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)


def end_children() -> None:
    """Kill what this process started and is still there: a signal that comes while Python starts it leaves it alone."""
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text(encoding="ascii").split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def end_at_once() -> None:
    """Let Ctrl-C end the process without a word: nothing is left to undo."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)
