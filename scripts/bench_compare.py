"""What a training step costs by numbers that do not depend on the machine's mood, and whether they grew.

    python scripts/bench_compare.py [NET[@SIDE][:BATCH] ...] [--dispatches] [--write]

For each net and lowering profile: the operations of the lowered train_step by kind, the bytes of the whole text,
flops and bytes by the cost model (codegen/analysis/step_cost.py) and, with --dispatches, the dispatches that IREE makes
of the step for this CPU. Compares them with the youngest entry of docs/measurements/history.json that has the net; a
number that grew by more than 10 % is a regression, and the exit code is 1. `--write` appends an entry with the date and
the git revision.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netc.codegen.analysis.step_cost import works
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.check import CheckedNet, check
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.runtime.compile import compile_text
from netc.runtime.measure import dispatches
from netc.runtime.target import parse_target

HISTORY = Path(__file__).resolve().parents[1] / "docs" / "measurements" / "history.json"
NETS = (
    "mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32", "mobilenet_v2@32:32", "vit_tiny_patch4_32:32", "tiny-gpt:12",
)  # fmt: skip
FAMILIES = ("cpu", "xla", "gpu")
WATCHED = ("ops", "text_bytes", "flops", "bytes", "dispatches")
GROWTH = 0.10
Numbers = dict[str, Any]


def net_of(word: str) -> tuple[CheckedNet, int]:
    """`mobilenet_v2@32:32` -> the net for square images of that side with 10 classes, and the batch."""
    matched = re.fullmatch(r"([^@:]+)(?:@(\d+))?(?::(\d+))?", word)
    if matched is None:
        raise SystemExit(f"wants NET, NET@SIDE or NET@SIDE:BATCH, got {word!r}; write for example mobilenet_v2@32:32")
    spec = find(matched[1])
    if side := int(matched[2] or 0):
        spec = spec.with_input((side, side, 3)).with_classes(10)
    return check(spec), int(matched[3] or 32)


def numbers(word: str, counted: bool = False) -> dict[str, Numbers]:
    """By lowering profile: what stands in the history. `counted`: IREE's dispatches too, of cpu."""
    net, batch = net_of(word)
    program = build(net, Recipe(norms=False), batch)
    found: dict[str, Numbers] = {}
    for family in FAMILIES:
        module = lower(program.module, family)
        step, text = module.function("train_step"), text_of(module, family)
        work = works(step)
        found[family] = {
            "ops": len(step.ops), "text_bytes": len(text), "flops": sum(w.flops for w in work),
            "bytes": sum(w.bytes for w in work), "kinds": dict(sorted(step.counts().items())),
        }  # fmt: skip
        if counted and family == "cpu":
            found[family]["dispatches"] = dispatch_count(text)
    return found


def dispatch_count(text: str) -> int:
    """How many dispatches the step has after IREE's fusion for this CPU; no code is generated."""
    target = parse_target("cpu")
    target = replace(target, flags=(*target.flags, *dispatches.FLAGS))
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        output = Path(folder) / "places.mlir"
        compile_text(text, target, output)
        return sum(map(len, dispatches.lists_of(output.read_text(encoding="utf-8"), "train_step")))


def before(entries: Sequence[dict[str, Any]], word: str, family: str) -> Numbers:
    """The youngest numbers of a net: each that was measured at all."""
    known: Numbers = {}
    for entry in entries:
        known |= entry["nets"].get(word, {}).get(family, {})
    return known


def grown(old: Numbers, new: Numbers) -> Iterator[str]:
    """A sentence for each watched number that grew by more than GROWTH, with the kinds of operations that did."""
    for name in WATCHED:
        if name in old and name in new and new[name] > old[name] * (1 + GROWTH):
            yield f"{name} {old[name]:,} -> {new[name]:,} ({new[name] / old[name] - 1:+.1%})"
            if name == "ops":
                kinds = {k: (old["kinds"].get(k, 0), n) for k, n in new["kinds"].items()}
                more = sorted(kinds.items(), key=lambda kind: kind[1][0] - kind[1][1])[:3]
                yield "  most of it: " + ", ".join(f"{k} {a} -> {b}" for k, (a, b) in more if b > a)


def revision() -> str:
    """The commit that is checked out, with a plus where files differ from it."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+" if changed.stdout else "")


def main(arguments: Sequence[str]) -> int:
    """Compare and print; 1 for a regression."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS), metavar="NET[@SIDE][:BATCH]")
    parser.add_argument("--dispatches", action="store_true", help="count IREE's dispatches; takes the compiler's time")
    parser.add_argument("--history", type=Path, default=HISTORY)
    parser.add_argument("--write", action="store_true", help="append an entry to the history")
    options = parser.parse_args(arguments)
    entries = json.loads(options.history.read_text())["entries"] if options.history.exists() else []
    measured: dict[str, dict[str, Numbers]] = {}
    worse = False
    for word in options.nets:
        measured[word] = numbers(word, options.dispatches)
        for family, new in measured[word].items():
            old = before(entries, word, family)
            said = list(grown(old, new))
            worse |= bool(said)
            shown = ", ".join(f"{n} {new[n]:,}" + change(old.get(n), new[n]) for n in WATCHED if n in new)
            print(f"{word} {family}: {shown}")
            for line in said:
                print(f"  GREW {line}")
    if options.write:
        date = datetime.date.today().isoformat()
        entries.append({"date": date, "revision": revision(), "nets": measured})
        options.history.write_text(json.dumps({"format": 1, "entries": entries}, indent=1) + "\n")
        print(f"wrote {options.history}")
    return int(worse)


def change(old: int | None, new: int) -> str:
    """` (+1.2%)`, nothing where it is the same, ` (new)` where there was nothing."""
    return " (new)" if old is None else "" if old == new else f" ({new / old - 1:+.1%})" if old else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
