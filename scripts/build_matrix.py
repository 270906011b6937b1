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
import datetime
import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from families import FAMILIES, family

from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.loss import CrossEntropy
from netc.netspec.recipe import Recipe
from netc.netspec.zoo import find
from netc.runtime.compile import COMPILER, compile_text, version_of
from netc.runtime.target import parse_target

TARGETS = "cuda:sm_89,rocm:gfx1100,vulkan"
# one of each family, with inputs as small as its strides allow
DEFAULT = (
    "mnist-linear:32", "mnist-mlp:32", "mnist-cnn:32", "resnet34-cifar:32", "resnet50@64:8", "mobilenet_v2@64:8",
    "mobilenet_v3_small@64:8", "efficientnet_b0@64:8", "convnext_tiny@64:8", "densenet121@64:8",
    "shufflenet_v2_x1_0@64:8", "squeezenet1_1@64:8", "vgg11_bn@64:8", "vit_tiny_patch4_32:8", "tiny-gpt:8",
    "tiny-mamba:8", *(f"family:{name}:4" for name in FAMILIES),
)  # fmt: skip
FOLDER = Path(__file__).resolve().parents[1] / "docs" / "measurements"


@dataclass(frozen=True)
class Built:
    """One cell. `step` is the one that failed, or empty; `size` in bytes; seconds are wall clock, `load` per core."""

    net: str
    target: str
    date: str
    compiler: str
    norms: bool
    load: float
    emission: float
    compilation: float
    size: int
    step: str = ""
    error: str = ""


def attempt(word: str, target_word: str, norms: bool, timeout: float) -> Built:
    """Build one net for one target; a failure is a row too."""
    matched = re.fullmatch(r"((?:family:)?[^@:]+)(?:@(\d+))?(?::(\d+))?", word)
    if matched is None:
        raise SystemExit(f"wants NET, NET@SIZE or NET@SIZE:BATCH, got {word!r}; write for example resnet50@64:8")
    name, side, batch = matched[1], matched[2], int(matched[3] or 32)
    started, emitted, size, step, error = time.perf_counter(), None, 0, "check", ""
    try:
        spec, loss = family(name[7:]) if name.startswith("family:") else (find(name), CrossEntropy())
        net = check(spec.with_input((int(side), int(side), 3)) if side else spec)
        step = "emit"
        target = parse_target(target_word)
        text = render(lower(build(net, Recipe(loss=loss, norms=norms), batch).module, target.family))
        step, emitted = "compile", time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="netc-") as folder:
            output = Path(folder) / "module.vmfb"
            compile_text(text, target, output, timeout)
            size, step = output.stat().st_size, ""
    except Exception as failure:  # any failure belongs in the table  # noqa: BLE001
        error = f"{type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}"
    now = time.perf_counter()
    middle = emitted or now
    return Built(
        word, target_word, datetime.date.today().isoformat(), f"{COMPILER} {version_of(COMPILER)}", norms,
        round(os.getloadavg()[0] / (os.cpu_count() or 1), 1), round(middle - started, 2), round(now - middle, 1),
        size, step, error,
    )  # fmt: skip


def table(rows: list[Built]) -> str:
    """The Markdown page."""
    lines = [
        "# Which nets compile for which targets",
        "",
        "Made by scripts/build_matrix.py. NET@SIZE:BATCH is a training module on square colour images of that side;",
        "family:NAME is a small net of one family's layers (scripts/families.py).",
        "Nothing was run. Seconds are wall clock beside other work; `load` is the load average a core at the end of",
        "the compile, so that 2 means about twice the seconds of an idle machine. `norms`: with the norms of gradients",
        "and parameters.",
        "",
        "| net | target | norms | emission s | compile s | load | artefact kB | failed at | date | compiler |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        failed = f"{r.step}: {r.error[:200]}".replace("|", "/") if r.step else ""
        lines.append(
            f"| {r.net} | {r.target} | {'yes' if r.norms else 'no'} | {r.emission:.2f} | {r.compilation:.1f} | "
            f"{r.load:.1f} | {f'{r.size / 1000:.0f}' if r.size else '-'} | {failed} | {r.date} | {r.compiler} |"
        )
    return "\n".join(lines) + "\n"


def merge(new: Built) -> None:
    """Put one row into the JSON in place of an older one of its net and target, and render the page."""
    path = FOLDER / "build_matrix.json"
    old = [Built(**r) for r in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []
    kept = [r for r in old if (r.net, r.target) != (new.net, new.target)]
    order = {net: i for i, net in enumerate(DEFAULT)}
    rows = sorted([*kept, new], key=lambda r: (order.get(r.net, len(order)), r.net, r.target))
    path.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8")
    (FOLDER / "build_matrix.md").write_text(table(rows), encoding="utf-8")


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
            print(f"{word:28} {target:14} {built.compilation:7.1f} s  load {built.load:.1f}  {outcome}", flush=True)
            if options.write:
                merge(built)


if __name__ == "__main__":
    main()
