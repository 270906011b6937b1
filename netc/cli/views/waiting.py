"""What a person sees while a program compiles: what is being done, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from netc.cli.console import line, printable, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from netc.runtime.cache.store import Cache, CacheKey

REFRESH = 4  # a second


class Waiting:
    """A line on a terminal that says what is being done and counts its seconds; it goes when it ends.

    In a pipe, only what is worth a line of its own is printed.
    """

    def __init__(self, console: Console, first: str) -> None:
        from rich.progress import Progress, TextColumn, TimeElapsedColumn

        self._console, self._said = console, first
        self._live = Progress(
            TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
            console=console, transient=True, disable=console.quiet or not console.is_terminal,
            refresh_per_second=REFRESH,
        )  # fmt: skip
        self._task = self._live.add_task(printable(first), total=None)

    def __call__(self, text: str) -> None:
        """As `now`."""
        self.now(text)

    def start(self) -> None:
        """Draw it, on a terminal."""
        self._live.start()

    def stop(self) -> None:
        """Take it away; a second time does nothing."""
        self._live.stop()

    @property
    def more(self) -> Callable[[str], None] | None:
        """What takes how far that is, to stand behind it while its seconds go on; None where nothing is drawn."""
        return None if self._live.disable else self._more

    def _more(self, text: str) -> None:
        self._live.update(self._task, description=printable(f"{self._said}: {text}"))

    def now(self, text: str) -> None:
        """Say what is done from now on, and count from zero."""
        self._said = text
        if self._console.is_terminal:
            self._live.reset(self._task, description=printable(text))
        else:
            line(self._console, f"{text} ..")


@contextmanager
def waiting(text: str, done: str = "") -> Iterator[Waiting]:
    """Say on standard error what is being done, `text` and then what the context's value is called with.

    On a terminal with its seconds. A pipe gets a line for each, and at the end `done` with the seconds of all.
    """
    console, start = terminal(stderr=True, soft_wrap=True), time.monotonic()
    live = Waiting(console, text)
    live.start()
    try:
        if text:
            live.now(text)
        yield live
    finally:
        live.stop()
    if done and not console.is_terminal:
        line(console, f"{done} in {time.monotonic() - start:.1f} s")


def watched_cache() -> Cache:
    """The user's cache; what it has to say, and what is compiled for it, stands on standard error."""
    from netc.cli.console import say
    from netc.runtime.cache.store import Cache

    def note(text: str) -> None:
        say(f"netc: {text}", err=True)

    shown: list[Waiting] = []  # the last one

    @contextmanager
    def building(key: CacheKey) -> Iterator[None]:
        why = cache.miss_reason(key)
        with waiting(f"compiling {key.label} for {key.target}{f' ({why})' if why else ''}", "compiled") as live:
            shown[:] = [live]
            yield

    def progress(text: str) -> None:
        more = shown[0].more if shown else None
        if more:
            more(text)

    drawn = terminal(stderr=True).is_terminal
    cache = Cache(on_wait=note, on_damage=note, on_build=building, on_progress=progress if drawn else None)
    return cache
