"""Of which layers, losses and nets `netc prove` finds a proof, and which of them Lean takes.

    python scripts/proof_table.py [--layers [KIND ..]] [--optimizers] [--texts] [--rewrites] [--check] [--nets NET ..]
        [--write]

One row for each kind of layer that has a rule of its own, for each loss, each optimizer, each text of
tests/proofs/texts, each rewrite of an operation, and each net of --nets. `--check` lets Lean check each file, one after
the other. `--write` writes docs/measurements/proofs.md, in which rows that were not asked for stay as they
are, and proofs/taken.json, the kinds of which Lean took a proof.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from netc.cli.prove_text import prove_file
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.netspec.layer import Layer
from netc.netspec.layers import (
    BottleneckBlock,
    ChannelsToTokens,
    ConvBn,
    DepthToSpace,
    HalfProduct,
    LearnedTokens,
    ResidualBlock,
    SelectiveScan,
    SpatialUnflatten,
    TakeTokens,
    WindowAttention,
)
from netc.netspec.loss import LOSSES
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs.lean import PACKAGE, VERSION
from netc.proofs.optimizer import OptimizerProof, prove_optimizers
from netc.proofs.prove import Proof, checked, prove, prove_layer, prove_loss, prove_rewrite
from netc.proofs.rewrites import REWRITES

ROOT = Path(__file__).parents[1]
TEXTS = ROOT / "tests" / "proofs" / "texts"
PAGE = ROOT / "docs" / "measurements" / "proofs.md"
TAKEN = ROOT / "proofs" / "taken.json"
# kinds whose example in tests/codegen has an axis of size 1, which a proof leaves out, or a block without its shortcut
WIDER: dict[str, tuple[Layer, TensorType]] = {
    "convBn": (ConvBn(2, 3), TensorType((5, 4, 2))),
    "residualBlock": (ResidualBlock(3, stride=2), TensorType((4, 4, 2))),
    "bottleneckBlock": (BottleneckBlock(8, stride=2), TensorType((4, 4, 3))),
    "halfProduct": (HalfProduct(), TensorType((4, 3, 6))),
    "selectiveScan": (SelectiveScan(2), TensorType((4, 10))),
    "spatialUnflatten": (SpatialUnflatten(2, 3), TensorType((6, 4))),
    "learnedTokens": (LearnedTokens(2), TensorType((3, 4))),
    "takeTokens": (TakeTokens(2), TensorType((3, 4))),
    "channelsToTokens": (ChannelsToTokens(3), TensorType((2, 6))),
    "windowAttention": (WindowAttention(2, 2, 1, 2, (0, 1)), TensorType((8, 12))),
    "depthToSpace": (DepthToSpace(), TensorType((3, 2, 12))),
}
NETS = ("mnist-mlp", "mnist-cnn", "tiny-gpt", "tiny-mamba", "vit_tiny_patch4_32", "resnet34")


def row(name: str, make: Callable[[], Proof | OptimizerProof], folder: Path, ask: bool) -> str:
    """One row of the page: what was found, and Lean's answer."""
    begin = time.process_time()
    try:
        proof = make()
    except (UserError, NetcError) as error:
        unread = re.search(r"meaning for, got (?:line \d+:|\S+) (.*), in ", str(error))
        reason = f"no meaning yet for {unread[1]}" if unread else re.split(r"; `netc certify`", str(error))[0]
        return f"| {name} | not found: {reason} | | | | |"
    search = time.process_time() - begin
    size = f"{proof.operations} | {proof.lines:,} | {search:.1f}"
    if not ask:
        return f"| {name} | found | {size} | |"
    path = folder / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = checked(proof, path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = f"taken, {spent:.0f}" if answer.holds else "refused"
    return f"| {name} | found | {size} | {said} |"


def is_kind(name: str, layers: Mapping[str, object]) -> bool:
    """Whether a row is of a kind of layer, a loss or an optimizer."""
    return name in layers or name.startswith(("loss:", "optimizer:"))


def main() -> int:
    """Find, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="*", metavar="KIND", help="these layers and losses; all if none is named")
    parser.add_argument("--optimizers", action="store_true")
    parser.add_argument("--texts", action="store_true", help="the texts that JAX made")
    parser.add_argument("--rewrites", action="store_true", help="what passes make of operations")
    parser.add_argument("--nets", nargs="*", default=[], metavar="NET")
    parser.add_argument("--check", action="store_true", help="let Lean check each")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.codegen.examples import EXAMPLES

    rows: dict[str, str] = {}
    if PAGE.exists():
        rows = {m[1]: m[0] for m in re.finditer(r"^\| (\S+) \| .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    jobs: dict[str, Callable[[], Proof | OptimizerProof]] = {}
    if options.layers is not None:
        for kind, e in EXAMPLES.items():
            layer, x = WIDER.get(kind, (e.layer, e.x))
            jobs[kind] = lambda layer=layer, x=x: prove_layer(layer, x, 3)
        for kind, loss in LOSSES.items():
            out = TensorType((2, 4) if kind == "branching" else (4,))  # slots of numbers, a count and a logit
            jobs[f"loss:{kind}"] = lambda loss=loss, out=out: prove_loss(loss(), out, 3)
        jobs = {name: job for name, job in jobs.items() if not options.layers or name in options.layers}
    for word in OPTIMIZERS if options.optimizers else ():
        jobs[f"optimizer:{word}"] = lambda word=word: prove_optimizers([word])
    for path in sorted(TEXTS.glob("*.mlir")) if options.texts else ():
        jobs[path.name] = lambda path=path: prove_file(path)[0]
    for name in REWRITES if options.rewrites else ():
        jobs[f"rewrite:{name}"] = lambda name=name: prove_rewrite(name)
    for name in options.nets:
        jobs[name] = lambda name=name: prove(build(check(find(name)), Recipe(), 3))
    with tempfile.TemporaryDirectory() as folder:
        for name, make in jobs.items():
            rows[name] = row(name, make, Path(folder), options.check)
            print(rows[name], flush=True)
            if options.write:
                PAGE.write_text(page(rows), encoding="utf-8")
                found = sorted(n for n, line in rows.items() if "| taken, " in line and is_kind(n, EXAMPLES))
                TAKEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def page(rows: Mapping[str, str]) -> str:
    """The page: nets, layers, losses."""
    losses = [n for n in rows if n.startswith("loss:")]
    optimizers = [n for n in rows if n.startswith("optimizer:")]
    nets = [n for n in rows if n in NETS]
    texts = [n for n in rows if n.endswith(".mlir")]
    rewrites = [n for n in rows if n.startswith("rewrite:")]
    layers = [n for n in rows if n not in (*losses, *optimizers, *nets, *texts, *rewrites)]
    head = ["| | proof | operations | lines of Lean | search, CPU s | Lean, CPU s |", "|---|---|---|---|---|---|"]
    found = sum("| found |" in rows[n] for n in layers)
    return "\n".join([
        "# What is proven", "",
        f"{time.strftime('%Y-%m-%d')}, {PACKAGE} {VERSION}. Printed by `python scripts/proof_table.py`.", "",
        "A proof is found by `netc prove`; it is one only where Lean took it, in the last column. An empty column was",
        "not checked.", "", "## Nets", "", *head, *(rows[n] for n in nets), "",
        "## Texts of others", "", "`netc prove FILE.mlir` of JAX's lowering, in tests/proofs/texts.", "",
        *head, *(rows[n] for n in texts), "",
        "## Rewrites", "",
        "That what a pass makes of an operation is equal to it, for all sizes, or, of a form of a convolution, at the",
        "sizes of image and window that stand in proofs/forms.py.", "",
        *head, *(rows[n] for n in rewrites), "", "## Layers", "",
        "The rule of each kind by itself: <dy, y> for any dy, with the gradients to input and parameters. A proof is",
        f"found for {found} of {len(layers)}. All are measured by `netc oracle`, too.", "",
        *head, *(rows[n] for n in layers), "", "## Losses", "", *head, *(rows[n] for n in losses), "",
        "## Optimizers", "",
        "The emitted update against the paper's, with and without each option that leaves operations out, in one file.",
        "", *head, *(rows[n] for n in optimizers), "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
