"""Train rectified flow on small images, draw every class, and let a classifier that netc trained say what it sees.

    python scripts/generate_digits.py digits                       # trains both, in minutes on a quiet CPU
    python scripts/generate_digits.py digits --judge RUN --run RUN # of runs that were trained before
    python scripts/generate_digits.py fashion-mnist --page         # also write docs/measurements/flow-NAME.md and .png

A training that was cut short goes on where its run was last saved when the same command is given again.

Diversity is the mean distance of two images of one class, and of an image to the nearest other one of its class, each
the root of the mean squared difference of pixels in 0..1, of samples beside as many training images. `to training` is
the distance of a sample to the nearest training image of its class: 0 would be a copy.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import netc
from netc.netspec.layers import (
    Chain,
    ChannelWindow,
    ClassEmbed,
    Concat,
    Conv2d,
    ConvBn,
    ConvTranspose2d,
    Dense,
    DepthToSpace,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool,
    Residual,
    SpatialBroadcast,
    Split,
    TimeFeatures,
)
from netc.runtime.data.batches import steps_per_epoch
from netc.runtime.pictures import Pictures

PAGES = Path(__file__).resolve().parent.parent / "docs" / "measurements"
EACH = 64  # samples of a class


@dataclass(frozen=True)
class Task:
    """A data set, its net and judge, and what is held: the judge's accuracy and the share of samples it knows.

    `words` are those of the training, `judge` those of the judge's, both of `netc.train`.
    """

    size: int
    width: int
    net: Callable[[Task], netc.NetSpec]
    words: Mapping[str, Any]
    judge: Mapping[str, Any]
    least: float
    known: float


def convolved(task: Task) -> netc.NetSpec:
    """An MLP over all pixels, time and class: residual blocks of convolutions that see one place of all channels."""
    width, size = task.width, task.size
    condition = Chain(
        (
            ChannelWindow(1, 2),
            GlobalAvgPool(),
            Split((TimeFeatures(16), TimeFeatures(16)), (1, 1)),
            Dense(width, activation="swish"),
            Dense(width, activation="swish"),
            SpatialBroadcast((1, 1)),
        )
    )
    image = Chain((ChannelWindow(0, 1), Conv2d(width, size, padding="valid")))
    block = Residual(Chain((LayerNorm(), Conv2d(2 * width, 1, activation="swish"), Conv2d(width, 1))))
    layers = (
        Concat((image, condition)),
        Conv2d(width, 1, activation="swish"),
        *(block,) * 4,
        LayerNorm(),
        ConvTranspose2d(1, size, size),
    )
    return netc.NetSpec("flow-mlp", (size, size, 3), layers)


def dense(task: Task) -> netc.NetSpec:
    """The same of dense layers, with an embedding of the class: the products of large images are then plain ones."""
    width, size = task.width, task.size
    condition = Chain(
        (
            ChannelWindow(1, 2),
            GlobalAvgPool(),
            Split((TimeFeatures(16, scale=1000.0), ClassEmbed(11, 64)), (1, 1)),
            Dense(width, activation="swish"),
            Dense(width, activation="swish"),
        )
    )
    image = Chain((ChannelWindow(0, 1), Flatten(), Dense(width)))
    block = Residual(Chain((LayerNorm(), Dense(2 * width, activation="swish"), Dense(width))))
    layers = (
        Concat((image, condition)),
        Dense(width, activation="swish"),
        *(block,) * 4,
        LayerNorm(),
        Dense(size * size),
        SpatialBroadcast((1, 1)),
        DepthToSpace(size),
    )
    return netc.NetSpec("flow-dense", (size, size, 3), layers)


def judge_of_clothes() -> netc.NetSpec:
    """A small convolutional net: 16, 32 and 64 channels, halved twice, and 128 features."""
    layers = (
        ConvBn(16, 3), MaxPool(2, 2), ConvBn(32, 3), MaxPool(2, 2), ConvBn(64, 3), Flatten(),
        Dense(128, activation="relu"), Dense(10),
    )  # fmt: skip
    return netc.NetSpec("judge", (28, 28, 1), layers)


TASKS = {
    "digits": Task(8, 256, convolved, {"epochs": 250, "batch": 64, "lr": 2e-3}, {"recipe": "digits"}, 0.98, 0.95),
    # an answer of v would have to carry the noise of 784 pixels through 512 channels: the judge knew 8 % and 3 % of the
    # first two classes; the image itself they do carry
    "fashion-mnist": Task(
        28, 512, dense,
        {"epochs": 12, "batch": 128, "lr": 1e-3, "flow_predicts": "x", "times": "logit-normal"},
        {"net": judge_of_clothes(), "data": "fashion-mnist", "epochs": 5, "batch": 128, "lr": 2e-3, "crop": 0},
        0.91, 0.80,
    ),
}  # fmt: skip


def train(name: str, task: Task, target: str, out: Path) -> netc.Run:
    return netc.train(
        task.net(task), name, process="flow", target=target, ema=0.995, optimizer="adamw", weight_decay=0.01, crop=0,
        flip=False, out=out, auto_resume=True, **task.words,
        on_epoch=lambda e: print(f"epoch {e.epoch + 1}: {e.averaged_loss:.4f}", flush=True),
    )  # fmt: skip


def minutes(folder: Path) -> float:
    """How long the steps of a run took, by the clock."""
    lines = (json.loads(line) for line in (folder / "timing.jsonl").read_text(encoding="utf-8").splitlines())
    return sum(line["seconds"] for line in lines if line["kind"] == "timing") / 60


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Between each of a [N, ..] and each of b [M, ..] uint8, [N, M]."""
    a, b = (v.reshape(len(v), -1).astype(np.float64) / 255 for v in (a, b))
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    found: np.ndarray = np.sqrt(np.maximum(squared, 0) / a.shape[1])
    return found


def diversity(images: np.ndarray) -> tuple[float, float]:
    """The mean distance of two, and of one to its nearest other."""
    d = distances(images, images)
    pairs = d[~np.eye(len(d), dtype=bool)]
    np.fill_diagonal(d, np.inf)
    return float(pairs.mean()), float(d.min(1).mean())


def measured(run: netc.Run, judge: netc.Run, target: str, steps: int, guidance: float) -> tuple[list[str], float]:
    """A row for each class, and the share of all samples that are judged as their class."""
    data = run.data_of(None).train
    pixels = np.stack([data[i][0] for i in range(len(data))]) if not hasattr(data, "pixels") else data.pixels
    rows, shares = [], []
    for label in range(10):
        drawn = run.draw(count=EACH, classes=(str(label),), steps=steps, guidance=guidance, seed=label, target=target)
        assert isinstance(drawn, Pictures)
        said = judge.predict(drawn.pixels, target=target).argmax(1)
        real = pixels[data.labels == label]
        spread, own = diversity(drawn.pixels), diversity(real[:EACH])
        copies = distances(drawn.pixels, real).min(1).mean()
        shares.append(float((said == label).mean()))
        rows.append(
            f"| {label} | {shares[-1]:.1%} | {spread[0]:.3f} | {own[0]:.3f} | {spread[1]:.3f} | {own[1]:.3f} "
            f"| {copies:.3f} |"
        )
        print(rows[-1], flush=True)
    return rows, float(np.mean(shares))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=TASKS)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--target", default="xla")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    name, task = options.data, TASKS[options.data]
    run = netc.Run.open(options.run) if options.run else train(name, task, options.target, options.out / f"flow-{name}")
    judge = (
        netc.Run.open(options.judge)
        if options.judge
        else netc.train(**task.judge, target=options.target, out=options.out / f"judge-{name}", auto_resume=True)
    )
    rows, share = measured(run, judge, options.target, options.steps, options.guidance)
    config = run.config
    planned = config.training.steps(steps_per_epoch(len(run.data_of(None).train), config.training.batch))
    stopped = f" of {planned:,}" if run.steps < planned else ""
    words = f" --run RUN --steps {options.steps}" if options.run else f" --steps {options.steps}"
    took = f" that took {minutes(run.folder):.0f} minutes"
    said = (
        f"{time.strftime('%Y-%m-%d')}, target {options.target}, netc {netc.__version__}. Printed by "
        f"`python scripts/generate_digits.py {name}{words}`: {config.net.count:,} parameters, "
        f"{run.steps:,}{stopped} steps{took}; samples by {options.steps} steps of Euler's method with guidance "
        f"{options.guidance:g}."
    )
    lines = [
        f"# Rectified flow on {name}", "",
        textwrap.fill(said, 120, break_on_hyphens=False), "",
        f"**{share:.1%}** of {10 * EACH} samples are judged as their class by a classifier of {judge.best:.2%}.", "",
        f"![Samples](flow-{name}.png)", "",
        "| class | judged so | distance of two: samples | real | to the nearest: samples | real | to training |",
        "|---|---|---|---|---|---|---|", *rows, "",
    ]  # fmt: skip
    print("\n".join(lines))
    if options.page:
        (PAGES / f"flow-{name}.md").write_text("\n".join(lines), encoding="utf-8")
        classes = tuple(str(i) for i in range(10))
        drawn = run.draw(
            count=100, classes=classes, steps=options.steps, guidance=options.guidance, target=options.target
        )
        assert isinstance(drawn, Pictures)
        drawn.save(PAGES / f"flow-{name}.png", 10, 10)
    return int(share < task.known or judge.best < task.least)


if __name__ == "__main__":
    sys.exit(main())
