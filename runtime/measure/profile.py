"""Where the time of a call goes on IREE's CPU device: each dispatch, and the layer and phase that it is for.

The call is a training step, or another function of the program (calls.py). In emitted C (c_profile.py): each part.

A dispatch counts for the place of its root: the product, convolution or reduction that it holds, or the elementwise
operation that it is. What the compiler fused into it from other layers is named beside it and not split off, for no
clock runs inside a dispatch. Copies and fills of buffers, and what passes between two dispatches, are the rest.

The call runs under `iree-benchmark-module` with its profiler; Python's bindings have none. A step begins at the state
that `init` draws and does not go on from step to step, which for dense arithmetic takes the same time.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from netc.codegen.location import forward_first, location_of, phases_of
from netc.codegen.program import Program
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.netspec import child
from netc.netspec.errors import NetcError, UserError
from netc.runtime.backends import check_device
from netc.runtime.backends.iree import MALLOPT, WORKER_STACK, scratch_of, takes_large_pages
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.compile import COMPILER, RUNTIME, compile_cached, version_of
from netc.runtime.measure import dispatches
from netc.runtime.measure.c_profile import profile_c
from netc.runtime.measure.calls import CALLS, arguments, example_batch, timed_calls
from netc.runtime.measure.dispatches import Timed
from netc.runtime.prepare import prepare
from netc.runtime.target import Target
from netc.runtime.trainer import Trainer

# what backends/iree.py asks of glibc, in the words of its environment
MALLOC = dict(
    zip(
        ("MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"),
        (str(MALLOPT[p]) for p in (-8, -4, -1, -2)),
        strict=True,
    )
)
LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # of nets with a large state, and of large predictions
LONGEST = 600  # seconds that the profiled calls may take
ADVICE = (
    "profile wants a target of IREE's cpu, or c, got {got!r}; use `target=cpu`, or, for xla, jax.profiler around a "
    "session's steps: no other tells the time of its parts here"
)


@dataclass(frozen=True)
class LayerTime:
    """Seconds of a call that a layer's dispatches take, by phase, and the flops of its products and convolutions."""

    layer: str
    seconds: dict[str, float]
    flops: dict[str, int]

    @property
    def total(self) -> float:
        """All phases."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Profile:
    """One profiled call of `function`, which is among CALLS.

    `step` is its time without the profiler, `profiled` with it; all in seconds, all medians of `steps` calls.
    """

    net: str
    target: str
    batch: int
    steps: int
    step: float
    profiled: float
    dispatches: tuple[Timed, ...]
    function: str = "train_step"

    @property
    def shown(self) -> str:
        """What was called, to the reader."""
        return CALLS[self.function].shown

    @property
    def busy(self) -> float:
        """The time in which a dispatch ran."""
        return sum(d.seconds for d in self.dispatches)

    def layers(self, depth: int = 0) -> tuple[LayerTime, ...]:
        """The dispatches' time by layer, in the order of the forward pass."""
        seconds: dict[str, dict[str, float]] = {}
        flops: dict[str, dict[str, int]] = {}
        for d in self.dispatches:
            place = location_of(d.site.loc)
            own, counted = seconds.setdefault(place.layer(depth), {}), flops.setdefault(place.layer(depth), {})
            own[place.phase] = own.get(place.phase, 0.0) + d.seconds
            counted[place.phase] = counted.get(place.phase, 0) + (d.flops or 0)
        order = forward_first((d.site.loc for d in self._in_order()), depth)
        return tuple(LayerTime(name, seconds[name], flops[name]) for name in order)

    def phases(self) -> dict[str, float]:
        """The dispatches' time by phase: of a training step the usual ones, of other calls those that there are."""
        seconds: dict[str, float] = {}
        for d in self.dispatches:
            phase = location_of(d.site.loc).phase
            seconds[phase] = seconds.get(phase, 0.0) + d.seconds
        usual = self.function == "train_step"
        return {p: seconds.get(p, 0.0) for p in phases_of(seconds) if usual or p in seconds}

    def _in_order(self) -> list[Timed]:
        return sorted(self.dispatches, key=lambda d: d.site.number)


def tool(name: str) -> Path:
    """A program of IREE's runtime package; raises UserError if it is not there."""
    spec = importlib.util.find_spec("iree._runtime_libs") if importlib.util.find_spec("iree") else None
    places = spec.submodule_search_locations if spec is not None else None
    path = Path(next(iter(places))) / name if places else None
    if path is None or not path.exists():
        raise UserError(
            f"profile wants {name} of {RUNTIME}, got no such file; pip install {RUNTIME}=={version_of(COMPILER)}"
        )
    return path


def profile(
    program: Program,
    target: Target,
    cache: Cache,
    steps: int = 20,
    choices: FormOverrides = NO_OVERRIDES,
    function: str = "train_step",
) -> Profile:
    """Run a function of the program, one of CALLS, `steps` times on a random batch and tell its dispatches' time.

    `choices`: forms of convolutions as `netc tune` measured them.

    Raises UserError for a target other than this machine's CPU through IREE, and C.
    """
    if not (target.ahead and target.on_host) and target.engine != "c":
        raise UserError(ADVICE.format(got=target.word))
    check_device(target)
    prepared = prepare(program, target, cache, choices)
    batch = example_batch(program)
    known = program.net.spec.name, target.word, program.batch, steps
    if target.engine == "c":
        return Profile(*known, *profile_c(prepared, batch, function, steps), function)
    session = Trainer(prepared)
    session.init(0)
    args = arguments(session, batch, function)
    plain = median(timed_calls(session, batch, function, steps))
    shown = replace(target, flags=(*target.flags, *dispatches.FLAGS))
    entry = compile_cached(prepared.source.text, shown, f"{program.net.spec.name} batch {program.batch}, places", cache)
    lists = dispatches.lists_of(entry.path.read_text(encoding="utf-8"), function)
    assert prepared.source.artefact is not None  # IREE targets always make one
    with tempfile.TemporaryDirectory(prefix="netc-profile-") as folder:
        pages = LARGE_PAGES if takes_large_pages(prepared.source.module, function) else {}
        profiled, commands, events = _run(prepared.source.artefact, function, args, steps, Path(folder), pages)
    sites = dispatches.match(lists, commands)
    found = dispatches.timed(sites, events, steps)
    if not found:
        raise NetcError("the profile holds no dispatch of the program; report this with the net's name")
    return Profile(*known, plain, profiled, found, function)


def _run(
    artefact: Path, function: str, args: list[Array], steps: int, folder: Path, pages: Mapping[str, str]
) -> tuple[float, dict[int, tuple[tuple[int, str], ...]], tuple[dispatches.Event, ...]]:
    """The profiled calls: seconds a call, the lists of commands, the events."""
    flags = []
    for number, array in enumerate(args):
        path = folder / f"{number}.npy"
        np.save(path, array)
        flags.append(f"--input=@{path}")
    if size := scratch_of(artefact).get(function):
        flags.append(f"--input=&{size}xi8")
    (folder / "inputs").write_text("\n".join(flags), encoding="utf-8")
    recorded = folder / "recorded"
    command = (
        str(tool("iree-benchmark-module")), f"--module={artefact}", "--device=local-task", f"--function={function}",
        f"--task_worker_stack_size={WORKER_STACK}", "--device_profiling_mode=host-execution",
        f"--device_profiling_output={recorded}", f"--benchmark_min_time={steps}x", "--benchmark_format=json",
        f"--flagfile={folder / 'inputs'}",
    )  # fmt: skip
    said = _output(command, {**MALLOC, **pages})
    measured = json.loads(said[said.index("{") :])["benchmarks"][0]
    seconds = measured["real_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[measured["time_unit"]]
    reader = str(tool("iree-profile"))
    listed = _output((reader, "command", "--format=jsonl", str(recorded)))
    ran = _output((reader, "dispatch", "--dispatch_events", "--format=jsonl", str(recorded)))
    return seconds, dispatches.commands_of(listed.splitlines()), dispatches.events_of(ran.splitlines())


def _output(command: tuple[str, ...], given: Mapping[str, str] = MALLOC) -> str:
    try:
        done = child.run(command, LONGEST, text=True, errors="replace", env={**os.environ, **given})
    except subprocess.TimeoutExpired as error:
        raise NetcError(f"the profiled calls took more than {LONGEST} s; lower `steps` or `batch`") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NetcError(
            f"{Path(command[0]).name} failed ({last[:200]}); run that command yourself to see all of its output"
        )
    said: str = done.stdout
    return said
