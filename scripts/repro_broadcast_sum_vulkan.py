"""Two faults on Vulkan: a sum that is broadcast again without a barrier, and long loops that llvmpipe cuts off.

    python scripts/repro_broadcast_sum_vulkan.py [--flag FLAG ..]

For each program: how IREE compiles it for Vulkan (the pipeline of each dispatch; workgroup memory and barriers in its
SPIR-V) and how many elements of the result are wrong on `cpu` and, where there is a device, on `vulkan`. The inputs
are whole numbers whose sums float32 holds exactly, so that right means equal. FLAG is given to iree-compile.
docs/upstream-issues/broadcast-sum-vulkan.md explains. The exit code is 0 whatever is found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.render import render
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.compile import compile_text, compiler_path
from netc.runtime.target import Target, parse_target


@dataclass(frozen=True)
class Program:
    """x -> sum of x over `axes`, and unless `alone` x minus that sum; `barrier` keeps the two apart."""

    shape: tuple[int, ...]
    axes: tuple[int, ...] = (0,)
    barrier: bool = False
    alone: bool = False

    def __str__(self) -> str:
        total = f"sum over {list(self.axes)}"
        what = total if self.alone else f"x - {'barrier of the ' if self.barrier else ''}{total}"
        return f"{'x'.join(map(str, self.shape))}: {what}"

    def module(self) -> Module:
        """The program as a module with one function, f."""
        b = Builder("f")
        x = b.parameter("x", TensorType(self.shape))
        total = b.sum(x, self.axes)
        total = b.op("barrier", total) if self.barrier else total
        kept = tuple(i for i in range(len(self.shape)) if i not in self.axes)
        return Module("m", (b.finish([("y", total if self.alone else b.sub(x, b.broadcast(total, x, kept)))]),))

    def exact(self, x: Array) -> Array:
        """What is right."""
        whole = np.asarray(x, np.float64)
        return np.asarray(whole.sum(self.axes) if self.alone else whole - whole.sum(self.axes, keepdims=True))


PROGRAMS = (
    # columns on threads, then rows on threads: another thread's sum is read, with no barrier between
    Program((2, 8)), Program((2, 16)), Program((256, 12)), Program((256, 16)), Program((256, 32)),
    Program((100, 40)), Program((4, 64, 16), (1,)), Program((256, 16), barrier=True),
    # rows on threads both times: each thread reads its own sum
    Program((32, 10), (1,)), Program((32, 64), (1,)),
    # 64 columns: every thread has all sums to itself and adds all rows up anew for each of its rows
    Program((256, 64)), Program((4096, 64)), Program((8192, 64)), Program((8192, 64), barrier=True),
    # 65,536 turns of a loop are one too many for llvmpipe
    Program((65535, 4), alone=True), Program((65536, 4), alone=True), Program((300000, 4), alone=True),
)  # fmt: skip


def dispatches(text: str, target: Target) -> str:
    """How the program's dispatches are compiled, from iree-compile's own dump."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "m.mlir").write_text(text)
        command = [str(compiler_path()), "m.mlir", "-o", "m.vmfb", *target.flags]
        subprocess.run([*command, "--iree-hal-dump-executable-files-to=x"], cwd=folder, check=True, capture_output=True)
        pipelines = [
            re.findall(r"spirv_pipeline<(\w+)>", path.read_text())[0]
            for path in sorted((folder / "x").glob("configured_*.mlir"))
        ]
        spirv = "".join(path.read_text() for path in (folder / "x").glob("*.spirv.mlir"))
    shared, barriers = '"Workgroup"' in spirv, spirv.count("ControlBarrier")
    return f"{', '.join(pipelines)}; {'workgroup memory, ' if shared else ''}{barriers} barriers"


def wrong(program: Program, target: Target, flags: tuple[str, ...]) -> str:
    """How many elements are wrong, or why that is not known."""
    module = program.module()
    source = Source(module, render(module, "iree"))
    target = replace(target, flags=(*target.flags, *flags))
    rng = np.random.default_rng(1)
    x = np.asarray(np.ones(program.shape) if program.alone else rng.integers(-4, 5, program.shape), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.vmfb"
        compile_text(source.text, target, path)
        loaded = load(replace(source, artefact=path), target)
        # another call first: workgroup memory still holding the right sums would hide the fault
        loaded.call("f", [loaded.put(np.asarray(3 * x + 1, np.float32))])
        y = loaded.get(loaded.call("f", [loaded.put(x)])[0])
    bad = int(np.count_nonzero(y != program.exact(x)))
    return f"right ({y.size})" if bad == 0 else f"WRONG {bad} of {y.size}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flag", action="append", default=[], help="Given to iree-compile after netc's own.")
    flags = tuple(parser.parse_args().flag)
    cpu, vulkan = parse_target("cpu"), parse_target("vulkan")
    try:
        check_device(vulkan)
        here = True
    except UserError as error:
        print(f"no Vulkan device: {error}")
        here = False
    print("| program | compiled for Vulkan | cpu | vulkan |\n|---|---|---|---|")
    for program in PROGRAMS:
        how = dispatches(render(program.module(), "iree"), replace(vulkan, flags=(*vulkan.flags, *flags)))
        on_cpu = wrong(program, cpu, ())
        on_vulkan = wrong(program, vulkan, flags) if here else "not run"
        print(f"| {program} | {how} | {on_cpu} | {on_vulkan} |", flush=True)


if __name__ == "__main__":
    main()
