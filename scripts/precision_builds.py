"""What IREE makes of `--precision bf16`: whether a train step compiles, how long, and with which matrix instructions.

    python scripts/precision_builds.py [NET[@SIZE]:BATCH ...] [--targets T,T] [--precisions P,P] [--timeout S] [--write]

Compiles the whole module (Adam, without norms) without the cache and looks at the LLVM code of its kernels: how many
there are, how many of them hold a matrix instruction, and which instructions these are. Nothing runs, so no device is
needed. `--write` merges the rows into docs/measurements/precision.json and renders precision.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import resource
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.recipe import Recipe
from netc.netspec.zoo import find
from netc.runtime.compile import COMPILER, compile_text, version_of
from netc.runtime.session import emit_text
from netc.runtime.target import parse_target

NETS = ("mnist-mlp:128", "mnist-cnn:32", "vit_tiny_patch4_32:8", "resnet18@64:8")
TARGETS = "cpu,cuda:sm_89,rocm:gfx1100"
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "measurements"
# NVIDIA's tensor cores, AMD's WMMA and MFMA, and the bf16 dot product of AVX-512 and of AMX, as LLVM names them
MATRIX = re.compile(
    r"@llvm\.(nvvm\.w?mma\.[\w.]+|amdgcn\.(?:wmma|mfma)\.[\w.]+|x86\.(?:avx512bf16\.dp|td)bf16ps[\w.]*)"
)


@dataclass(frozen=True)
class Row:
    """One compile. Seconds: wall clock beside other work, and processor time of the compiler; `size` in bytes."""

    net: str
    target: str
    precision: str
    date: str
    compiler: str
    wall: float
    processor: float
    load: float
    size: int = 0
    kernels: int = 0
    with_matrix: int = 0
    instructions: str = ""
    error: str = ""


def kernels_of(folder: Path) -> tuple[int, int, Counter[str]]:
    """(kernels, those with a matrix instruction, the instructions in the code) of what the compiler dumped."""
    kernels, holding, seen = 0, 0, Counter[str]()
    for path in folder.glob("*.optimized.ll"):
        for body in re.split(r"^define ", path.read_text(encoding="utf-8", errors="replace"), flags=re.M)[1:]:
            name = body.split("(", 1)[0]
            if "_dispatch_" not in name and "_encoding_" not in name:
                continue
            found = MATRIX.findall(body.split("\n}", 1)[0])
            kernels, holding = kernels + 1, holding + bool(found)
            seen.update(found)
    return kernels, holding, seen


def attempt(word: str, target_word: str, precision: str, timeout: float) -> Row:
    """Build one net for one target; a refusal is a row too."""
    matched = re.fullmatch(r"([^@:]+)(?:@(\d+))?:(\d+)", word)
    if matched is None:
        raise SystemExit(f"wants NET:BATCH or NET@SIZE:BATCH, got {word!r}; write for example resnet18@64:8")
    side, spec = matched[2], find(matched[1])
    net = check(spec.with_input((int(side), int(side), 3)) if side else spec)
    target = parse_target(target_word)
    began, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    size, error, facts = 0, "", (0, 0, Counter[str]())
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        dumped, output = Path(folder) / "dump", Path(folder) / "module.vmfb"
        flags = (*target.flags, f"--iree-hal-dump-executable-intermediates-to={dumped}")
        try:
            program = build(net, Recipe(norms=False, precision=precision), int(matched[3]))
            compile_text(emit_text(program, target).text, replace(target, flags=flags), output, timeout)
            size, facts = output.stat().st_size, kernels_of(dumped)
        except NetcError as failure:
            error = str(failure).splitlines()[0]
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    instructions = ", ".join(f"{name} ({count})" for name, count in facts[2].most_common(2))
    return Row(
        word, target_word, precision, datetime.date.today().isoformat(), f"{COMPILER} {version_of(COMPILER)}",
        round(time.perf_counter() - began, 1),
        round(now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime, 1),
        round(os.getloadavg()[0] / (os.cpu_count() or 1), 1), size, facts[0], facts[1], instructions, error,
    )  # fmt: skip


def table(rows: list[Row]) -> str:
    """The Markdown page."""
    lines = [
        "# bf16 and float32 train steps, compiled",
        "",
        "Made by scripts/precision_builds.py; nothing was run. `processor s` is what iree-compile used, `wall s` is",
        "beside other work (`load` a core at the end). A kernel is one dispatch's function; `with matrix` are those",
        "that hold a matrix instruction, the two commonest of which are named, with how often they stand in the code.",
        "",
        "| net | target | precision | processor s | wall s | load | kB | kernels | with matrix | instructions | "
        "refused | date |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r.net} | {r.target} | {r.precision} | {r.processor:.1f} | {r.wall:.1f} | {r.load:.1f} | "
            f"{f'{r.size / 1000:.0f}' if r.size else '-'} | {r.kernels or '-'} | {r.with_matrix if r.size else '-'} | "
            f"{r.instructions} | {r.error[:160].replace('|', '/')} | {r.date} |"
        )
    return "\n".join([*lines, "", f"Compiler: {', '.join(sorted({r.compiler for r in rows}))}."]) + "\n"


def merge(new: Row) -> None:
    """Put one row into the JSON in place of an older one of the same build, and render the page."""
    path = FOLDER / "precision.json"
    old = [Row(**r) for r in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []
    same = (new.net, new.target, new.precision)
    order = {net: i for i, net in enumerate(NETS)}
    rows = [r for r in old if (r.net, r.target, r.precision) != same] + [new]
    rows.sort(key=lambda r: (order.get(r.net, len(order)), r.net, r.target, r.precision != "f32"))
    path.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    (FOLDER / "precision.md").write_text(table(rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--targets", default=TARGETS)
    parser.add_argument("--precisions", default="f32,bf16")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one compile")
    parser.add_argument("--write", action="store_true", help=f"into {FOLDER.name}/precision.md")
    options = parser.parse_args()
    for word in options.nets:
        for target in options.targets.split(","):
            for precision in options.precisions.split(","):
                row = attempt(word, target, precision, options.timeout)
                outcome = row.error or f"{row.with_matrix} of {row.kernels} kernels: {row.instructions}"
                print(f"{word:22} {target:13} {precision:5} {row.processor:7.1f} s  {outcome}", flush=True)
                if options.write:
                    merge(row)


if __name__ == "__main__":
    main()
