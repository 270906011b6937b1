"""The memory of training steps: counted from the program, planned by the compilers, and measured; plain and recomputed.

    python scripts/memory_table.py [NET:BATCH ...] [--targets T,T] [--run NET:BATCH,..] [--rounds N] [--write]

The first table compiles as far as the memory is known and runs nothing. For the nets of `--run` a second one says what
a step takes: plain and with --remat, each in a process of its own, in turns; processor time, and by how much the
process grew over its state. `--write` puts both into docs/measurements/memory.md.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.codegen.analysis.memory import Memory, memory_of
from netc.codegen.program import Program, build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool, ResidualBlock
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.backends import iree
from netc.runtime.cache.store import Cache
from netc.runtime.measure.memory import STEP, Peak, compiled_peak
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from netc.runtime.versions import versions

RUN = "small-resnet:16,tiny-gpt:12"
DEFAULT = ("mnist-cnn:128", "resnet34-cifar:32", "vit_tiny_patch4_32:32", "tiny-gpt:12")
FILE = Path(__file__).parents[1] / "docs" / "measurements" / "memory.md"
SMALL = NetSpec(
    "small-resnet", (28, 28, 1),
    (ConvBn(32, (3, 3), name="stem"), ResidualBlock(32, 2, name="stage1"),
     ResidualBlock(64, 2, stride=2, name="stage2"), GlobalAvgPool(), Dense(10, name="head")),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One net, plain or recomputed, on one target."""

    net: str
    batch: int
    target: str
    remat: bool
    counted: Memory
    peak: Peak

    def cells(self) -> tuple[str, ...]:
        """In megabytes, as the table has them."""
        counts = self.counted.rows
        kept = counts["parameters"] + counts["moments"] + counts["statistics"]
        parts = (kept, counts["gradients"], counts["saved activations"], counts.get("one block again", 0))
        planned = (self.peak.arguments, self.peak.results, self.peak.transient, self.peak.total)
        numbers = [f"{v / 1e6:.1f}" for v in (*parts, self.counted.total, *planned)]
        how = "remat" if self.remat else "plain"
        return (self.net, str(self.batch), self.target, how, *numbers, f"{self.peak.total / self.counted.total:.2f}")


HEADS = (
    "net", "batch", "target", "step", "state", "gradients", "saved", "a block again", "sum", "arguments", "results",
    "transient", "peak", "peak / sum",
)  # fmt: skip
RUN_HEADS = ("net", "batch", "target", "step", "processor ms", "of plain", "growth MB", "of plain")


def net_of(name: str) -> CheckedNet:
    """A net of the zoo, or the one of this script."""
    return check(SMALL if name == SMALL.name else find(name))


def program_of(name: str, batch: int, remat: bool) -> Program | None:
    """The program, or None for a net without blocks that is to be recomputed."""
    try:
        return build(net_of(name), Recipe(remat=remat), batch)
    except SpecError:
        if not remat:
            raise
        return None


def plan(name: str, batch: int, word: str, remat: bool) -> Row | None:
    """What is counted and what the compiler plans."""
    program, target = program_of(name, batch, remat), parse_target(word)
    if program is None:
        return None
    counted = memory_of(program.state, lower(program.module, target.profile), STEP)
    return Row(name, batch, word, remat, counted, compiled_peak(program, target))


M_MMAP_THRESHOLD = -3  # glibc's


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def child(name: str, batch: int, word: str, remat: bool, grow: bool) -> None:
    """Load a step; with `grow`, say by how many bytes one grows this process; else time one for each line of input."""
    program = program_of(name, batch, remat)
    assert program is not None  # the parent asks for nets with blocks
    libc = ctypes.CDLL(None)
    if grow:  # what is freed goes back to the system, and so is counted anew
        iree.MALLOPT.clear()
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)
    session = Trainer(prepare(program, parse_target(word), Cache()))
    session.init(1)
    rng, net = np.random.default_rng(0), program.net
    shape = (batch, *net.x.shape)
    words = net.x.dtype == "i32"
    x = rng.integers(0, net.out.shape[-1], shape).astype(np.int32) if words else rng.random(shape, np.float32)
    y = rng.integers(0, net.out.shape[-1], (batch, *net.out.shape[:-1])).astype(np.int32)
    if word == "xla" or not grow:  # XLA compiles in the first call; IREE keeps of it what the second would need
        session.train_step(x, y, 1e-3)
    if grow:
        print(json.dumps(growth(libc, lambda: session.train_step(x, y, 1e-3))), flush=True)
        return
    for _ in sys.stdin:
        start = time.process_time()
        session.train_step(x, y, 1e-3)
        print(json.dumps(time.process_time() - start), flush=True)


def growth(libc: ctypes.CDLL, step: Callable[[], object]) -> int:
    """The bytes that a step adds to this process, at its fullest."""
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest so far is forgotten
    before = _status("VmRSS")
    step()
    return max(_status("VmHWM"), _status("VmRSS")) - before


def run(name: str, batch: int, word: str, rounds: int) -> list[tuple[str, ...]]:
    """Two processes in turns; the rows of both."""
    command = [sys.executable, __file__, "--child", f"{name}:{batch}", "--targets", word]
    started = []
    for more in ([], ["--remat"]):
        grown = subprocess.run([*command, *more, "--grow"], stdout=subprocess.PIPE, text=True, check=True).stdout
        process = subprocess.Popen([*command, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append((process, json.loads(grown)))
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for (process, _), own in zip(started, times, strict=True):
            assert process.stdin is not None and process.stdout is not None  # both are pipes
            process.stdin.write("step\n")
            process.stdin.flush()
            own.append(json.loads(process.stdout.readline()))
    rows = []
    plain = min(times[0]), started[0][1]
    for how, (process, grown), own in zip(("plain", "remat"), started, times, strict=True):
        process.communicate()
        seconds = min(own)
        rows.append(
            (name, str(batch), word, how, f"{seconds * 1e3:.1f}", f"{seconds / plain[0]:.2f}", f"{grown / 1e6:.1f}",
             f"{grown / plain[1]:.2f}")
        )  # fmt: skip
    return rows


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(planned: list[tuple[str, ...]], ran: list[tuple[str, ...]], rounds: int) -> str:
    """Both tables."""
    by = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = [
        "# Memory of a training step", "",
        f"Made by scripts/memory_table.py on {datetime.date.today().isoformat()}; Adam, float32; {by}. All in MB (10^6",
        "bytes). docs/memory.md says what the columns are.", "", table(HEADS, planned), "",
    ]  # fmt: skip
    if ran:
        text += [
            f"Run on this machine's CPU, plain and recomputed in turns, the least of {rounds} steps: the machine did",
            "other work too. Growth is what a step added to its process, which holds the state already.",
            "", table(RUN_HEADS, ran), "",
        ]  # fmt: skip
    return "\n".join(text)


def parse(words: str) -> tuple[str, int]:
    """NET:BATCH."""
    name, _, batch = words.partition(":")
    return name, int(batch)


def main() -> None:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=DEFAULT)
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--run", default=RUN, help="nets to run, with commas between; '' for none")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help=f"into {FILE.name}")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--grow", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--remat", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*parse(options.child), options.targets, options.remat, options.grow)
        return
    planned = []
    for words in options.nets:
        for remat in (False, True):
            for word in options.targets.split(","):
                row = plan(*parse(words), word, remat)
                if row is not None:
                    planned.append(row.cells())
                    print(*planned[-1], flush=True)
    ran = []
    for words in filter(None, options.run.split(",")):
        for word in options.targets.split(","):
            ran += run(*parse(words), word, options.rounds)
            print(*ran[-2:], sep="\n", flush=True)
    if options.write:
        FILE.write_text(page(planned, ran, options.rounds), encoding="utf-8")
        print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
