"""How processes that run side by side act on a signal after the very same step, though only one of them got it.

Each process passes the same points in the same order: the end of a call, a batch of an evaluation. One that was asked
to stop writes so in the store. Process 0 then writes `hold`: a thread of each process answers with the number of points
that it has passed, and lets it pass no other meanwhile. The most of these and one more is the point at which all act.
So nothing is asked of the store at a step, and nobody waits for a step of another that waits for him.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Condition

from netc.runtime.processes.store import PeerError, Store

PATIENCE = 60.0  # seconds; what settles it takes a few looks at the store


class Agreement:
    """What process `index` of `count` knows of it. `point` and `ask` are the training's, `heard` the thread's."""

    def __init__(self, store: Store, index: int, count: int) -> None:
        self._store, self._index, self._count = store, index, count
        self._changed = Condition()
        self._passed = 0
        self._held = self._answered = False
        self._at: int | None = None
        self._word = ""

    def ask(self, word: str) -> None:
        """Ask all to act on this word; the first that is asked for is acted on."""
        self._store.set("now/ask", word)

    def point(self) -> str | None:
        """Pass a point: the word that all act on here, or None. Raises PeerError where the others do not settle it."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._held, PATIENCE):
                raise PeerError(f"another process did not say within {PATIENCE:.0f} s at which step to stop")
            self._passed += 1
            return self._word if self._at is not None and self._passed >= self._at else None

    @property
    def pending(self) -> bool:
        """Whether it is being settled, so that the thread had better look often."""
        return self._held

    def heard(self, now: Mapping[str, str]) -> None:
        """What the store holds under `now/`."""
        if "ask" in now and "hold" not in now and self._index == 0:
            self._store.set("now/hold", now["ask"])
        if "hold" in now and not self._answered:
            with self._changed:
                self._held = self._answered = True
            self._store.set(f"now/passed.{self._index}", str(self._passed))
        answers = [int(value) for key, value in now.items() if key.startswith("passed.")]
        if self._index == 0 and "at" not in now and len(answers) == self._count:
            self._store.set("now/at", str(max(answers) + 1))
        if "at" in now and self._at is None:
            with self._changed:
                self._at, self._word, self._held = int(now["at"]), now["hold"], False
                self._changed.notify_all()
