"""Train masked discrete diffusion on Shakespeare's characters, and show what it writes.

    python scripts/masked_text.py [--steps N] [--data-dir DIR]  # trains: two thousand steps take the better of an hour
    python scripts/masked_text.py --run RUN [--page]            # of a run that was trained before

`--page` writes docs/measurements/masked-text.md: the bound in bits a character that the run's last evaluation gives,
and texts by both ways of drawing.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import netc
from netc.netspec.layers import Dense, LayerNorm, TakeTokens, TokenPositionEmbed, TransformerEncoder
from netc.netspec.spec import NetSpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurements" / "masked-text.md"
LENGTH, WIDTH, TEXTS, STEPS = 64, 96, 3, 64
WAYS = (("ancestral", 1.0), ("ancestral", 0.7), ("confidence", 1.0))


def net() -> NetSpec:
    """A bidirectional transformer over the characters and, last, the share of masks in thousandths."""
    return NetSpec(
        "small-mdm",
        (LENGTH + 1,),
        (
            TokenPositionEmbed(1001, WIDTH, std=0.02),
            TransformerEncoder(4, 2 * WIDTH, 2, causal=False, activation="gelu-tanh"),
            TakeTokens(LENGTH),
            LayerNorm(),
            Dense(128),
        ),
        dtype="i32",
    )


def trained(steps: int, data_dir: Path | None) -> netc.Run:
    """A run of so many steps."""
    return netc.train(
        net(), "shakespeare", data_dir=data_dir, process="masked", target="xla", max_steps=steps, batch=32, lr=3e-3,
        ema=0.998, optimizer="adamw", weight_decay=0.01, warmup_steps=100, out="runs/masked-text",
        on_epoch=lambda epoch: print(epoch, flush=True),
    )  # fmt: skip


def page(run: netc.Run, target: str) -> str:
    """Markdown."""
    last = run.trace.evals[-1]
    bits = min(last.loss, last.averaged_loss or math.inf) / math.log(2)
    drawn = {
        way: run.draw(count=TEXTS, steps=STEPS, method=way[0], temperature=way[1], target=target, seed=1)
        for way in WAYS
    }
    lines = [
        "# Text by masked diffusion",
        "",
        f"{run.config.net.spec.name}, {run.config.net.count:,} parameters, {LENGTH} characters at once, after "
        f"{last.step + 1:,} steps of {run.config.training.batch} on `--data shakespeare`: at most **{bits:.2f} bits a "
        f"character** on the {last.count:,} test contexts. Texts in {STEPS} steps, seed 1, `/` for the end of a line. "
        "Made by `python scripts/masked_text.py --page`.",
    ]
    for (method, temperature), texts in drawn.items():
        lines += ["", f"`--method {method} --temperature {temperature:g}`:", "", "```"]
        lines += [str(text).replace("\n", "/") for text in texts]
        lines.append("```")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train or open, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--target", default="xla")
    parser.add_argument("--page", action="store_true", help="write docs/measurements/masked-text.md")
    options = parser.parse_args()
    run = netc.Run.open(options.run) if options.run else trained(options.steps, options.data_dir)
    found = page(run, options.target)
    print(found)
    if options.page:
        PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
