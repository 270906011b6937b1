"""What is measured, what is exact and what is proven, for each kind of layer, each loss and each optimizer.

    python scripts/evidence_table.py [KIND ..] [--without-oracle] [--write]

The oracle runs its cases of each kind. The certificate is of a small net of the layer alone, after a scale where the
layer has no parameters of its own, or of a dense layer under the loss. That Lean took a proof is read from
proofs/taken.json, which scripts/proof_table.py writes. `--write` writes docs/measurements/evidence.md, in which rows of
kinds that were not asked for stay as they are, and so does what the oracle said, `--without-oracle`.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.layer import Layer
from netc.netspec.layers import Dense, LayerScale
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


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--without-oracle", action="store_true", help="do not run it: it takes minutes")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.codegen.examples import EXAMPLES

    subjects: dict[str, Any] = {**EXAMPLES}
    subjects |= {f"loss:{kind}": cls for kind, cls in LOSSES.items()}
    subjects |= {f"optimizer:{word}": row for word, row in OPTIMIZERS.items()}
    rows: dict[str, str] = {}
    if PAGE.exists():
        rows = {m[1]: m[0] for m in re.finditer(r"^\| (\S+) \| .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    for name in options.kinds or subjects:
        subject = subjects[name]
        proven = "for all" if name in taken() else "–"
        if name.startswith("loss:"):
            kind, certified = name.removeprefix("loss:"), exact((Dense(3, name="it"),), TensorType((4,)), subject())
        elif name.startswith("optimizer:"):
            kind, certified = subject.cls.kind, ""
        else:
            kind, certified = name, of_layer(subject.layer, subject.x)
        before = rows[name].split(" | ")[1] if name in rows else "not run for this page"
        said = before if options.without_oracle else measured(kind)
        rows[name] = f"| {name} | {said} | {certified} | {proven} |"
        print(rows[name], flush=True)
        if options.write:
            PAGE.write_text(page([rows[n] for n in subjects if n in rows]), encoding="utf-8")
    return 0


def page(rows: list[str]) -> str:
    """The page."""
    return "\n".join([
        "# Evidence for each kind", "",
        f"{time.strftime('%Y-%m-%d')}. Printed by `python scripts/evidence_table.py`.", "",
        "- **measured** by `netc oracle`: its cases of the kind, in float64 against JAX, and the worst relative error.",
        "  Where it was not run for this page, `netc oracle KIND` runs it, and the tests do for every kind.",
        "- **exact** by `netc certify`: the backward in the text of a small net is the derivative of its forward, at",
        "  random points modulo primes; a wrong one would pass with less than that probability. Of an optimizer the",
        "  certificate reads the gradient and not the update, so that nothing is said there.",
        "- **for all** sizes and numbers by `netc prove`: Lean's kernel took the theorem about the kind's rule or its",
        "  update; [the table of proofs](proofs.md) has the reason where there is none.", "",
        "| kind | measured | exact | for all |", "|---|---|---|---|", *rows, "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
