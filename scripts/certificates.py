"""Certifies nets of the zoo as the text that is compiled for the CPU, and writes a table and one whole certificate.

    python scripts/certificates.py [NET ...] [--out docs/measurements]

Writes certificates.md with a row for each net, and certificate-mnist-mlp.json. Seconds are of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the primes are spread over threads already

from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.proofs_oracle.certificate.certify import Certificate, certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.files import write_whole
from netc.runtime.target import parse_target

BATCH = 2
# net -> primes at once: a higher degree is made up for by more
NETS = {
    "mnist-linear": 4, "mnist-mlp": 4, "mnist-cnn": 4, "tiny-gpt": 6, "mobilenet_v2": 4, "resnet34": 4,
    "vit_tiny_patch16_224": 8, "tiny-mamba": 10, "tiny-moe": 8,
}  # fmt: skip
SHOWN = "mnist-mlp"  # whose certificate is written whole


def row(name: str, primes: int) -> tuple[Certificate, list[str]]:
    """One certificate and its row of the table."""
    net = check(find(name))
    began, cpu = time.perf_counter(), time.process_time()
    found = certify_program(build(net, Recipe(), BATCH), parse_target("cpu"), Settings(primes))
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    (s,) = found.statements
    shape = "x".join(map(str, net.x.shape))
    never, bound = sum(s.never.values()), f"2^{found.failure:.0f}"
    return found, [
        name, f"{shape} b{BATCH}", f"`{(found.sha256 or '')[:16]}`", str(len(s.gradients)), f"{s.operations:,}",
        str(primes), str(s.points), f"{never:,} of {s.elements:,}", f"{s.degree:,}", bound,
        "yes" if found.holds else "NO", f"{seconds:.0f}", f"{used:.0f}",
    ]  # fmt: skip


HEADINGS = (
    "net", "input", "text (sha256)", "gradients", "operations", "primes", "points", "0 at all points", "degree bound",
    "false with", "holds", "seconds", "CPU s",
)  # fmt: skip


def main() -> None:
    """Certify, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("nets", nargs="*", metavar="NET")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    print("\n".join(lines), flush=True)
    for name in given.nets or NETS:
        found, cells = row(name, NETS.get(name, 4))
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        if given.out and name == SHOWN:
            text = json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n"
            write_whole(given.out / f"certificate-{SHOWN}.json", text)
    if given.out:
        head = "# Certificates\n\nBy `scripts/certificates.py`; docs/certificate.md says what they mean.\n\n"
        write_whole(given.out / "certificates.md", head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
