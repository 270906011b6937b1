"""Plant faults in the backward pass that a proof is about, and show that Lean's kernel refuses each.

    python scripts/prove_faults.py [NET ..] [--minutes M] [--go-on LOG ..] [--write]

A fault changes one definition of the backward pass in the proof's file, with the lemma that unfolds it: a sum for a
product, a sign lost, two indices exchanged, another size, a branch for the other. The theorem must then be refused; the
file without a fault must be taken. The faults of a net are planted in a drawn order, for at most M minutes a net; a run
goes on where others stopped, whose output LOG is. Where Lean is not done with a file after LONGEST seconds of work, it
has not taken it, and that is said.
`--write` writes docs/measurements/proof_faults.md after each net, in which rows of nets that were not asked for stay as
they are. Ends with 1 where a fault was taken.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import select
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.child import descent
from netc.netspec.layers import (
    AvgPool,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    LearnedTokens,
    MaxPool,
    Residual,
    SelectiveScan,
    SelectToken,
    SelfAttention,
    SpatialFlatten,
    TiedHead,
    TokenPositionEmbed,
)
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs.lean import PACKAGE, VERSION, lean
from netc.proofs.prove import checked, prove

LONGEST = 60  # seconds of work
TAKEN, LATE = "TAKEN", "not done"
KNOWN_AS = {
    "mlp": "a perceptron", "cnn": "a convolution net with batch norm and max pooling",
    "res": "one with a residual branch, strided and depthwise convolutions and an average pool that pads",
    "gpt": "a causal transformer with a tied head", "vit": "patches with a class token and gelu by erf",
    "scan": "a selective scan",
}  # fmt: skip
PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "proof_faults.md"
NETS = {
    "mlp": NetSpec("mlp", (2, 2, 3), (Flatten(), Dense(5, activation="relu", name="hidden"), Dense(4, name="head"))),
    "cnn": NetSpec("cnn", (5, 4, 2), (
        Conv2d(2, 3, 2, "same-symmetric", activation="relu", name="conv"), BatchNorm(name="norm"),
        MaxPool(2, 1, name="pool"), Flatten(), Dense(4, name="head"),
    )),
    # a branch, a strided and a depthwise convolution, a pool that pads
    "res": NetSpec("res", (4, 3, 2), (
        Residual(Conv2d(2, 3, 1, "same", groups=2, name="depthwise"), Conv2d(2, 1, name="side"), name="block"),
        Conv2d(3, 1, 2, name="stride"), AvgPool(2, 1, "same", name="pool"), GlobalAvgPool(), Dense(4, name="head"),
    )),
    # rows of a table, slices, a mask, softmax, layer norm, concatenation
    "gpt": NetSpec("gpt", (3,), (TiedHead(TokenPositionEmbed(5, 4), Chain((
        Residual(Chain((Dense(12, bias=False, name="qkv"), SelfAttention(2, causal=True))), name="block"),
        LayerNorm(name="norm"),
    )), name="model"),), dtype="i32"),
    # a class token, which is concatenated and selected; gelu by erf
    "vit": NetSpec("vit", (2, 2, 3), (
        SpatialFlatten(), Dense(4, activation="gelu", name="patch"), LearnedTokens(name="class"),
        SelectToken(0), Dense(4, name="head"),
    )),
    # a recurrence along time, and back through it; softplus
    "scan": NetSpec("scan", (3, 2), (
        Dense(8, bias=False, name="project"), SelectiveScan(2, name="state"), Flatten(), Dense(4, name="head"),
    )),
}  # fmt: skip
WRONG = [
    ("a sum for a product", r"\(A\.mul (?!A\.minus)", "(A.add "),
    ("a product for a sum", r"\(A\.add ", "(A.mul "),
    ("a sign lost", r"\(A\.mul A\.minus (\((?:[^()]|\([^()]*\))*\))\)", r"\1"),
    ("another size", r"\(sum A S\.n\d+", "(sum A S.other"),
    ("the other branch", r"\(choose (\([^()]*\)) (\([^()]*\)) (\([^()]*\))\)", r"(choose \1 \3 \2)"),
    ("a reciprocal left out", r"\(A\.recip (\([^()]*\))\)", r"\1"),
    ("one for zero", r"A\.zero", "A.one"),
    ("zero for the share", r"P\.c\d+", "A.zero"),
    ("a scan from the start", r"\(scan_back A S\.n\d+", "(scan A"),
    ("no step later", r"\(plus S\.o1 (\w+)\)", r"\1"),
]


DEFINITION = re.compile(r"/-- (.*) -/\nnoncomputable def (v\d+) .*\n  (.*)\n")
OF_TWO = re.compile(r"\((v\d+) A S P (k\d+) (k\d+)\)")


def faults(text: str) -> Iterator[tuple[str, str, str]]:
    """For each fault: what it is, the place where it is, and the file with it.

    None in what no other definition reads, such as the number that a sum begins with.
    """
    found = {name: (place, body) for place, name, body in DEFINITION.findall(text)}
    sizes = sorted(set(re.findall(r"S\.n\d+", text)))
    for name, (place, body) in found.items():
        read = not place.startswith("constant") or any(f"({name} A S P" in other for _, other in found.values())
        if "(vjp)" not in place or not read:
            continue
        for fault, bad in [*_changed(body, sizes), *_exchanged(body, {n: b for n, (_, b) in found.items()})]:
            head, _, rest = text.partition(f"def {name} ")
            unfolded = re.search(rf"theorem {name}_is .*\n", rest)
            rest = rest.replace(body, bad, 1)
            if unfolded:
                said = body.partition("=> ")[2] if body.startswith("fun ") else body
                new = bad.partition("=> ")[2] if bad.startswith("fun ") else bad
                rest = rest.replace(unfolded[0], unfolded[0].replace(said, new, 1), 1)
            yield fault, place, f"{head}def {name} {rest}"


def _changed(body: str, sizes: Sequence[str]) -> Iterator[tuple[str, str]]:
    for fault, wanted, wrong in WRONG:
        if found := re.search(wanted, body):
            made = found.expand(wrong)
            if own := re.search(r"S\.n\d+", found[0]):
                made = f"(sum A {next(s for s in sizes if s != own[0])}"
            yield fault, body[: found.start()] + made + body[found.end() :]


def _exchanged(body: str, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The indices of the first value that differs along both of its axes."""
    for use in OF_TWO.finditer(body):
        own = re.match(r"fun (k\d+) (k\d+) => (.*)", found[use[1]])
        if own and own[1] in own[3] and own[2] in own[3]:
            yield "indices exchanged", f"{body[: use.start()]}({use[1]} A S P {use[3]} {use[2]}){body[use.end() :]}"
            return


def main() -> int:
    """Plant, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS), metavar="NET")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="at most, for each net")
    parser.add_argument("--go-on", nargs="+", type=Path, default=[], metavar="LOG", help="what was printed before")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/proof_faults.md")
    options = parser.parse_args()
    taken = 0
    for net in options.nets:
        own = planted(net, 60 * options.minutes, max((before(net, log) for log in options.go_on), key=len, default=[]))
        taken += sum(int(row.split("|")[6]) for row in own)
        rows = {**written(), net: own}
        text = page([row for net in NETS for row in rows.get(net, ())])
        print(text)
        if options.write:
            PAGE.write_text(text, encoding="utf-8")
    return 1 if taken else 0


def written() -> dict[str, list[str]]:
    """The page's rows by their nets."""
    rows: dict[str, list[str]] = {}
    for row in re.findall(r"^\| \w+ \| .* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        if (net := row.split()[1]) in NETS:
            rows.setdefault(net, []).append(row)
    return rows


def before(net: str, log: Path) -> list[tuple[str, str, str]]:
    """What a run printed of a net, in order: the fault, its place, and what Lean said."""
    return re.findall(rf"^{net}: (.*?) in (.*): ([\w ]+)$", log.read_text(encoding="utf-8"), re.MULTILINE)


def planted(net: str, seconds: float, done: Sequence[tuple[str, str, str]]) -> list[str]:
    """A row for each kind of fault of a net: how many were planted, of how many; how many Lean left open, and took.

    `done` are the first of them, of a run before.
    """
    proof, begin = prove(build(check(NETS[net]), Recipe(), 3)), time.monotonic()
    found = list(faults(proof.text))
    counts = {name: [0, 0, 0, 0] for name, _, _ in found}
    for name, _, _ in found:
        counts[name][1] += 1
    random.Random(0).shuffle(found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{net}.lean"
        path.write_text(proof.text, encoding="utf-8")
        if not done and not checked(proof, path).holds:
            raise SystemExit(f"{net}: the file without a fault is refused")
        for number, (name, place, text) in enumerate(found):
            if number < len(done):
                assert done[number][:2] == (name, place), (done[number], name, place)
                said = done[number][2]
            elif time.monotonic() - begin > seconds:
                break
            else:
                path.write_text(text, encoding="utf-8")
                said = answer(path)
                print(f"{net}: {name} in {place}: {said}", flush=True)
            counts[name][0] += 1
            counts[name][2] += said == LATE
            counts[name][3] += said == TAKEN
    return [f"| {net} | {name} | {n} | {of} | {late} | {bad} |" for name, (n, of, late, bad) in counts.items()]


def answer(path: Path) -> str:
    """What Lean says of a file; it is refused at its first error, for the theorem rests on every lemma of the file."""
    with subprocess.Popen([*lean().command, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = TAKEN
        while said == TAKEN:
            ready, _, _ = select.select([process.stdout], [], [], 1.0)
            if ready and not (line := process.stdout.readline()):
                break
            if ready and ": error" in line:
                said = "refused"
            elif sum(descent(process.pid).values()) > LONGEST:
                said = LATE
        if said != TAKEN:
            process.kill()
    return said if said != TAKEN or process.returncode == 0 else "refused"


def page(rows: Sequence[str]) -> str:
    """The page."""
    count, of, late, taken = (sum(int(row.split("|")[column]) for row in rows) for column in (3, 4, 5, 6))
    known = [f"{words} ({net})" for net, words in KNOWN_AS.items() if any(f"| {net} |" in row for row in rows)]
    said = f"All {of} faults" if count == of else f"{count} of {of} faults"
    return "\n".join([
        "# Faults in proofs", "",
        f"{time.strftime('%Y-%m-%d')}, {PACKAGE} {VERSION}. Printed by `python scripts/prove_faults.py --write`.", "",
        f"{said} of the script were planted in the backward passes of small nets, one at a time.",
        f"Lean refused {count - taken - late}, took {taken}, and was not done with {late} after {LONGEST} s of work.",
        *textwrap.wrap(f"The nets are {', '.join(known)}.", 119), "",
        "| net | fault | planted | of | not done | taken |", "|---|---|---|---|---|---|", *rows, "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
