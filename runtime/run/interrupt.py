"""Signals that ask a run to stop: it saves what it has, and ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C; what `kill` and schedulers send; a terminal that closed; what a scheduler sends some time before."""


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """A list that is filled by the first of these signals; a second Ctrl-C raises KeyboardInterrupt at once.

    A further signal of another kind changes nothing: schedulers send several. One that this process was told to ignore
    (`nohup` does so with SIGHUP) stays ignored.
    """
    stop: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if stop and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.append(number)

    wanted = [s for s in ASKING if signal.getsignal(s) not in (signal.SIG_IGN, None)]
    try:
        old = {s: signal.signal(s, ask) for s in wanted}
    except ValueError:  # not the main thread: then no signal comes here
        old = {}
    try:
        yield stop
    finally:
        for s, handler in old.items():
            signal.signal(s, handler)
