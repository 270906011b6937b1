"""What is timed: a job, its contestants and what was measured of each; race.py lets them take turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from netc.codegen.analysis.step_cost import useful_flops
from netc.codegen.program import Program, build
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.netspec.check import CheckedNet
from netc.netspec.errors import NetcError
from netc.netspec.recipe import Recipe
from netc.netspec.types import Constant, Normal
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

RATE = 1e-3
Step = Callable[[], float]
Start = Callable[["Job"], tuple[Step, dict[str, Any]]]


@dataclass(frozen=True)
class Job:
    """What every contestant computes: a step of Adam on cross entropy, `threads` threads.

    `precision`: of products, f32 or bf16, for netc and PyTorch; JAX's peers are float32. `seed`: of batch and start.
    `device`: where PyTorch computes; JAX and the target `xla` are on JAX's default device.
    """

    net: CheckedNet
    batch: int
    threads: int
    precision: str = "f32"
    seed: int = 0
    device: str = "cpu"

    @property
    def program(self) -> Program:
        """netc's program for it, without the norms that traces record: no peer computes them."""
        return build(self.net, Recipe(norms=False, precision=self.precision), self.batch)

    def data(self) -> tuple[Array, Array]:
        """The same random batch for everybody: x normal or token ids, y classes."""
        rng = np.random.default_rng(2 * self.seed)
        classes = self.net.out.shape[-1]
        x = rng.normal(size=(self.batch, *self.net.x.shape)).astype(np.float32)
        if self.net.x.dtype == "i32":
            x = rng.integers(0, classes, x.shape).astype(np.int32)
        return x, rng.integers(0, classes, (self.batch, *self.net.out.shape[:-1])).astype(np.int32)

    def start(self) -> dict[str, Array]:
        """The same first parameters and statistics for everybody, by name, drawn as the layers say."""
        rng = np.random.default_rng(2 * self.seed + 1)
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

    `peak`: the most MB that it held after its first steps; `starting`: before them, compilers included. `pace`: how
    much slower than in the first group the machine was when this one had its turns, by the contestant that is in all
    groups; NaN where that one had failed. `failed` is why there is no time.
    """

    name: str
    times: tuple[float, ...] = ()
    resident: float = math.nan
    losses: tuple[float, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    peak: float = math.nan
    starting: float = math.nan
    pace: float = 1.0
    failed: NetcError | None = None

    @property
    def median(self) -> float:
        """Seconds a step; NaN of one that failed."""
        return statistics.median(self.times) if self.times else math.nan

    @property
    def fastest(self) -> float:
        """Seconds a step; NaN of one that failed."""
        return min(self.times, default=math.nan)

    @property
    def fair(self) -> float:
        """The median at the pace of the first group: what ratios are made of. NaN without a pace."""
        return self.median / self.pace


def unbroken(timings: Sequence[Timing]) -> tuple[Timing, ...]:
    """The timings; raises the first one's reason where one failed."""
    for timing in timings:
        if timing.failed:
            raise timing.failed
    return tuple(timings)


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


def surroundings(threads: int) -> dict[str, str]:
    """The environment of the contestants: threads, and idle workers that leave the cores to the next one."""
    xla = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "XLA_FLAGS": xla}
