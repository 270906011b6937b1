"""Training steps timed beside each other: each contestant in a process of its own, and they take turns.

Turns (A B C A B C ..) let a machine that is slow for a minute be slow for everybody; a process each, so that no
allocator or pool of threads is another's. A turn is one step, or as many as fit into TURN, as a training loop has them.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.analysis.step_cost import useful_flops
from netc.codegen.program import Program, build
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.netspec.check import CheckedNet
from netc.netspec.errors import NetcError, UserError
from netc.netspec.recipe import Recipe
from netc.netspec.types import Constant, Normal
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

TURN = 0.1  # seconds
WARM = 3  # steps before the clock runs
RATE = 1e-3
SAME_LOSS = 1e-3  # by which the first losses of two contestants may differ, relatively: float32, other orders of sums
Step = Callable[[], float]
Start = Callable[["Job"], tuple[Step, dict[str, Any]]]


@dataclass(frozen=True)
class Job:
    """What every contestant computes: a step of Adam on cross entropy, `threads` threads.

    `precision`: of products, f32 or bf16, for netc and PyTorch; JAX's peers are float32.
    """

    net: CheckedNet
    batch: int
    threads: int
    precision: str = "f32"

    @property
    def program(self) -> Program:
        """netc's program for it, without the norms that traces record: no peer computes them."""
        return build(self.net, Recipe(norms=False, precision=self.precision), self.batch)

    def data(self) -> tuple[Array, Array]:
        """The same random batch for everybody: x normal or token ids, y classes."""
        rng = np.random.default_rng(0)
        classes = self.net.out.shape[-1]
        x = rng.normal(size=(self.batch, *self.net.x.shape)).astype(np.float32)
        if self.net.x.dtype == "i32":
            x = rng.integers(0, classes, x.shape).astype(np.int32)
        return x, rng.integers(0, classes, (self.batch, *self.net.out.shape[:-1])).astype(np.int32)

    def start(self) -> dict[str, Array]:
        """The same first parameters and statistics for everybody, by name, drawn as the layers say."""
        rng = np.random.default_rng(1)
        drawn: dict[str, Array] = {}
        for p in self.net.params:
            if isinstance(p.init, Constant):
                drawn[p.name] = np.full(p.shape, p.init.value, np.float32)
            elif isinstance(p.init, Normal):
                drawn[p.name] = (p.init.std * rng.standard_normal(p.shape)).astype(np.float32)
            else:
                drawn[p.name] = rng.uniform(-p.init.bound, p.init.bound, p.shape).astype(np.float32)
        return drawn | {s.name: np.full(s.shape, s.init.value, np.float32) for s in self.net.state}


@dataclass(frozen=True)
class Contestant:
    """A name, and how to make its step: a function at the top of a module, which its process imports.

    `same_start`: it begins at the job's parameters, so that its first loss must be everybody's.
    """

    name: str
    make: Start
    same_start: bool = True


@dataclass(frozen=True)
class Timing:
    """What was measured of one contestant: seconds a step for each of its turns, MB that it holds, its first losses.

    `peak`: the most MB that it held after its first steps.
    """

    name: str
    times: tuple[float, ...]
    resident: float
    losses: tuple[float, ...]
    notes: dict[str, Any] = field(default_factory=dict)
    peak: float = math.nan

    @property
    def median(self) -> float:
        """Seconds a step."""
        return statistics.median(self.times)

    @property
    def fastest(self) -> float:
        """Seconds a step."""
        return min(self.times)


def netc_step(job: Job, target: str, choices: FormOverrides) -> tuple[Step, dict[str, Any]]:
    """netc on a target."""
    prepared = prepare(job.program, parse_target(target), Cache(), choices)
    session = Trainer(prepared)
    session.init(0)
    session.restore(session.fetch() | job.start())
    notes = {"emission_s": prepared.emission, "compile_s": prepared.compilation, "cached": prepared.cached}
    return session.repeated(*job.data(), RATE), notes


def ours(target: str, choices: FormOverrides = NO_OVERRIDES) -> Contestant:
    """netc on a target, as a contestant; `choices` are what `netc tune` measured."""
    return Contestant(f"netc {target}", partial(netc_step, target=target, choices=dict(choices)))


def flops_of(job: Job) -> int:
    """The flops of one step's mathematics, whatever form computes it."""
    return useful_flops(job.program.module)


def race(
    job: Job,
    contestants: Sequence[Contestant],
    rounds: int,
    seconds: float,
    watch: Callable[[str], None] = lambda doing: None,
) -> tuple[Timing, ...]:
    """Start all, one after the other; then `rounds` rounds of turns, or as many as begin within `seconds`.

    `watch` is told what is being done.
    Raises NetcError if a contestant fails, or if one with the same start has another first loss than the first.
    """
    os.environ.update(surroundings(job.threads))
    spawn = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    started: dict[str, Timing] = {}
    processes = []
    try:
        for c in contestants:
            watch(f"starting {c.name}")
            pipes[c.name], theirs = spawn.Pipe()
            process = spawn.Process(target=_work, args=(theirs, job, c), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            started[c.name] = _told(c.name, pipes[c.name])  # compiling must not disturb compiling
        if not job.net.signature.draws:
            _compare([started[c.name] for c in contestants if c.same_start])
        times: dict[str, list[float]] = {c.name: [] for c in contestants}
        watch("timing")
        begin = time.perf_counter()
        while not all(len(t) >= rounds for t in times.values()):
            for name, pipe in pipes.items():
                pipe.send(True)
                times[name].append(_told(name, pipe))
            if time.perf_counter() - begin > seconds:
                break
        found = []
        for name, pipe in pipes.items():
            pipe.send(False)
            held, most = _told(name, pipe)
            found.append(replace(started[name], times=tuple(times[name]), resident=held, peak=most))
        return tuple(found)
    finally:
        for pipe in pipes.values():
            pipe.close()
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()


def surroundings(threads: int) -> dict[str, str]:
    """The environment of the contestants: threads, and idle workers that leave the cores to the next one."""
    xla = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "XLA_FLAGS": xla}


def _told(name: str, pipe: Connection) -> Any:
    try:
        said = pipe.recv()
    except EOFError as error:
        raise NetcError(f"{name} ended before it was done; what it said stands above") from error
    if isinstance(said, NetcError):
        raise said
    return said


def _compare(started: Sequence[Timing]) -> None:
    for other in started[1:]:
        want, got = started[0].losses[0], other.losses[0]
        if not math.isclose(want, got, rel_tol=SAME_LOSS, abs_tol=SAME_LOSS):
            raise NetcError(
                f"{other.name} is another net than {started[0].name}: from the same parameters its first loss is "
                f"{got:.6g}, not {want:.6g}; leave it out, and report this"
            )


def _work(pipe: Connection, job: Job, contestant: Contestant) -> None:
    """One contestant's process: a turn for each message that says so, then the memory that it holds."""
    try:
        step, notes = contestant.make(job)
        losses = [step() for _ in range(WARM)]
        _forget_peak()
        if not np.isfinite(losses).all():
            raise NetcError(f"{contestant.name}: wants finite losses, got {losses}; try a larger `batch`")
    except NetcError as error:
        pipe.send((UserError if isinstance(error, UserError) else NetcError)(str(error)))
        return
    begin = time.perf_counter()
    step()
    count = max(1, round(TURN / (time.perf_counter() - begin)))
    pipe.send(Timing(contestant.name, (), math.nan, tuple(losses), notes))
    while pipe.recv():
        begin = time.perf_counter()
        for _ in range(count):
            step()
        pipe.send((time.perf_counter() - begin) / count)
    pipe.send((resident(), resident("VmHWM")))


def resident(row: str = "VmRSS") -> float:
    """The memory that this process holds, in MB: its resident set, mapped libraries included. NaN where unknown.

    `VmHWM` is the most that it held.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return math.nan
    return next((int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith(row)), math.nan)


def _forget_peak() -> None:
    """Let Linux count the most memory anew, so that what compilers in this process took is not in it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
