"""Train a branching flow on sequences whose law is known, and compare what it draws with that law.

    python scripts/branching_rings.py [--steps N] [--page]    # trains: minutes on a quiet CPU
    python scripts/branching_rings.py --run RUN [--page]      # of a run that was trained before

`--data rings` has 1, 3 or 6 points, with probability 0.2, 0.5 and 0.3, each evenly on a circle. Held is the total
variation between the lengths that were drawn and these, half the sum of the differences, and the distance of each point
of a sequence of such a length to where it should be. `--page` writes docs/measurements/branching-rings.md. Exits with 1
where a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import netc
from netc.runtime.data.rings import SHARES, ring

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurements" / "branching-rings.md"
TRUTH = {count: share / sum(SHARES.values()) for count, share in SHARES.items()}
VARIATION, DISTANCE = 0.05, 0.1  # bars: of the lengths, and of a point to its place, the mean


def trained(steps: int, target: str, out: Path) -> netc.Run:
    return netc.train(
        "tiny-branching", "rings", process="branching", target=target, max_steps=steps, batch=64, lr=2e-3, ema=0.995,
        optimizer="adamw", weight_decay=0.01, warmup_steps=100, out=out,
        on_epoch=lambda e: print(f"epoch {e.epoch + 1}: {e.averaged_loss or e.loss:.4f}", flush=True),
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--count", type=int, default=2000, help="sequences that are drawn")
    parser.add_argument("--draw-steps", type=int, default=100)
    parser.add_argument("--target", default="xla")
    parser.add_argument("--out", type=Path, default=Path("runs/branching-rings"))
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    begin = time.perf_counter()
    run = netc.Run.open(options.run) if options.run else trained(options.steps, options.target, options.out)
    took = "" if options.run else f" in {(time.perf_counter() - begin) / 60:.1f} minutes"
    drawn = run.draw(count=options.count, steps=options.draw_steps, target=options.target)
    lengths = np.bincount([len(sequence) for sequence in drawn], minlength=11) / len(drawn)
    variation = sum(abs(share - TRUTH.get(count, 0)) for count, share in enumerate(lengths.tolist())) / 2
    rows, every = [], []
    for count, share in TRUTH.items():
        off = [np.linalg.norm(np.asarray(s) - ring(count), axis=1) for s in drawn if len(s) == count]
        found = np.concatenate(off) if off else np.zeros(0)
        every.append(found)
        rows.append(
            f"| {count} | {share:.0%} | {lengths[count]:.1%} | {found.mean():.3f} | {np.quantile(found, 0.99):.3f} |"
            if off else f"| {count} | {share:.0%} | 0 | | |"
        )  # fmt: skip
    others = 1 - sum(lengths[count] for count in TRUTH)
    distance = float(np.concatenate(every).mean()) if any(len(e) for e in every) else float("inf")
    config = run.config
    words = f" --run RUN --draw-steps {options.draw_steps}" if options.run else f" --draw-steps {options.draw_steps}"
    lines = [
        "# A branching flow on sequences whose law is known", "",
        f"{time.strftime('%Y-%m-%d')}, target {options.target}, netc {netc.__version__}. Printed by",
        f"`python scripts/branching_rings.py{words}`: {config.net.spec.name}, {config.net.count:,} parameters, trained "
        f"for {run.steps:,} steps",
        f"of {config.training.batch} on `--data rings`{took}; {len(drawn):,} sequences in {options.draw_steps} steps "
        "each, with the average of the weights.", "",
        f"The total variation between the lengths drawn and those of the data is **{variation:.3f}** (bar "
        f"{VARIATION}); a point of a sequence", f"of such a length lies **{distance:.3f}** from its place in the mean "
        f"(bar {DISTANCE}, on a circle of radius 1). {others:.1%} have another length.", "",
        "| points | of the data | drawn | distance to the place, mean | 99 % within |",
        "|---|---|---|---|---|", *rows, "",
    ]  # fmt: skip
    print("\n".join(lines))
    if options.page:
        PAGE.write_text("\n".join(lines), encoding="utf-8")
    return int(variation > VARIATION or distance > DISTANCE)


if __name__ == "__main__":
    sys.exit(main())
