"""One step of GPT-2 small beside PyTorch eager and JAX jit: its time, and the most memory that each process held.

    python scripts/bench_gpt2_step.py [--context N] [--batch N] [--rounds N] [--seconds S] [--ways WAY,WAY] [--write]
    python scripts/bench_gpt2_step.py --head [..]      # its embedding, last norm, head and loss alone

A step is forward, loss, backward and Adam, float32, 2 threads; each contestant lives in its own process and they take
turns. The peak is the largest resident set after the first steps: it holds the state (parameters and two moments,
1.5 GB) and the libraries. `--write` writes docs/measurements/gpt2_step.md, or gpt2_head.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import RATE, Contestant, Job, Step, Timing, flops_of, surroundings, unbroken
from netc.runtime.measure.race import race

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.layers import Chain, LayerNorm, TiedHead, TokenPositionEmbed, TransformerEncoder  # noqa: E402
from netc.netspec.recipe import Recipe  # noqa: E402
from netc.netspec.spec import NetSpec  # noqa: E402
from netc.proofs_oracle.peers.contestants import jax_step, torch_step  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.trainer import Trainer  # noqa: E402
from netc.runtime.versions import versions  # noqa: E402

PAGES = Path(__file__).parents[1] / "docs" / "measurements"
HEAD = NetSpec(
    "gpt2-head", (1024,),
    (TiedHead(TokenPositionEmbed(50_257, 768), LayerNorm(1e-5, name="norm"), name="model"),), dtype="i32",
)  # fmt: skip


def tiled(spec: NetSpec, tile: int) -> NetSpec:
    """The net with its attention by tiles of so many keys."""
    head = spec.layers[0]
    assert isinstance(head, TiedHead) and isinstance(head.body, Chain)
    layers = tuple(replace(y, tile=tile) if isinstance(y, TransformerEncoder) else y for y in head.body.layers)
    return replace(spec, layers=(replace(head, body=replace(head.body, layers=layers)),))


def netc_step(job: Job, target: str, tile: int, options: Mapping[str, Any]) -> tuple[Step, dict[str, Any]]:
    """netc with options of a recipe, from the start that all have."""
    net = check(tiled(job.net.spec, tile)) if tile else job.net
    prepared = prepare(build(net, Recipe(norms=False, **options), job.batch), parse_target(target), Cache())
    trainer = Trainer(prepared)
    trainer.init(0)
    trainer.restore(trainer.fetch() | job.start())
    notes = {"compile_s": prepared.compilation, "cached": prepared.cached}
    return trainer.repeated(*job.data(), RATE), notes


def ours(said: str, target: str = "cpu", tile: int = 0, **options: Any) -> Contestant:
    """netc as a contestant."""
    return Contestant(f"netc {target}{said}", partial(netc_step, target=target, tile=tile, options=options))


WAYS: dict[str, Contestant] = {
    "plain": ours(""),
    "chunked": ours(" --chunked-loss 256", chunked_loss=256),
    "chunked-tiled": ours(" --chunked-loss 256, tile 256", tile=256, chunked_loss=256),
    "chunked-remat": ours(" --chunked-loss 256 --remat", chunked_loss=256, remat=True),
    "c": ours("", "c"),
    "xla": ours("", "xla"),
    "xla-chunked": ours(" --chunked-loss 256", "xla", chunked_loss=256),
    "torch": Contestant("torch eager", partial(torch_step, compiled=False, last=False)),
    "jax": Contestant("JAX jit", jax_step),
}
USUAL, OF_HEAD = "plain,chunked,torch,jax", "plain,chunked,xla,xla-chunked,jax"


def table(found: list[Timing], job: Job, rounds: int) -> str:
    """The page."""
    peers = [t for t in found if not t.name.startswith("netc")]
    best = min((t.fair for t in peers), default=float("nan"))
    least = min((t.peak for t in peers), default=float("nan"))
    shown = ", ".join(f"{n} {v}" for n, v in versions(parse_target("cpu")).items())
    lines = [
        "# A step of GPT-2 small's head" if job.net.spec is HEAD else "# A step of GPT-2 small", "",
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {THREADS} threads; {shown}. Printed by "
        f"`python scripts/bench_gpt2_step.py{' --head' if job.net.spec is HEAD else ''} --write`.", "",
        f"{job.net.count:,} parameters, context {job.net.x.shape[0]:,}, batch {job.batch}, "
        f"{job.net.out.shape[-1]:,} tokens, float32, Adam: {flops_of(job) / 1e9:.0f} GFLOP. Each in its own process, "
        f"in turns, {rounds} rounds; medians.", "",
        "| | s a step | of the best peer | peak MB | of the least peer |", "|---|---|---|---|---|",
        *(
            f"| {t.name} | {t.median:.2f} | {t.fair / best:.2f} | {t.peak:,.0f} | {t.peak / least:.2f} |"
            for t in found
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--head", action="store_true", help="the embedding, the last norm, the head and the loss alone")
    parser.add_argument("--ways", help=f"of {', '.join(WAYS)}; by default {USUAL}, or of the head {OF_HEAD}")
    parser.add_argument("--write", action="store_true", help="write the page in docs/measurements")
    options = parser.parse_args()
    spec = HEAD if options.head else find("gpt2").with_input((options.context,))
    job = Job(check(spec), options.batch, THREADS)
    ways = options.ways or (OF_HEAD if options.head else USUAL)
    chosen = [WAYS[word] for word in ways.split(",")]
    found = unbroken(race(job, chosen, options.rounds, options.seconds, lambda doing: print(doing, flush=True)))
    page = table(list(found), job, len(found[0].times))
    print(page)
    if options.write:
        (PAGES / ("gpt2_head.md" if options.head else "gpt2_step.md")).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
