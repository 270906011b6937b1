"""What `--scan-blocks` saves of IREE's compile time for the CPU, and what it costs.

    python scripts/study_scanned_blocks.py [NET[@SIZE]:BATCH ...] [--steps N] [--write]

Compiles each net without and with `--scan-blocks`, one after the other, and runs steps of both in processes of their
own, in turns: the processor time of the compiler; the median wall and processor time of a step after the first two;
and by how much the process grew over the last half of
the steps, a step. Both start from one state; the loss after the last step is compared. `--write` puts the table into
docs/measurements/scanned_blocks.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from repro_memory_cpu import resident
from timed_compile import FOLDER, named

from netc.codegen.program import Program, build
from netc.netspec.recipe import Recipe
from netc.runtime.backends.iree import load_iree
from netc.runtime.backends.protocol import Source
from netc.runtime.compile import compile_text
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from netc.runtime.versions import versions

TARGET = parse_target("cpu")
NETS = ("tiny-gpt:12", "vit_tiny_patch4_32:32", "resnet50@64:8", "resnet152@64:8")
ROUNDS = 2


@dataclass(frozen=True)
class Steps:
    """Steps of one artefact in one process: milliseconds a step, MiB gained a step, the last loss, in float's hex."""

    wall: float
    processor: float
    growth: float
    loss: str


def main() -> int:
    """Compile, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(vars(_steps(_program(options.nets[0]), Path(options.one), options.steps))))
        return 0
    columns = (
        "net", "text, MB", "compiler, s", "a step, ms", "processor, ms a step", "grows, MiB a step",
        "losses",
    )  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    print("\n".join(lines), flush=True)
    for net in options.nets:
        lines.append(_row(net, options.steps))
        print(lines[-1], flush=True)
    if options.write:
        _write(lines, options.steps)
    return 0


def _program(net: str, scanned: bool = False) -> Program:
    checked, loss, batch = named(net)
    return build(checked, Recipe(loss=loss, norms=False, scan_blocks=scanned), batch)


def _row(net: str, steps: int) -> str:
    programs = {"plain": _program(net), "scanned": _program(net, True)}
    texts = {name: emit_text(program, TARGET).text for name, program in programs.items()}
    seconds, found = {}, {name: [] for name in texts}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.vmfb" for name in texts}
        for name, text in texts.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            compile_text(text, TARGET, files[name])
            seconds[name] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        for _ in range(ROUNDS):
            for name, file in files.items():
                command = [sys.executable, __file__, net, "--one", str(file), "--steps", str(steps)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name].append(Steps(**json.loads(done.stdout)))
    losses = {run.loss for runs in found.values() for run in runs}
    cells = [
        net,
        _pair([len(t) / 1e6 for t in texts.values()], ".2f"),
        _pair(list(seconds.values()), ".0f"),
        *(
            _pair([min(getattr(r, field) for r in runs) for runs in found.values()], form)
            for field, form in (("wall", ".0f"), ("processor", ".0f"))
        ),
        _pair([min(r.growth for r in runs) for runs in found.values()], ".1f"),
        "the same bits" if len(losses) == 1 else ", ".join(f"{float.fromhex(v):.6f}" for v in sorted(losses)),
    ]
    return "| " + " | ".join(cells) + " |"


def _pair(values: list[float], form: str) -> str:
    return " / ".join(format(v, form) for v in values)


def _steps(program: Program, artefact: Path, count: int) -> Steps:
    loaded = load_iree(Source(program.module, "", artefact), TARGET)
    function, kept = program.module.function("train_step"), len(program.state)
    state = loaded.call("init", [loaded.put(np.array([0, 1], np.uint32))])
    generator = np.random.default_rng(0)
    given = []
    for v in function.params[kept:]:
        if v.type.dtype == "i32":
            given.append(generator.integers(0, 10, v.shape).astype(np.int32))
        else:
            given.append(generator.standard_normal(v.shape).astype(np.float32) if v.shape else np.float32(1e-3))
    batch = [loaded.put(np.asarray(a)) for a in given]
    walls, processors, sizes, loss = [], [], [], float("nan")
    for _ in range(count):
        wall, processor = time.perf_counter(), time.process_time()
        results = loaded.call("train_step", [*state, *batch])
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        state, loss = results[:kept], float(loaded.get(results[kept]))
        del results
        sizes.append(resident())
    half = count // 2
    growth = (sizes[-1] - sizes[half - 1]) / (count - half)
    return Steps(1e3 * float(np.median(walls[2:])), 1e3 * float(np.median(processors[2:])), growth, loss.hex())


def _write(lines: list[str], steps: int) -> None:
    told = ", ".join(f"{name} {version}" for name, version in versions(TARGET).items())
    text = f"""# Blocks as loops

{datetime.datetime.now(datetime.UTC).date()}; {told}.
Printed by `python scripts/study_scanned_blocks.py --steps {steps} --write`.
Each cell: without / with `--scan-blocks`. `compiler` is its processor time. Steps: the better of {ROUNDS} runs, on a
shared machine: read the ratios. `grows` is the process's memory over the last half of the steps.
[Design notes](../design-notes.md) say what follows from it.

"""
    (FOLDER / "scanned_blocks.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
