"""Of which layers, losses and nets `netc prove` finds a proof, and which of them Lean takes.

    python scripts/proof_table.py [--layers [KIND ..]] [--optimizers] [--texts] [--rewrites] [--check] [--nets NET ..]
        [--write]

One row for each kind of layer that has a rule of its own, for each loss, each optimizer, each text of
tests/proofs/texts, each rewrite of an operation, and each net of --nets. `--check` lets Lean check each file, one after
the other; of a net it runs `netc prove NET --check`, and measures that process and Lean's together. `--write` writes
docs/measurements/proofs.md, in which rows that were not asked for stay as they are; proofs.json beside it, with a
digest of what each row is about, which is all that the text of a proof depends on but the search; and
proofs/taken.json, the kinds of which Lean took a proof.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netc.cli.prove_text import prove_file
from netc.codegen.builder import Builder
from netc.codegen.ir import Function
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.child import descent
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
from netc.netspec.loss import LOSSES, Loss
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs.file import library, recurrences
from netc.proofs.layer import layer_function, loss_function
from netc.proofs.lean import PACKAGE, VERSION
from netc.proofs.optimizer import OptimizerProof, prove_optimizers
from netc.proofs.prove import (
    Proof,
    checked,
    gradient_function,
    listed,
    prove,
    prove_layer,
    prove_loss,
    prove_rewrite,
)
from netc.proofs.published import text as updates
from netc.proofs.rewrites import REWRITES
from netc.proofs.update import begin_function, update_function, variants

ROOT = Path(__file__).parents[1]
TEXTS = ROOT / "tests" / "proofs" / "texts"
PAGE = ROOT / "docs" / "measurements" / "proofs.md"
ABOUT = PAGE.with_suffix(".json")
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


@dataclass(frozen=True)
class Job:
    """A row: of what sort, what makes the proof, and the functions that it is about, or the text."""

    sort: str
    make: Callable[[], Proof | OptimizerProof]
    functions: Callable[[], Iterable[Function]] = lambda: ()
    text: str = ""

    def about(self) -> str:
        """A digest of all that the proof's text depends on but the search."""
        lines = [line for f in self.functions() for line in (*f.names, *(str(v.type) for v in f.params), *listed(f))]
        scans = recurrences() if any(line.startswith("linear_scan") for line in lines) else ""
        papers = updates() if self.sort == "optimizer" else ""
        whole = "\n".join((library(), scans, papers, self.text, *lines))
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def layers() -> dict[str, tuple[Layer, TensorType]]:
    """The example of each kind of layer, and the type of what it is given."""
    sys.path.insert(0, str(ROOT))
    from tests.codegen.examples import EXAMPLES

    return {kind: WIDER.get(kind, (e.layer, e.x)) for kind, e in EXAMPLES.items()}


def losses() -> dict[str, tuple[Loss, TensorType]]:
    """Each loss, and the type of what it judges: slots of numbers, a count and a logit for branching."""
    return {
        f"loss:{kind}": (loss(), TensorType((2, 4) if kind == "branching" else (4,))) for kind, loss in LOSSES.items()
    }


def of_rewrite(name: str) -> Function:
    """The operation and what a pass makes of it, each value of each pair."""
    b = Builder(name)
    pairs = REWRITES[name](b)
    return b.finish([(f"result{i}", v) for i, pair in enumerate(pairs) for v in pair])


def of_optimizer(word: str) -> Iterator[Function]:
    """The update of each variant, and how what it keeps begins."""
    for v in variants(word):
        yield update_function(v.optimizer, v.shape)
        yield begin_function(v.optimizer, v.shape)


def jobs(nets: Iterable[str] = NETS) -> dict[str, Job]:
    """Every row: layers, losses, optimizers, texts, rewrites, nets."""
    found = {
        kind: Job("kind", lambda own=own: prove_layer(*own, 3), lambda own=own: [layer_function(*own, 3)[0]])
        for kind, own in layers().items()
    }
    for kind, loss in losses().items():
        found[kind] = Job("kind", lambda own=loss: prove_loss(*own, 3), lambda own=loss: [loss_function(*own, 3)[0]])
    for word in OPTIMIZERS:
        found[f"optimizer:{word}"] = Job(
            "optimizer", lambda word=word: prove_optimizers([word]), lambda word=word: of_optimizer(word)
        )
    for path in sorted(TEXTS.glob("*.mlir")):
        found[path.name] = Job("text", lambda path=path: prove_file(path)[0], text=path.read_text(encoding="utf-8"))
    for name in REWRITES:
        found[f"rewrite:{name}"] = Job(
            "rewrite", lambda name=name: prove_rewrite(name), lambda name=name: [of_rewrite(name)]
        )
    for name in nets:
        program = build(check(find(name)), Recipe(), 3)
        found[name] = Job(
            "net", lambda program=program: prove(program), lambda program=program: [gradient_function(program)[0]]
        )
    return found


def row(name: str, job: Job, folder: Path, ask: bool) -> str:
    """One row of the page: what was found, and Lean's answer."""
    begin = time.process_time()
    try:
        proof = job.make()
    except (UserError, NetcError) as error:
        unread = re.search(r"meaning for, got (?:line \d+:|\S+) (.*), in ", str(error))
        reason = f"no meaning yet for {unread[1]}" if unread else re.split(r"; `netc certify`", str(error))[0]
        return f"| {name} | not found: {reason} | | | | |"
    search = time.process_time() - begin
    size = f"{proof.operations} | {proof.lines:,} | {search:.1f}"
    if not ask:
        return f"| {name} | found | {size} | |"
    if job.sort == "net":
        return f"| {name} | found | {size} | {whole_command(name, folder)} |"
    path = folder / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = checked(proof, path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = f"taken, {spent:.0f}" if answer.holds else "refused"
    return f"| {name} | found | {size} | {said} |"


def whole_command(name: str, folder: Path) -> str:
    """`netc prove NET --check` in a process of its own: Lean's seconds; those of all; by the clock; memory at most."""
    command = [sys.executable, "-m", "netc", "prove", name, "--check", "--json", "-o", str(folder / "proof.lean")]
    begin, most, of_lean = time.monotonic(), 0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ended = 0
        while not ended:
            family = descent(process.pid)
            most = max(most, sum(map(resident, family)))
            of_lean = max((of_lean, *(spent for pid, spent in family.items() if pid != process.pid)))
            time.sleep(0.1)
            ended, _, used = os.wait4(process.pid, os.WNOHANG)
        passed = time.monotonic() - begin
        answer = json.loads(process.stdout.read())
    said = f"taken, {of_lean:.0f}" if answer["checked"]["holds"] else "refused"
    return f"{said} | {used.ru_utime + used.ru_stime:.0f} | {passed:.0f} | {most / 1e6:,.0f}"


def resident(pid: int) -> int:
    """The bytes that a process has in memory; 0 where it is no more."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


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
    rows: dict[str, str] = {}
    if PAGE.exists():
        rows = {m[1]: m[0] for m in re.finditer(r"^\| (\S+) \| .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    about = json.loads(ABOUT.read_text(encoding="utf-8")) if ABOUT.exists() else {}
    asked = {
        "optimizer": options.optimizers, "text": options.texts, "rewrite": options.rewrites, "net": True,
        "kind": options.layers is not None,
    }  # fmt: skip

    def wanted(name: str, job: Job) -> bool:
        return asked[job.sort] and not (job.sort == "kind" and options.layers and name not in options.layers)

    with tempfile.TemporaryDirectory() as folder:
        for name, job in jobs(options.nets).items():
            if not wanted(name, job):
                continue
            rows[name], about[name] = row(name, job, Path(folder), options.check), job.about()
            print(rows[name], flush=True)
            if options.write:
                PAGE.write_text(page(rows), encoding="utf-8")
                ABOUT.write_text(json.dumps(dict(sorted(about.items())), indent=1) + "\n", encoding="utf-8")
                found = sorted(n for n, line in rows.items() if "| taken, " in line and is_kind(n, layers()))
                TAKEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def page(rows: Mapping[str, str]) -> str:
    """The page: nets, layers, losses."""
    of_loss = [n for n in rows if n.startswith("loss:")]
    optimizers = [n for n in rows if n.startswith("optimizer:")]
    nets = [n for n in rows if n in NETS]
    texts = [n for n in rows if n.endswith(".mlir")]
    rewrites = [n for n in rows if n.startswith("rewrite:")]
    of_layer = [n for n in rows if n not in (*of_loss, *optimizers, *nets, *texts, *rewrites)]
    head = ["| | proof | operations | lines of Lean | search, CPU s | Lean, CPU s |", "|---|---|---|---|---|---|"]
    whole = [f"{head[0]} whole, CPU s | by the clock, s | memory, MB |", f"{head[1]}---|---|---|"]
    found = sum("| found |" in rows[n] for n in of_layer)
    return "\n".join([
        "# What is proven", "",
        f"{time.strftime('%Y-%m-%d')}, {PACKAGE} {VERSION}. Printed by `python scripts/proof_table.py`.", "",
        "A proof is found by `netc prove`; it is one only where Lean took it, in the last column. An empty column was",
        "not checked.", "", "## Nets", "",
        "The last three columns are `netc prove NET --check` from its start to its end: the seconds of the processor,",
        "those of the clock, on a machine that may do other work beside it, and the most memory that its process and",
        "Lean's hold together, looked at ten times a second.", "", *whole, *(rows[n] for n in nets), "",
        "## Texts of others", "", "`netc prove FILE.mlir` of JAX's lowering, in tests/proofs/texts.", "",
        *head, *(rows[n] for n in texts), "",
        "## Rewrites", "",
        "That what a pass makes of an operation is equal to it, for all sizes, or, of a form of a convolution, at the",
        "sizes of image and window that stand in proofs/forms.py.", "",
        *head, *(rows[n] for n in rewrites), "", "## Layers", "",
        "The rule of each kind by itself: <dy, y> for any dy, with the gradients to input and parameters. A proof is",
        f"found for {found} of {len(of_layer)}. All are measured by `netc oracle`, too.", "",
        *head, *(rows[n] for n in of_layer), "", "## Losses", "", *head, *(rows[n] for n in of_loss), "",
        "## Optimizers", "",
        "The emitted update against the paper's, with and without each option that leaves operations out, in one file.",
        "", *head, *(rows[n] for n in optimizers), "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
