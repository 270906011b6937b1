"""The processes of a training as the training sees them: what all must have alike, what one tells the others, who is
gone."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import NoReturn, Protocol

from netc.netspec.errors import UserError
from netc.runtime.data.part import WHOLE, Part
from netc.runtime.processes.agreement import Agreement
from netc.runtime.processes.store import LOST, MISTAKE, PeerError, Store
from netc.runtime.target import Target

LOOKS = 0.25  # seconds between two looks at the store
HURRY = 0.02  # the same while something is being settled
SILENCE = 15  # seconds without an answer until the coordinator is given up
FOUND = 30.0  # seconds after which nobody is found to be gone any more
PARTING = 2.0  # seconds that a leader who failed waits for the others to end
SLOW = 10.0  # seconds for which a value is waited for before the store is looked at anew


class Together(Protocol):
    """What a training asks of its group."""

    part: Part

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's folder."""

    def shared(self, name: str, make: Callable[[], str]) -> str:
        """What the leader makes, in all processes. A name is used once."""

    def gathered(self, name: str, own: str) -> list[str]:
        """What each process has of it, in all processes. A name is used once."""

    def compare(self, facts: Mapping[str, str]) -> None:
        """Raise UserError unless all processes have the same facts."""

    def stop(self, asked: list[int]) -> Stop:
        """What says when to stop; `asked` is filled by signals and callbacks."""


def refuse_apart(target: Target, best_by: str, together: Together) -> None:
    """Raise UserError for several processes on a target that does not span them, or with a metric of one."""
    if together.part.count == 1:
        return
    if target.engine != "xla":
        raise UserError(
            f"{together.part.count} processes together want `target=xla`, got {target.word}, whose programs run in one "
            "process; give `target=xla`"
        )
    if best_by not in ("", "accuracy", "loss"):
        raise UserError(f"`best_by` of several processes wants accuracy or loss, got {best_by}; give one of them")


@dataclass
class Stop:
    """Whether a run stops: at once when asked, or, of several processes, after the same step of all.

    `number` is that of the signal, or 0 of a callback; None until it stops. Where `agreement` is, `now` has to be asked
    in the same places in all processes.
    """

    asked: list[int]
    agreement: Agreement | None = None
    number: int | None = None
    _told: bool = False

    @property
    def come(self) -> bool:
        """Whether it was found to stop."""
        return self.number is not None

    def now(self) -> bool:
        """Whether to stop here."""
        if self.agreement is None:
            self.number = self.asked[0] if self.asked else None
        elif not self.come:
            if self.asked and not self._told:
                self.agreement.ask(str(self.asked[0]))
                self._told = True
            found = self.agreement.point()
            self.number = None if found is None else int(found)
        return self.come


class Alone:
    """A training in one process."""

    part, leads = WHOLE, True

    def shared(self, name: str, make: Callable[[], str]) -> str:
        """What is made."""
        return make()

    def gathered(self, name: str, own: str) -> list[str]:
        """Its own."""
        return [own]

    def compare(self, facts: Mapping[str, str]) -> None:
        """There is nobody to compare with."""

    def stop(self, asked: list[int]) -> Stop:
        """Stop when asked."""
        return Stop(asked)


ALONE = Alone()


def gone(index: int, said: str = "", code: int = LOST) -> str:
    """The sentence about a process that is no more."""
    why = f" ended: {said}" if said else " is gone: it was killed, hangs, or cannot be reached"
    return f"process {index}{why}" + ("" if code == MISTAKE else "; resume the run from its last checkpoint")


class Group:
    """This process among the others, which a thread watches.

    `lost` gets a sentence as soon as one of them is gone, and the exit code for this one.
    """

    def __init__(self, store: Store, index: int, count: int, lost: Callable[[str, int], None]) -> None:
        self.part = Part(index, count)
        self._store, self._lost = store, lost
        self._agreement = Agreement(store, index, count)
        self._silent = 0
        self._told: list[str] = []  # keys that the store still holds, of the leader
        self._ending = Event()
        self._threads = [Thread(target=t, daemon=True) for t in (self._look, self._beat, self._watch)]
        for thread in self._threads:
            thread.start()

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.part.index == 0

    def stop(self, asked: list[int]) -> Stop:
        """Stop where all have agreed to."""
        return Stop(asked, self._agreement)

    def shared(self, name: str, make: Callable[[], str]) -> str:
        """What the leader makes, in all processes."""
        if self.leads:
            made = make()
            self._store.set(f"shared/{name}", made)
            self._told.append(f"shared/{name}")
            return made
        return self._wanted(f"shared/{name}")

    def gathered(self, name: str, own: str) -> list[str]:
        """What each process has of it, in all processes.

        Who has set its own has read all that was told before, which the leader then has the store forget.
        """
        keys = [f"{name}/{index}" for index in range(self.part.count)]
        self._store.set(keys[self.part.index], own)
        found = [self._wanted(key) for key in keys]
        if self.leads:
            for key in self._told:
                self._store.delete(key)
            self._told = keys
        return found

    def compare(self, facts: Mapping[str, str]) -> None:
        """Raise UserError, the same in all processes, unless all have the same facts."""
        all_ = [json.loads(found) for found in self.gathered("facts", json.dumps(dict(facts)))]
        for index, theirs in enumerate(all_):
            differing = [name for name, value in all_[0].items() if theirs.get(name) != value]
            if differing:
                name = differing[0]
                self._ending.set()  # all refuse by themselves
                raise UserError(
                    f"process {index} wants the {name} of process 0, {_short(all_[0][name])}, got "
                    f"{_short(theirs.get(name, 'none'))}; start all with the same command, files and versions"
                )

    def _wanted(self, key: str) -> str:
        """The value of a key, as long as it takes: a process that will not set it is found to be gone."""
        while (value := self._store.get(key, SLOW)) is None:
            continue
        return value

    def failed(self, said: str, code: int) -> None:
        """Tell the others that this process ends with that exit code, and leave them."""
        self._ending.set()
        with suppress(PeerError):
            self._store.set("now/gone", json.dumps([self.part.index, said, code]))
            self._store.set(f"left/{self.part.index}", "")
            if self.leads:  # whose end would abort the others, who have a sentence of their own to say
                end = time.monotonic() + PARTING
                for index in range(self.part.count):
                    self._store.get(f"left/{index}", max(end - time.monotonic(), 0.01))
                time.sleep(LOOKS)
        self._store.leave(together=False)

    def done(self) -> None:
        """Wait until all are done, and leave."""
        self._store.set(f"done/{self.part.index}", "")
        for index in range(self.part.count):
            self._wanted(f"done/{index}")
        self._ending.set()  # one that leaves from here on is not missed
        self._store.leave(together=True)

    def broken(self) -> None:
        """After an error of a sum over all: wait for the threads to find out who is gone, which ends this process.

        Returns if nobody is found to be: then the error is one of this process.
        """
        if not self._store.answers():
            self._end(gone(0))
        self._ending.wait(FOUND)

    def _look(self) -> None:
        """Look at the store again and again."""
        while not self._ending.wait(HURRY if self._agreement.pending else LOOKS):
            try:
                now = self._store.under("now")
                self._silent = 0
                self._agreement.heard(now)
            except PeerError as error:
                return self._end(str(error))
            if "gone" in now:
                index, said, code = json.loads(now["gone"])
                return self._end(gone(index, said, code), MISTAKE if code == MISTAKE else LOST)

    def _beat(self) -> None:
        """Ask again and again who is alive."""
        while not self._ending.wait(2 * LOOKS):
            try:
                missing = sorted(set(range(self.part.count)) - self._store.alive())
            except PeerError as error:
                return self._end(str(error))
            if missing:
                return self._end(gone(missing[0]))

    def _watch(self) -> None:
        """Notice a coordinator that lets calls hang. Seconds are counted one by one: this process may stand still."""
        while not self._ending.wait(1.0):
            self._silent += 1
            if self._silent > SILENCE:
                return self._end(gone(0))

    def _end(self, sentence: str, code: int = LOST) -> None:
        if not self._ending.is_set():
            self._ending.set()
            self._lost(sentence, code)


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:12]}.."


def end_process(sentence: str, code: int = LOST) -> NoReturn:
    """Say it and end this process at once: its training waits in a sum that will not come."""
    sys.stdout.flush()
    print(f"netc: {sentence}", file=sys.stderr, flush=True)
    os._exit(code)
