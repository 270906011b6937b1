"""Whether IREE still needs each workaround of netc: a program for each row, compiled and loaded with it and without.

    python scripts/workarounds.py [NAME ...] [--all]

A workaround is needed as long as the program without it is refused, or does not compile within the limit that the one
with it keeps. Prints a table. The programs of minutes run with --all or by name; tests/runtime/test_workarounds.py runs
the others. Two rows have scripts of their own, for they need a device or a measure of memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.iree.workarounds import WORKAROUNDS
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.compile import CompileError, compile_text
from netc.runtime.target import parse_target

FINE = "compiles"
LARGE_VECTORS = "--iree-llvmcpu-fail-on-large-vector=true"  # netc lets them be, and waits
OWN_SCRIPTS = {
    "part_repeated_sums": "scripts/repro_broadcast_sum_vulkan.py",
    "part_joint_barriers": "scripts/repro_memory_cpu.py",
}


@dataclass(frozen=True)
class Program:
    """A function of a module for a target, and what IREE says of it without the workaround.

    `limit` in seconds is what it may take with it; `loaded`: the artefact is loaded too.
    """

    make: Callable[[], Module]
    says: str
    function: str = "train_step"
    target: str = "cpu"
    flags: tuple[str, ...] = ()
    limit: float = 120
    quick: bool = True
    loaded: bool = False


def _step(spec: NetSpec, recipe: Recipe, batch: int) -> Module:
    return build(check(spec), recipe, batch).module


def _dense(inputs: int, hidden: int) -> NetSpec:
    return NetSpec("dense", (inputs,), (nn.Dense(hidden, activation="relu", name="a"), nn.Dense(10, name="b")))


def _deep() -> NetSpec:
    """More than 64 parameters."""
    hidden = [nn.Dense(8, activation="relu", name=f"a{i}") for i in range(36)]
    return NetSpec("deep", (8,), (*hidden, nn.Dense(4, name="b")))


def _stored_twice() -> Module:
    """A 3x3 convolution of 128 channels in bf16, relu, and both types of its result."""
    b = Builder("f")
    x, w = (b.parameter(n, TensorType(s, "bf16")) for n, s in (("x", (4, 8, 8, 128)), ("w", (3, 3, 128, 128))))
    y = b.op("conv", x, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
    a = b.maximum(y, 0.0)
    return Module("stored", (b.finish([("a", a), ("copy", b.convert(a, "bf16"))]),))


def _inverted(*blocks: nn.InvertedResidual) -> NetSpec:
    """The head of a mobilenet."""
    stem = nn.ConvBn(32, 3, 2, activation="relu6", name="stem")
    return NetSpec("inverted", (32, 32, 3), (stem, *blocks, nn.GlobalAvgPool(), nn.Dense(10)))


TOO_LONG = "took more than"
PROGRAMS: dict[str, Program] = {
    "fence_loss": Program(lambda: _step(_dense(64, 32), Recipe(SGD(0.0), norms=False), 32), "'vector.store' op write"),
    "fence_gradients": Program(
        lambda: _step(_dense(784, 512), Recipe(norms=False), 128), "large vector sizes", flags=(LARGE_VECTORS,)
    ),
    "fence_norms": Program(lambda: _step(_deep(), Recipe(SGD(0.0)), 4), "constants exceeds limit of 64", loaded=True),
    "part_narrow_copies": Program(_stored_twice, "bytes of shared memory", "f", "rocm:gfx1100"),
    "fence_gelu": Program(lambda: _step(find("tiny-gpt"), Recipe(norms=False), 12), TOO_LONG, limit=240, quick=False),
    "fence_rounded_operands": Program(
        lambda: _step(
            _inverted(nn.InvertedResidual(24, 6.0, blocks=2, name="a")),
            Recipe(SGD(0.0), norms=False, precision="bf16"),
            32,
        ),
        TOO_LONG,
        limit=60,
        quick=False,
    ),
    "part_joined_sums": Program(
        lambda: _step(
            _inverted(nn.InvertedResidual(16, 1.0, name="a"), nn.InvertedResidual(24, 6.0, name="b")),
            Recipe(SGD(0.0), norms=False),
            32,
        ),
        TOO_LONG,
        limit=60,
        quick=False,
    ),
}


def outcome(program: Program, without: str = "") -> str:
    """FINE, or what IREE says of the program; the pass `without` is left out."""
    target = parse_target(program.target)
    target = replace(target, flags=(*target.flags, *program.flags))
    module = lower(program.make(), target.profile, without=without).needed(program.function)
    source = Source(module, text_of(module, target.profile))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        path = Path(folder) / "module.vmfb"
        try:
            compile_text(source.text, target, path, program.limit)
            if program.loaded:
                load(replace(source, artefact=path), target)
        except (CompileError, IndexError) as error:  # IndexError: the runtime's "out of range" at load
            return " ".join(str(error).split())[:300]
    return FINE


def main() -> int:
    """Print the table; 1 where a workaround is no longer needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true", help="also the programs that take minutes")
    options = parser.parse_args()
    needless = False
    print("| workaround | with | without | needed |\n|---|---|---|---|")
    for row in WORKAROUNDS:
        if row.name in OWN_SCRIPTS:
            print(f"| `{row.name}` | see {OWN_SCRIPTS[row.name]} | | |")
            continue
        program = PROGRAMS[row.name]
        if row.name in options.names or (not options.names and (program.quick or options.all)):
            shown, said = [], []
            for without in ("", row.name):
                begin = time.perf_counter()
                said.append(outcome(program, without))
                shown.append(f"{said[-1][:100]} ({time.perf_counter() - begin:.0f} s)")
            needless |= said[1] == FINE
            found = "unknown" if said[0] != FINE else "yes" if program.says in said[1] else "NO"
            print(f"| `{row.name}` | {shown[0]} | {shown[1]} | {found} |", flush=True)
    return int(needless)


if __name__ == "__main__":
    raise SystemExit(main())
