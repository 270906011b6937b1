"""One run of a kernel: by simulation or by what its C became."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from netc.kernels.array_words import as_json
from netc.kernels.c_text import c_text
from netc.kernels.compiled import compiled, run_compiled
from netc.kernels.gpu_text import cuda_text, opencl_text
from netc.kernels.ir import Kernel, KernelError, Number
from netc.kernels.launch import Launch, Memory, launch_of, memory_of, scalars_of
from netc.kernels.maker import meant
from netc.kernels.opencl_run import built, run_opencl
from netc.kernels.simulate import Fault, simulate
from netc.netspec.errors import UserError
from netc.runtime.files import whole

Runner: TypeAlias = Callable[[Kernel, Launch, Mapping[str, Number], Mapping[str, Memory]], tuple[Fault, ...]]


@dataclass(frozen=True)
class Target:
    """A way to run: `prepare` compiles, so that `run` can be timed; `said`: of a run without faults."""

    run: Runner
    said: str
    prepare: Callable[[Kernel, Launch], object] = lambda kernel, launch: None


TARGETS: dict[str, Target] = {
    "simulate": Target(simulate, "simulated: no race, no index outside, no divergent barrier"),
    "c": Target(run_compiled, "as C: no index outside, no divergent barrier", lambda kernel, launch: compiled(kernel)),
    "opencl": Target(run_opencl, "on OpenCL, unchecked", lambda kernel, launch: built(kernel, launch.shared)),
}
"""A word -> how a kernel runs."""
LANGUAGES: dict[str, Callable[[Kernel, Launch], str]] = {
    "c": lambda kernel, launch: c_text(kernel),
    "cuda": lambda kernel, launch: cuda_text(kernel, launch.shared),
    "opencl": lambda kernel, launch: opencl_text(kernel, launch.shared),
}
"""A word -> a kernel's text."""


@dataclass(frozen=True)
class Done:
    """What came of a run: the arrays that the kernel writes, in the shapes given; `seconds` of the run alone."""

    kernel: Kernel
    launch: Launch
    target: str
    results: dict[str, Memory]
    faults: tuple[Fault, ...]
    seconds: float

    @property
    def sentence(self) -> str:
        """How it ran, in a line."""
        launch = self.launch
        return (
            f"{self.kernel.name}: {launch.blocks} block{'s' if launch.blocks > 1 else ''} of {launch.threads} threads, "
            f"{TARGETS[self.target].said} ({1e3 * self.seconds:.1f} ms)"
        )

    def to_json(self) -> dict[str, Any]:
        """For a program; without results where there are faults."""
        faults = [{"kind": f.kind, "line": f.line, "sentence": f.sentence} for f in self.faults]
        return {
            "kernel": self.kernel.name,
            "target": self.target,
            "grid": list(self.launch.grid),
            "block": list(self.launch.block),
            "seconds": self.seconds,
            "faults": faults,
            "results": {} if faults else {n: as_json(a) for n, a in self.results.items()},
        }


def run_once(
    kernel: Kernel,
    dims: tuple[int | Sequence[int], int | Sequence[int]],
    numbers: Mapping[str, Any],
    arrays: Mapping[str, Any],
    shared: Mapping[str, int] | None = None,
    target: str = "simulate",
) -> Done:
    """Run a kernel on copies of the arrays; `dims` are grid and block. Raises UserError before anything runs."""
    if target not in TARGETS:
        raise UserError(f"`target` wants a way to run a kernel, got {target}; {meant(target, TARGETS)}")
    launch = launch_of(kernel, *dims, shared)
    scalars = scalars_of(kernel, numbers)
    copies = {n: np.array(a, order="C") if isinstance(a, np.ndarray) else a for n, a in arrays.items()}
    memory = memory_of(kernel, copies)
    TARGETS[target].prepare(kernel, launch)
    begun = time.perf_counter()
    faults = TARGETS[target].run(kernel, launch, scalars, memory)
    seconds = time.perf_counter() - begun
    return Done(kernel, launch, target, {n: copies[n] for n in kernel.written}, faults, seconds)


def launch(
    kernel: Kernel,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    arguments: Mapping[str, Any],
    target: str = "c",
    shared: Mapping[str, int] | None = None,
) -> None:
    """Run a kernel on the arrays among the arguments, in place.

    Raises UserError before anything runs, KernelError for the first fault that was found.
    """
    if target not in TARGETS:
        raise UserError(f"`target` wants a way to run a kernel, got {target}; {meant(target, TARGETS)}")
    names = {s.name for s in kernel.scalars}
    numbers = {n: v for n, v in arguments.items() if n in names}
    scalars = scalars_of(kernel, numbers)
    memory = memory_of(kernel, {n: v for n, v in arguments.items() if n not in names})
    faults = TARGETS[target].run(kernel, launch_of(kernel, grid, block, shared), scalars, memory)
    for fault in faults:
        raise KernelError(kernel.file, fault.line, f"{fault.kind}: {fault.sentence}")


def write_arrays(arrays: Mapping[str, Memory], folder: Path) -> tuple[Path, ...]:
    """Write each array as NAME.npy into the folder, which is made."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`out` wants a folder, got the file {folder}; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, array in arrays.items():
        paths.append(folder / f"{name}.npy")
        with whole(paths[-1]) as file:
            np.save(file, array, allow_pickle=False)
    return tuple(paths)
