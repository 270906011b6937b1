"""Which nets compile for which targets: seconds and artefact sizes, or what failed.

    python scripts/build_matrix.py [NET[@SIZE][:BATCH] ...] [--targets T,T] [--timeout S] [--norms] [--write]

Emits the whole module (init, train_step, eval_step, predict; Adam) and gives it to iree-compile, a process
of its own, without the cache. SIZE is the side of square colour images; family:NAME is a net of
scripts/families.py; nothing runs, so no device is needed. `--write`
merges the rows into docs/measurements/build_matrix.json, so that the table can be measured in parts, and renders
build_matrix.md from it.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from families import FAMILIES
from timed_compile import FOLDER, Timed, merge, named, timed_compile

from netc.codegen.program import build
from netc.netspec.recipe import Recipe
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

TARGETS = "cuda:sm_89,rocm:gfx1100,vulkan"
# one of each family, with inputs as small as its strides allow
DEFAULT = (
    "mnist-linear:32", "mnist-mlp:32", "mnist-cnn:32", "resnet34-cifar:32", "resnet50@64:8", "mobilenet_v2@64:8",
    "mobilenet_v3_small@64:8", "efficientnet_b0@64:8", "convnext_tiny@64:8", "densenet121@64:8",
    "shufflenet_v2_x1_0@64:8", "squeezenet1_1@64:8", "vgg11_bn@64:8", "vit_tiny_patch4_32:8", "tiny-gpt:8",
    "tiny-mamba:8", *(f"family:{name}:4" for name in FAMILIES),
)  # fmt: skip
KEPT = FOLDER / "build_matrix.json"


@dataclass(frozen=True)
class Built(Timed):
    """One cell: of this net, for this target, with or without the norms of gradients and parameters."""

    net: str
    target: str
    norms: bool


def attempt(word: str, target_word: str, norms: bool, timeout: float) -> Built:
    """Build one net for one target; a failure is a row too."""
    target = parse_target(target_word)

    def text() -> str:
        net, loss, batch = named(word)
        return emit_text(build(net, Recipe(loss=loss, norms=norms), batch), target).text

    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        done = timed_compile(text, target, Path(folder) / "module.vmfb", timeout)
    return Built(**asdict(done), net=word, target=target_word, norms=norms)


def table(rows: list[Built]) -> str:
    """The Markdown page."""
    lines = [
        "# Which nets compile for which targets",
        "",
        "Made by scripts/build_matrix.py. NET@SIZE:BATCH is a training module on square colour images of that side;",
        "family:NAME is a small net of one family's layers (scripts/families.py).",
        "Nothing was run. `processor s` is the compiler's processor time, `wall s` beside other work on the machine",
        "(`load` is its load average a core at the end, and other programs may have stopped it). `norms`: with the",
        "norms of gradients and parameters.",
        "",
        "| net | target | norms | emission s | processor s | wall s | load | kB | failed at | date | compiler |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        failed = f"{r.step}: {r.error[:200]}".replace("|", "/") if r.step else ""
        size = f"{r.size / 1000:.0f}" if r.size else "-"
        lines.append(
            f"| {r.net} | {r.target} | {'yes' if r.norms else 'no'} | {r.emission:.2f} | {r.processor or '-'} | "
            f"{r.wall:.1f} | {r.load:.1f} | {size} | {failed} | {r.date} | "
            f"{r.compiler} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=DEFAULT)
    parser.add_argument("--targets", default=TARGETS)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one compile")
    parser.add_argument("--norms", action="store_true", help="with the norms of gradients and parameters")
    parser.add_argument("--write", action="store_true", help=f"into {FOLDER.name}/build_matrix.md")
    options = parser.parse_args()
    for word in options.nets:
        for target in options.targets.split(","):
            built = attempt(word, target, options.norms, options.timeout)
            outcome = f"FAILED at {built.step}: {built.error}" if built.step else f"{built.size / 1000:.0f} kB"
            seconds = f"{built.processor:7.1f} s, wall {built.wall:7.1f} s"
            print(f"{word:28} {target:14} {seconds}  load {built.load:.1f}  {outcome}", flush=True)
            if options.write:
                merge(built, KEPT, lambda row: (row.net, row.target), DEFAULT, table)


if __name__ == "__main__":
    main()
