"""Train masked discrete diffusion on Shakespeare's characters, and show what it writes.

    python scripts/masked_text.py [--steps N] [--data-dir DIR]  # trains: two thousand steps take the better of an hour
    python scripts/masked_text.py --run RUN [--page]            # of a run that was trained before, or stopped

`--page` writes docs/measurements/masked-text.md: the bound in bits a character of the run's checkpoint, and texts by
both ways of drawing.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

import netc
from netc import Dataset
from netc.netspec.layers import (
    Chain,
    Conv2d,
    Dense,
    LayerNorm,
    Residual,
    SpatialFlatten,
    SpatialUnflatten,
    TakeTokens,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec
from netc.runtime.data.windows import TextSplit
from netc.runtime.run.config import checkpoint_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurements" / "masked-text.md"
LENGTH, WIDTH, TEXTS, STEPS = 64, 96, 3, 64
WAYS = (("ancestral", 1.0), ("ancestral", 0.7), ("confidence", 1.0))


def net() -> NetSpec:
    """A bidirectional net over the characters and, last, the share of masks in thousandths.

    What is next to a mask says most about it: convolutions see that from the first steps on, where attention over
    positions has to find out what near is.
    """
    block = Residual(Chain((LayerNorm(), Conv2d(2 * WIDTH, (5, 1), activation="gelu-tanh"), Conv2d(WIDTH, 1))))
    return NetSpec(
        "small-mdm",
        (LENGTH + 1,),
        (
            TokenPositionEmbed(1001, WIDTH, positions=False, std=0.1),
            SpatialUnflatten(LENGTH + 1, 1),
            *(block,) * 3,
            SpatialFlatten(),
            TransformerEncoder(4, 2 * WIDTH, 1, causal=False, activation="gelu-tanh", rope=True),
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


def test_of(run: netc.Run, checkpoint: str, data_dir: Path | None, contexts: int) -> tuple[Dataset, int]:
    """The run's data with so many contexts of its test part, evenly taken, 0 for all; and how many there are."""
    data = run.data_of(None, checkpoint, data_dir)
    test, count = data.test, len(data.test)
    if not contexts:
        return data, count
    assert isinstance(test, TextSplit)
    starts = np.arange(contexts) * count // contexts * test.context
    tokens = np.concatenate([test.tokens[i : i + test.context] for i in starts] + [test.tokens[-1:]])
    return replace(data, test=replace(test, tokens=tokens)), count


def page(run: netc.Run, checkpoint: str, target: str, data_dir: Path | None, contexts: int) -> str:
    """Markdown."""
    data, count = test_of(run, checkpoint, data_dir, contexts)
    score = run.score(data, checkpoint, target, other=False)
    steps, planned = checkpoint_of(run.folder, checkpoint).meta["step"], run.config.training.max_steps
    words = f" --run RUN --checkpoint {checkpoint}" if checkpoint != "best" else ""
    words += f" --contexts {contexts}" if contexts else ""
    stopped = f" of {planned:,}" if steps < planned else ""
    drawn = {
        (method, temperature): run.draw(
            count=TEXTS, steps=STEPS, method=method, temperature=temperature, seed=1, checkpoint=checkpoint,
            target=target,
        )
        for method, temperature in WAYS
    }  # fmt: skip
    lines = [
        "# Text by masked diffusion",
        "",
        f"{run.config.net.spec.name}, {run.config.net.count:,} parameters, {LENGTH} characters at once, after "
        f"{steps:,}{stopped} steps of {run.config.training.batch} on `--data shakespeare`: at most "
        f"**{score.loss / math.log(2):.2f} bits a character** on {score.count:,} of {count:,} test contexts. Texts in "
        f"{STEPS} steps, seed 1, `/` for the end of a line. Made by `python scripts/masked_text.py{words} --page`.",
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
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--target", default="xla")
    parser.add_argument("--contexts", type=int, default=0, help="of the test part, evenly taken; 0: all")
    parser.add_argument("--checkpoint", default="best")
    parser.add_argument("--page", action="store_true", help="write docs/measurements/masked-text.md")
    options = parser.parse_args()
    run = netc.Run.open(options.run) if options.run else trained(options.steps, options.data_dir)
    found = page(run, options.checkpoint, options.target, options.data_dir, options.contexts)
    print(found)
    if options.page:
        PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
