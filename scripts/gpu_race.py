"""Training steps of several contestants on one accelerator, in few minutes: a process each for all nets.

`race.py` starts one process for each contestant and net, one after the other; here each contestant imports its
libraries once, all begin a net at the same time, and those that are not ready in time are left out of it, with their
reason. Steps are then timed in turns, and one more is taken apart by the profiler.
"""

from __future__ import annotations

import contextlib
import gc
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from netc.netspec.errors import NetcError
from netc.runtime.measure.bench import Contestant, Job, Step, netc_step
from netc.runtime.measure.race import begun

TOP = 8  # kernels of a profile
PROFILED = 3  # steps
PARTING = 5.0  # seconds


@dataclass(frozen=True)
class Device:
    """One row of DEVICES: what the libraries call it. `iree` is netc's target through IREE."""

    torch: str
    jax: str
    iree: str


# `cpu` stands in for a card that is not here: the same path through every part
DEVICES = {"cuda": Device("cuda", "cuda", "cuda:sm_89"), "cpu": Device("cpu", "cpu", "cpu")}

# float32 is float32: no TF32 in cuBLAS and cuDNN, nor in the kernels that XLA makes of products itself
SURROUNDINGS = {
    "NVIDIA_TF32_OVERRIDE": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "XLA_FLAGS": "--xla_gpu_enable_triton_gemm=false",
}


def contestants(device: Device) -> dict[str, Contestant]:
    """Everybody, netc first: the others' first loss must be its."""
    from netc.proofs_oracle.peers.contestants import jax_step, torch_step

    found = [
        Contestant("netc xla", partial(netc_step, target="xla", choices={})),
        Contestant(f"netc {device.iree}", partial(netc_step, target=device.iree, choices={})),
        Contestant("JAX jit", jax_step),
        Contestant("torch eager", partial(torch_step, compiled=False, last=False)),
        Contestant("torch eager, channels last", partial(torch_step, compiled=False, last=True)),
        Contestant("torch.compile", partial(torch_step, compiled=True, last=False)),
        Contestant("torch.compile, channels last", partial(torch_step, compiled=True, last=True)),
    ]
    return {c.name: c for c in found}


def takes_part(name: str, job: Job) -> str:
    """Why a contestant has no such job; nothing where it has."""
    images = job.net.x.rank == 3 and any(len(p.shape) == 4 for p in job.net.params)
    if "channels last" in name and not images:
        return "no images"
    return "its peer is float32" if name.startswith("JAX") and job.precision != "f32" else ""


@dataclass(frozen=True)
class Timed:
    """One contestant in one net: seconds a step of each turn, first loss, notes, kernels; or why there is none."""

    name: str
    times: tuple[float, ...] = ()
    loss: float = math.nan
    notes: Mapping[str, Any] | None = None
    kernels: tuple[tuple[str, float], ...] | str = ()
    failed: str = ""

    @property
    def ms(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.times) * 1e3 if self.times else math.nan


class Worker:
    """A contestant's process, which lives from net to net; one that is late is ended, and begun anew for the next."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self._begin()

    def _begin(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, self.contestant), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, word: str, *more: Any) -> None:
        """Send a request; `answer` waits for what it gives."""
        with contextlib.suppress(OSError):  # of one that has died, `answer` says so
            self.pipe.send((word, *more))

    def answer(self, until: float) -> Any:
        """What was asked for. Raises NetcError where it fails, dies, or is not there at that time."""
        try:
            if not self.pipe.poll(max(0.0, until - time.monotonic())):
                self.end()
                self._begin()
                raise NetcError("out of time")
            ok, said = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join(PARTING)
            code = self.process.exitcode
            self._begin()
            raise NetcError(f"its process ended with code {code}") from error
        if not ok:
            raise NetcError(said)
        return said

    def end(self) -> None:
        """Nothing of it is left."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def working(device: Device, leave_out: Sequence[str] = ()) -> Iterator[dict[str, Worker]]:
    """A worker for each contestant."""
    os.environ.update(SURROUNDINGS)
    os.environ["JAX_PLATFORMS"] = f"{device.jax},cpu" if device.jax != "cpu" else "cpu"
    workers = {name: Worker(c) for name, c in contestants(device).items() if name not in leave_out}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.end()


def run(
    workers: Mapping[str, Worker], job: Job, budget: float, close: float, rounds: int, seconds: float
) -> list[Timed]:  # fmt: skip
    """One net: begun by all, timed in turns, profiled; `budget` seconds at most.

    Two thirds of it are for the start. `close`: how far a first loss may be from the first contestant's, relatively.
    """
    end = time.monotonic() + budget
    left_out = {name: why for name in workers if (why := takes_part(name, job))}
    asked = [name for name in workers if name not in left_out]
    for name in asked:
        workers[name].ask("start", job)
    found: dict[str, Timed] = {name: Timed(name, failed=why) for name, why in left_out.items()}
    begun_ones: dict[str, tuple[float, Any]] = {}
    for name in asked:
        try:
            begun_ones[name] = workers[name].answer(time.monotonic() + max(0.0, end - budget / 3 - time.monotonic()))
        except NetcError as error:
            found[name] = Timed(name, failed=str(error))
    first = next((loss for loss, _ in begun_ones.values()), math.nan)
    for name, (loss, notes) in list(begun_ones.items()):
        if not math.isclose(loss, first, rel_tol=close, abs_tol=close):
            found[name] = Timed(name, loss=loss, notes=notes, failed=f"its first loss is {loss:.6g}, not {first:.6g}")
            del begun_ones[name]
    times: dict[str, list[float]] = {name: [] for name in begun_ones}
    stop, number = min(end - budget / 6, time.monotonic() + seconds * max(1, len(begun_ones))), 0
    while number < rounds and (number < 1 or time.monotonic() < stop):
        number += 1
        for name in list(times):
            try:
                workers[name].ask("turn")
                times[name].append(workers[name].answer(end))
            except NetcError as error:
                found[name] = Timed(name, loss=begun_ones[name][0], failed=str(error))
                del times[name]
    for name, spent in times.items():
        loss, notes = begun_ones[name]
        workers[name].ask("profile")
        try:
            kernels = workers[name].answer(end)
        except NetcError as error:
            kernels = str(error)
        found[name] = Timed(name, tuple(spent), loss, notes, kernels)
    return [found[name] for name in workers]


def _serve(pipe: Connection, contestant: Contestant) -> None:
    """A worker's process: each request is answered by (True, what is asked for) or (False, why not)."""
    turn: Callable[[], float] | None = None
    step: Step | None = None
    with contextlib.suppress(EOFError):
        while asked := pipe.recv():
            try:
                if asked[0] == "start":
                    turn = step = None
                    gc.collect()
                    step, notes = contestant.make(asked[1])
                    timing, turn = begun(asked[1], Contestant(contestant.name, lambda job, s=step: (s, {})))
                    pipe.send((True, (timing.losses[0], notes)))
                elif asked[0] == "turn" and turn:
                    pipe.send((True, turn()))
                else:
                    pipe.send((True, kernels_of(contestant.name, step)))
            except Exception as error:  # noqa: BLE001  # whatever a library raises is why this one has no figure
                turn = step = None
                said = next((line for line in str(error).splitlines() if line.strip()), "")
                pipe.send((False, f"{type(error).__name__}: {said}"[:300]))


def kernels_of(name: str, step: Step | None) -> tuple[tuple[str, float], ...]:
    """The kernels that take most of a step, each with its milliseconds; `rest` are the others."""
    if step is None:
        return ()
    return _by_torch(step) if name.startswith("torch") else _by_jax(step)


def _top(spent: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """By milliseconds a step, of nanoseconds in all steps."""
    rows = sorted(((n, v / 1e6 / PROFILED) for n, v in spent.items() if v > 0), key=lambda row: -row[1])
    rest = sum(v for _, v in rows[TOP:])
    return (*((n[:80], round(v, 4)) for n, v in rows[:TOP]), *((("rest", round(rest, 4)),) if rest else ()))


def _by_jax(step: Step) -> tuple[tuple[str, float], ...]:
    """By JAX's profiler, which sees the kernels of the whole process on a card; on a CPU those of XLA alone."""
    import jax
    from jax.profiler import ProfileData

    jax.devices()  # loads the plugin that collects
    spent: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(PROFILED):
                step()
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in ProfileData.from_file(str(path)).planes:
                on_card = plane.name.startswith("/device:")
                for line in plane.lines:
                    if on_card and not line.name.startswith("Stream"):
                        continue
                    for event in line.events:
                        if on_card or any(key == "hlo_op" for key, _ in event.stats):
                            spent[event.name] = spent.get(event.name, 0.0) + event.duration_ns
    return _top(spent)


def _by_torch(step: Step) -> tuple[tuple[str, float], ...]:
    import torch
    from torch.profiler import ProfilerActivity, profile

    on_card = torch.cuda.is_available()
    with profile(activities=[ProfilerActivity.CUDA if on_card else ProfilerActivity.CPU]) as found:
        for _ in range(PROFILED):
            step()
    rows = found.key_averages()
    spent = {row.key: 1e3 * (row.self_device_time_total if on_card else row.self_cpu_time_total) for row in rows}
    return _top(spent)
