"""What IREE makes of `--precision bf16`: whether a train step compiles, how long, and with which matrix instructions.

    python scripts/precision_builds.py [NET[@SIZE]:BATCH ..] [--targets T,T] [--precisions P,P] [--timeout S]
        [--write]

Compiles the whole module (Adam, without norms) without the cache and looks at the LLVM code of its kernels: how many
there are, how many of them hold a matrix instruction, and which instructions these are. Nothing runs, so no device is
needed. `--write` merges the rows into docs/measurements/precision.json and renders precision.md.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from timed_compile import FOLDER, Timed, merge, named, timed_compile

from netc.codegen.program import build
from netc.netspec.recipe import Recipe
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

NETS = ("mnist-mlp:128", "mnist-cnn:32", "vit_tiny_patch4_32:8", "resnet18@64:8")
TARGETS = "cpu,cuda:sm_89,rocm:gfx1100"
KEPT = FOLDER / "precision.json"
# NVIDIA's tensor cores, AMD's WMMA and MFMA, and the bf16 dot product of AVX-512 and of AMX, as LLVM names them
MATRIX = re.compile(
    r"@llvm\.(nvvm\.w?mma\.[\w.]+|amdgcn\.(?:wmma|mfma)\.[\w.]+|x86\.(?:avx512bf16\.dp|td)bf16ps[\w.]*)"
)


@dataclass(frozen=True)
class Row(Timed):
    """One compile, and what is in its kernels."""

    net: str
    target: str
    precision: str
    kernels: int
    with_matrix: int
    instructions: str


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
    target = parse_target(target_word)

    def text() -> str:
        net, loss, batch = named(word)
        return emit_text(build(net, Recipe(loss=loss, norms=False, precision=precision), batch), target).text

    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        dumped = Path(folder) / "dump"
        flags = (*target.flags, f"--iree-hal-dump-executable-intermediates-to={dumped}")
        done = timed_compile(text, replace(target, flags=flags), Path(folder) / "module.vmfb", timeout)
        kernels, holding, seen = kernels_of(dumped)
    instructions = ", ".join(f"{name} ({count})" for name, count in seen.most_common(2))
    return Row(**asdict(done), net=word, target=target_word, precision=precision, kernels=kernels, with_matrix=holding,
               instructions=instructions)  # fmt: skip


def table(rows: list[Row]) -> str:
    """The Markdown page."""
    lines = [
        "# bf16 and float32 train steps, compiled",
        "",
        "Made by scripts/precision_builds.py; nothing was run. `processor s` is what iree-compile used, `wall s` is",
        "beside other work (`load` a core at the end). A kernel is one dispatch's function; `with matrix` are those",
        "that hold a matrix instruction, the two commonest of which are named, with how often they stand in the code.",
        "Rows of the CPU from 2026-11-22 on are without the compiler's checks of itself (docs/design-notes.md).",
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
                    merge(row, KEPT, lambda r: (r.net, r.target, r.precision != "f32"), NETS, table)


if __name__ == "__main__":
    main()
