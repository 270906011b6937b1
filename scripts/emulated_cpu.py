"""One training step compiled for other processors than this one, run, and compared with netc's evaluator.

    python scripts/emulated_cpu.py [--aarch64 DIR] [--write]

`cpu:generic` and the levels of x86-64 that this machine has run as they are. What is compiled for `cpu:aarch64` is run
by IREE's own iree-run-module for aarch64 under qemu-aarch64; DIR is its unpacked package:

    pip download --no-deps --only-binary=:all: --platform manylinux_2_28_aarch64 iree-base-runtime==3.12.0

All begin at the evaluator's first state and take the same batch. `--write` puts the table into
docs/measurements/emulated_cpu.md.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from netc.codegen.evaluator import run
from netc.codegen.program import Program, build
from netc.codegen.text import text_of
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import TiedHead, TokenPositionEmbed, TransformerEncoder
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.compile import compile_text
from netc.runtime.cpu_levels import LEVELS, runs_here
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from netc.runtime.versions import versions

FILE = Path(__file__).resolve().parents[1] / "docs" / "measurements" / "emulated_cpu.md"
STEP, BATCH = "train_step", 4
GPT = NetSpec(
    "gpt", (8,),
    (TiedHead(TokenPositionEmbed(11, 16), TransformerEncoder(2, 32, 2, causal=True, name="body"), name="m"),),
    dtype="i32",
)  # fmt: skip
NETS = {"mnist-cnn on 8x8": find("mnist-cnn").with_input((8, 8, 1)), "a GPT of two blocks": GPT}


def arguments(program: Program) -> list[Array]:
    """The state that the evaluator draws, a batch and a rate."""
    rng, net = np.random.default_rng(0), program.net
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    classes, shape = net.out.shape[-1], (BATCH, *net.x.shape)
    x = rng.integers(0, classes, shape).astype(np.int32) if net.x.dtype == "i32" else rng.random(shape, np.float32)
    y = rng.integers(0, classes, (BATCH, *net.out.shape[:-1])).astype(np.int32)
    return [*(np.asarray(v) for v in state), x, y, np.asarray(1e-3, np.float32)]


def emulated(artefact: Path, given: Sequence[Array], count: int, package: Path, folder: Path) -> list[Array]:
    """The results of a step, by iree-run-module under qemu."""
    tool = package / "iree" / "_runtime_libs" / "iree-run-module"
    tool.chmod(0o755)
    command = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(tool), f"--module={artefact}", "--device=local-sync"]
    command.append(f"--function={STEP}")
    for n, array in enumerate(given):
        np.save(folder / f"in{n}.npy", array)
        command.append(f"--input=@{folder / f'in{n}.npy'}")
    command += [f"--output=@{folder / f'out{n}.npy'}" for n in range(count)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [np.load(folder / f"out{n}.npy") for n in range(count)]


def row(name: str, spec: NetSpec, word: str, package: Path | None) -> tuple[str, ...] | None:
    """A line of the table: seconds of the compile, size, and how far the results are from the evaluator's."""
    target = parse_target(word)
    program = build(check(spec), Recipe(), BATCH)
    given = arguments(program)
    wanted = run(program.module, STEP, given, "f32")
    module = emit_text(program, target).module.needed(STEP)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        artefact = folder / "step.vmfb"
        begin = time.perf_counter()
        text = text_of(module, target.profile)
        compile_text(text, target, artefact)
        seconds = time.perf_counter() - begin
        if word == "cpu:aarch64":
            if package is None:
                return None
            found = emulated(artefact, given, len(wanted), package, folder)
        else:
            loaded = load(Source(module, text, artefact), target)
            found = [loaded.get(v) for v in loaded.call(STEP, [loaded.put(v) for v in given])]
        size = artefact.stat().st_size
    loss = len(program.state)
    far = [_far(a, b) for a, b in zip(found[:loss], wanted[:loss], strict=True)]
    return (name, word, f"{seconds:.1f}", f"{size:,}", f"{_far(found[loss], wanted[loss]):.1e}", f"{max(far):.1e}")


def _far(found: Array, wanted: Array) -> float:
    """The relative L2 distance."""
    a, b = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30))


def main() -> None:
    """Compile, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aarch64", type=Path, metavar="DIR")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    words = [*(f"cpu:{name}" for name in LEVELS if runs_here(name)), "cpu:aarch64"]
    rows = [found for name, spec in NETS.items() for word in words if (found := row(name, spec, word, options.aarch64))]
    heads = ("net", "target", "compile s", "bytes", "loss, from the evaluator's", "furthest of the new state")
    table = "\n".join(f"| {' | '.join(line)} |" for line in (heads, ("---",) * len(heads), *rows))
    print(table)
    by = ", ".join(f"{name} {version}" for name, version in versions().items())
    if options.write:
        FILE.write_text(
            f"# A step on other processors\n\nMade by scripts/emulated_cpu.py on {datetime.date.today().isoformat()}; "
            f"{by}.\n\nOne step of Adam, batch {BATCH}, float32. The levels of x86-64 run as they are, aarch64 under "
            f"qemu. Distances\nare relative, in L2.\n\n{table}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
