"""What is measured, what is exact and what is proven, for each kind of layer, each loss and each optimizer.

    python scripts/evidence_table.py [KIND ..] [--without-oracle] [--again] [--write]

The oracle runs its cases of each kind. The certificate is of a small net of the layer alone, after a scale where the
layer has no parameters of its own, or of a dense layer or a convolution under the loss. That Lean took a proof is read
from proofs/taken.json, which scripts/proof_table.py writes. `--write` writes docs/measurements/evidence.md after each
kind, and the counts in README.md; rows of kinds that were not asked for stay as they are, and so does what the oracle
said, `--without-oracle`. `--again` runs nothing: it writes what the page says, and what Lean took since.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.layer import Layer
from netc.netspec.layers import Conv2d, Dense, LayerScale
from netc.netspec.loss import LOSSES, Loss, MeanSquaredError
from netc.netspec.optimizers import OPTIMIZERS, SGD
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs.taken import taken
from netc.proofs_oracle import oracle
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.target import PLAIN

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measurements" / "evidence.md"
README = ROOT / "README.md"
ROW = re.compile(r"^\| (?!kind \|)(\S+) \| (.*?) \| (.*?) \| (?:for all|–) \|$", re.MULTILINE)
CLAIM = "| Every layer's, loss's and optimizer's gradients are right |"
NOT_RUN = "not run for this page"


cases = cache(lambda: [*oracle.checks()])


def measured(kind: str) -> str:
    """The oracle's cases of a kind that passed, and the worst error against JAX."""
    results = list(oracle.run([c for c in cases() if c.kind == kind]))
    if not results:
        return "–"
    passed = sum(r.passed for r in results)
    said = f"{passed} cases" if passed == len(results) else f"{passed} of {len(results)} cases"
    return f"{said}, {max(r.jax_error for r in results):.0e}"


def exact(layers: tuple[Layer, ...], x: TensorType, loss: Loss) -> str:
    """The certificate of a net of these layers, whose step is plain SGD's."""
    try:
        net = check(NetSpec("toy", x.shape, layers, dtype=x.dtype))
        found = certify_program(build(net, Recipe(loss=loss, optimizer=SGD(momentum=0.0)), 2), PLAIN, Settings(0))
    except NetcError:
        return "–"
    false = re.search(r"below (2\^-\d+)", found.sentence)
    return f"exact, false with {false[1]}" if found.holds and false else "–"


def of_layer(layer: Layer, x: TensorType) -> str:
    """Of a layer's kind."""
    own = replace(layer, name="it")
    alone = exact((own,), x, MeanSquaredError())
    return alone if alone != "–" or x.dtype != "f32" else exact((LayerScale(name="scale"), own), x, MeanSquaredError())


def of_loss(loss: Loss) -> str:
    """Of a loss on a vector of outputs, or else on an image of them."""
    alone = exact((Dense(3, name="it"),), TensorType((4,)), loss)
    return alone if alone != "–" else exact((Conv2d(3, 1, name="it"),), TensorType((2, 3, 2)), loss)


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--without-oracle", action="store_true", help="do not run it: it takes minutes")
    parser.add_argument("--again", action="store_true", help="run nothing, write again")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    subjects = kinds()
    rows: dict[str, tuple[str, str]] = {}
    if PAGE.exists():
        rows = {m[1]: (m[2], m[3]) for m in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    for name in () if options.again else options.kinds or subjects:
        before = rows[name][0] if name in rows else NOT_RUN
        rows[name] = judged(name, subjects[name], before if options.without_oracle else None)
        print(" | ".join((name, *rows[name])), flush=True)
        if options.write:
            write({n: rows[n] for n in subjects if n in rows})
    if options.again:
        write({n: rows[n] for n in subjects if n in rows})
    return 0


def kinds() -> dict[str, Any]:
    """Every kind of layer by its name, and `loss:KIND` and `optimizer:WORD`: an example, a class, a row."""
    sys.path.insert(0, str(ROOT))
    from tests.codegen.examples import EXAMPLES

    found: dict[str, Any] = {**EXAMPLES}
    found |= {f"loss:{kind}": cls for kind, cls in LOSSES.items()}
    return found | {f"optimizer:{word}": row for word, row in OPTIMIZERS.items()}


def judged(name: str, subject: Any, said: str | None) -> tuple[str, str]:
    """What the oracle says of a kind, if it did not before, and what the certificate says."""
    if name.startswith("loss:"):
        kind, certified = name.removeprefix("loss:"), of_loss(subject())
    elif name.startswith("optimizer:"):
        kind, certified = subject.cls.kind, ""
    else:
        kind, certified = name, of_layer(subject.layer, subject.x)
    return (measured(kind) if said is None else said), certified


def counts(rows: Mapping[str, tuple[str, str]]) -> list[str]:
    """How many kinds there are, and how many of them have each evidence, as rows of a table."""
    made = []
    for title, start in (("layers", ""), ("losses", "loss:"), ("optimizers", "optimizer:")):
        own = [n for n in rows if n.partition(":")[0] == start[:-1] or (not start and ":" not in n)]
        columns = (
            sum(rows[n][0] not in (NOT_RUN, "–") for n in own),
            "" if start == "optimizer:" else sum(rows[n][1] != "–" for n in own),
            sum(n in taken() for n in own),
        )
        made.append(f"| {title} | {len(own)} | " + " | ".join(map(str, columns)) + " |")
    return made


def write(rows: Mapping[str, tuple[str, str]]) -> None:
    """The page, and its counts in the README."""
    PAGE.write_text(page(rows), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    again = re.sub(rf"^{re.escape(CLAIM)}.*$", said(rows), text, flags=re.MULTILINE)
    README.write_text(again, encoding="utf-8")


def said(rows: Mapping[str, tuple[str, str]]) -> str:
    """The counts as a row of the README's table of claims."""
    layers, losses, optimizers = (row.strip("| ").split(" | ") for row in counts(rows))
    return (
        f"{CLAIM} measured in float64 against JAX and central differences, `netc oracle`: {layers[2]} of {layers[1]} "
        f"layers with a rule of their own, of which the others are made, {losses[2]} of {losses[1]} losses, "
        f"{optimizers[2]} of {optimizers[1]} optimizers; {layers[3]} layers and {losses[3]} losses are exact by `netc "
        f"certify`; {layers[4]}, {losses[4]} and {optimizers[4]} are proven for all sizes and numbers, with one choice "
        "of their options, by `netc prove` | [a table for each layer](docs/nets.md#the-kinds-of-layers), [each kind's "
        "evidence](docs/measurements/evidence.md); of a run's own: `netc report RUN --check` |"
    )


def page(rows: Mapping[str, tuple[str, str]]) -> str:
    """The page."""
    proven = {name: "for all" if name in taken() else "–" for name in rows}
    return "\n".join([
        "# Evidence for each kind", "",
        f"{time.strftime('%Y-%m-%d')}. Printed by `python scripts/evidence_table.py`.", "",
        "- **measured** by `netc oracle`: its cases of the kind, in float64 against JAX, and the worst relative error.",
        "- **exact** by `netc certify`: the backward in the text of a small net is the derivative of its forward, at",
        "  random points modulo primes; a wrong one would pass with less than that probability. Of an optimizer the",
        "  certificate reads the gradient and not the update, so that nothing is said there.",
        "- **for all** sizes and numbers by `netc prove`: Lean's kernel took the theorem about the kind's rule or its",
        "  update, with one choice of its options; [the table of proofs](proofs.md) has the reason where there is",
        "  none.", "",
        "The layers are those with a rule of their own; the others are made of them.", "",
        "| | kinds | measured | exact | for all |", "|---|---|---|---|---|", *counts(rows), "",
        "| kind | measured | exact | for all |", "|---|---|---|---|",
        *(f"| {name} | {said} | {certified} | {proven[name]} |" for name, (said, certified) in rows.items()), "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
