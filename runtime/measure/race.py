"""Training steps timed beside each other: each contestant in a process of its own, and they take turns.

Turns (A B C A B C ..) let a machine that is slow for a minute be slow for everybody; a process each, so that no
allocator or pool of threads is another's, and that one which dies takes nobody along. A turn is one step, or as many as
fit into TURN, as a training loop has them.

Contestants that memory does not hold at once come in groups. The first contestant is in all of them, so that what is
compared still takes turns: a group's times are read at its pace (`Timing.fair`).
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from netc.netspec.errors import NetcError, UserError
from netc.runtime.measure.bench import Contestant, Job, Timing, surroundings, unbroken

TURN = 0.1  # seconds
WARM = 3  # steps before the clock runs
SAME_LOSS = 1e-3  # by which the first losses of two contestants may differ, relatively: float32, other orders of sums
SPARE = 1.25  # of the most that a start took so far, what the next one may take
PATIENCE = 3600.0  # seconds that a contestant may take to start, or for a turn
PARTING = 5.0  # seconds that it may take to end
FIRST_TO_GO = "500"  # Linux's oom_score_adj: out of memory it ends a contestant, not who started it
Watch = Callable[[str], None]


def race(
    job: Job,
    contestants: Sequence[Contestant],
    rounds: int,
    seconds: float,
    watch: Watch = lambda doing: None,
    each_round: Callable[[int], None] = lambda count: None,
) -> tuple[Timing, ...]:
    """Start them, one after the other; then `rounds` rounds of turns, or as many as begin within `seconds`.

    Where memory does not hold all, they come in groups, each with the first contestant and with its own rounds.
    `watch` is told what is being done, `each_round` which round begins, from 0 in each group. One that fails, or whose
    first loss is another than that of the first with the same start, has its reason in `failed`. Raises the first one's
    NetcError if all fail.
    """
    os.environ.update(surroundings(job.threads))
    runs: dict[str, _Running] = {}
    waiting = list(contestants)
    pacer: _Running | None = None  # the contestant of all groups
    try:
        while waiting:
            group = [pacer] if pacer and not pacer.timing.failed else []
            while waiting and (len(group) < 2 or _room(runs.values())):
                watch(f"starting {waiting[0].name}")
                one = _Running(job, waiting.pop(0))
                runs[one.name] = one
                one.start(next((r.timing for r in runs.values() if r.contestant.same_start and r.timing.losses), None))
                if one.out_of_memory and len(group) > 1:
                    waiting.insert(0, one.contestant)  # once more, with fewer beside it
                    break
                if not one.timing.failed:
                    group.append(one)
            watch("timing")
            _time(group, pacer, rounds, seconds, each_round)
            pacer = pacer or next((one for one in group if not one.timing.failed), None)
            for one in group:
                if one is not pacer:
                    one.end()
    finally:
        for one in runs.values():
            one.end()
    found = tuple(runs[c.name].timing for c in contestants)
    return unbroken(found) if all(t.failed for t in found) else found


def _room(running: Iterable[_Running]) -> bool:
    """Whether the machine has the memory for the start of another contestant."""
    most = max((r.timing.starting for r in running if not math.isnan(r.timing.starting)), default=0.0)
    return not available() < SPARE * most  # NaN where unknown


def _time(
    group: Sequence[_Running], pacer: _Running | None, rounds: int, seconds: float, each_round: Callable[[int], None]
) -> None:
    """Turns of a group, and what they say of each; the pacer keeps what its first group said.

    A group without the pacer, which failed, has no pace.
    """
    times: dict[str, list[float]] = {one.name: [] for one in group}
    begin, alive = time.perf_counter(), list(group)
    while alive and len(times[alive[-1].name]) < rounds:
        each_round(len(times[alive[-1].name]))
        for one in alive:
            if (spent := one.turn()) is not None:
                times[one.name].append(spent)
        alive = [one for one in alive if not one.timing.failed]
        if time.perf_counter() - begin > seconds:
            break
    pace = 1.0
    if pacer is not None:
        pace = statistics.median(times[pacer.name]) / pacer.timing.median if pacer in alive else math.nan
    for one in alive:
        if one is not pacer:
            one.note(tuple(times[one.name]), pace)


class _Running:
    """A contestant's process, and what is known of it so far.

    `out_of_memory`: it was killed, and not by the race.
    """

    def __init__(self, job: Job, contestant: Contestant) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.contestant, self.name, self.job = contestant, contestant.name, job
        self.timing = Timing(contestant.name)
        self.out_of_memory = False
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_work, args=(theirs, job, contestant), daemon=True)
        self.process.start()
        theirs.close()

    def start(self, first: Timing | None) -> None:
        """Wait until it has made its first steps; its first loss must be that of `first`, who began alike."""
        try:
            self.timing = self._told()
            if first is not None and self.contestant.same_start and not self.job.net.signature.draws:
                _compare(first, self.timing)
        except NetcError as error:
            self._fail(error)

    def turn(self) -> float | None:
        """Seconds a step, None if it failed."""
        try:
            return float(self._told("turn"))
        except NetcError as error:
            self._fail(error)
            return None

    def note(self, times: tuple[float, ...], pace: float) -> None:
        """Keep what its turns took, and ask for its memory."""
        try:
            held, most = self._told("memory")
            self.timing = replace(self.timing, times=times, pace=pace, resident=held, peak=most)
        except NetcError as error:
            self._fail(error)

    def end(self) -> None:
        """Let it end; after this nothing of it is left."""
        self.pipe.close()
        self.process.join(PARTING)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _fail(self, error: NetcError) -> None:
        self.timing = Timing(self.name, notes=self.timing.notes, starting=self.timing.starting, failed=error)
        self.end()

    def _told(self, word: str = "") -> Any:
        try:
            if word:
                self.pipe.send(word)
            if not self.pipe.poll(PATIENCE):
                raise NetcError(f"{self.name} printed nothing for {PATIENCE:.0f} s")
            said = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join(PARTING)
            code = self.process.exitcode
            self.out_of_memory = code == -signal.SIGKILL
            raise NetcError(f"{self.name} {_ended(code)}") from error
        if isinstance(said, NetcError):
            raise said
        return said


def _ended(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out; free some, or lower `batch`"
    how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
    return f"ended {how} before it was done; what it said stands above"


def _compare(first: Timing, other: Timing) -> None:
    want, got = first.losses[0], other.losses[0]
    if not math.isclose(want, got, rel_tol=SAME_LOSS, abs_tol=SAME_LOSS):
        raise NetcError(
            f"{other.name} is another net than {first.name}: from the same parameters its first loss is "
            f"{got:.6g}, not {want:.6g}; leave it out, and report this"
        )


def _work(pipe: Connection, job: Job, contestant: Contestant) -> None:
    """One contestant's process: a turn or the memory that it holds for each message that asks for it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    try:
        with _LastWords(pipe, contestant.name):
            timing, turn = begun(job, contestant)
    except NetcError as error:
        pipe.send((UserError if isinstance(error, UserError) else NetcError)(str(error)))
        return
    pipe.send(timing)
    with contextlib.suppress(EOFError):
        while word := pipe.recv():
            pipe.send(turn() if word == "turn" else (resident(), resident("VmHWM")))


@dataclass(frozen=True)
class _LastWords:
    """Tells the race what ends this process, whatever a library raised; the exception goes on."""

    pipe: Connection
    name: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, NetcError):
            said = next((line for line in str(error).splitlines() if line.strip()), "")
            self.pipe.send(NetcError(f"{self.name} failed: {type(error).__name__}: {said}"))


def begun(job: Job, contestant: Contestant) -> tuple[Timing, Callable[[], float]]:
    """Its first steps, and what takes a turn and says how long one step of it took."""
    step, notes = contestant.make(job)
    losses = [step() for _ in range(WARM)]
    most = resident("VmHWM")
    _forget_peak()
    if not np.isfinite(losses).all():
        raise NetcError(f"{contestant.name}: wants finite losses, got {losses}; try a larger `batch`")

    def turn(count: int = 1) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            step()
        return (time.perf_counter() - begin) / count

    count = max(1, round(TURN / turn()))
    return Timing(contestant.name, losses=tuple(losses), notes=notes, starting=most), partial(turn, count)


def resident(row: str = "VmRSS") -> float:
    """The memory that this process holds, in MB: its resident set, mapped libraries included. NaN where unknown.

    `VmHWM` is the most that it held.
    """
    return _megabytes("/proc/self/status", row)


def available() -> float:
    """The memory that the machine can still give, in MB; NaN where unknown."""
    return _megabytes("/proc/meminfo", "MemAvailable")


def _megabytes(file: str, row: str) -> float:
    try:
        status = Path(file).read_text(encoding="utf-8")
    except OSError:
        return math.nan
    return next((int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith(row)), math.nan)


def _forget_peak() -> None:
    """Let Linux count the most memory anew, so that what compilers in this process took is not in it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
