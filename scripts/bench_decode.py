"""Tokens a second of `netc sample` beside PyTorch with a cache of keys and values, and GGML: one model, batch 1.

    python scripts/bench_decode.py [NET ..] [--tokens N] [--rounds N] [--target T] [--write]

In one process and in turns, greedy, from a prompt of half the context to its end. netc and PyTorch give the same
tokens, or the script says from where on they do not. PyTorch's twin is written here, of GPT-like nets of the zoo. GGML
is the CPU engine of the package `ctransformers` (ggml_gpt2.py), where it is installed: `pip install ctransformers`. It
looks gelu up in a table of float16, so its tokens may be others. `--write` writes docs/measurements/decode.md.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from netc.runtime.measure.bench import surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import ggml_gpt2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from netc.codegen import evaluator  # noqa: E402
from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.find import find  # noqa: E402
from netc.netspec.recipe import Recipe  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.prepare import prepare  # noqa: E402
from netc.runtime.sample import Settings, Writer, sampler_for  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs" / "measurements" / "decode.md"
HEADS = {"tiny-gpt": 4, "gpt2": 12}
Weights = Mapping[str, torch.Tensor]
Pair = tuple[torch.Tensor, torch.Tensor]


class Twin:
    """A GPT-like net in PyTorch, from netc's weights: pre-norm blocks, a tied head, keys and values kept."""

    def __init__(self, net: CheckedNet, weights: Weights) -> None:
        self.heads = HEADS[net.spec.name]
        self.tokens, self.positions = weights["model.embed.tokens"], weights["model.embed.positions"]
        self.last = self._of(weights, "model.body.norm.")
        stems = dict.fromkeys(m[0] for name in weights if (m := re.match(r".*block\d+\.", name)))
        self.blocks = [self._of(weights, stem) for stem in stems]
        self.cache: list[tuple[torch.Tensor, torch.Tensor]] = []

    @staticmethod
    def _of(weights: Weights, stem: str) -> dict[str, torch.Tensor]:
        """The weights of a part, by the last two words of their names, behind `mlp` or `attention`."""
        own = {name.removeprefix(stem): w for name, w in weights.items() if name.startswith(stem)}
        return {
            f"{'mlp.' if name.startswith('mlp') else ''}{'.'.join(name.split('.')[-2:])}": w for name, w in own.items()
        }

    def step(self, ids: torch.Tensor, place: int) -> int:
        """Take the ids [n] from `place` on; the likeliest next one."""
        x = self.tokens[ids] + self.positions[place : place + len(ids)]
        kept = []
        for index, w in enumerate(self.blocks):
            added, cache = self._attend(w, x, self.cache[index] if place else None)
            kept.append(cache)
            x = x + added
            h = norm(w, "mlp.norm", x)
            h = torch.nn.functional.gelu(dense(w, "mlp.hidden", h), approximate="tanh")
            x = x + dense(w, "mlp.out", h)
        self.cache = kept
        h = torch.nn.functional.layer_norm(x[-1:], x.shape[-1:], self.last["scale"], self.last["bias"], 1e-5)
        return int((h @ self.tokens.T).argmax())

    def _attend(self, w: Weights, x: torch.Tensor, before: Pair | None) -> tuple[torch.Tensor, Pair]:
        n, width = x.shape
        qkv = dense(w, "qkv", norm(w, "norm", x)).reshape(n, 3, self.heads, width // self.heads)
        q, k, v = (qkv[:, i].transpose(0, 1) for i in range(3))
        if before:
            k, v = torch.cat([before[0], k], 1), torch.cat([before[1], v], 1)
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=n > 1)
        return dense(w, "out", o.transpose(0, 1).reshape(n, width)), (k, v)


def dense(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    """x kernel (+ bias)."""
    bias = w.get(f"{name}.bias")
    y = x @ w[f"{name}.kernel"]
    return y if bias is None else y + bias


def norm(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    """A layer norm."""
    return torch.nn.functional.layer_norm(x, x.shape[-1:], w[f"{name}.scale"], w[f"{name}.bias"], 1e-5)


def by_torch(twin: Twin, threads: int, prompt: list[int], count: int, clock: list[float]) -> list[int]:
    """The tokens that PyTorch writes; `clock` gets the time of each."""
    torch.set_num_threads(threads)
    found: list[int] = []
    ids, place = torch.tensor(prompt), 0
    for _ in range(count):
        begin = time.perf_counter()
        found.append(twin.step(ids, place))
        clock.append(time.perf_counter() - begin)
        place += len(ids)
        ids = torch.tensor(found[-1:])
    return found


def by_netc(writer: Writer, prompt: list[int], count: int, clock: list[float]) -> list[int]:
    """The tokens that netc writes; `clock` gets the time of each."""
    found, begin = [], time.perf_counter()
    for drawn in writer.write(prompt, count, Settings(temperature=0.0)):
        clock.append(time.perf_counter() - begin)
        found.append(int(drawn[0]))
        begin = time.perf_counter()
    return found


@dataclass(frozen=True)
class Row:
    """What was measured of a net: milliseconds to the first token, and for each after it.

    `same`: how many tokens PyTorch has too; `ggml`: how many GGML has, None where it is not installed.
    """

    net: str
    first: dict[str, float]
    each: dict[str, float]
    same: int
    ggml: int | None
    tokens: int


def measured(name: str, target: str, tokens: int, rounds: int) -> Row:
    """All in turns, each after a round that is not counted."""
    net = check(find(name))
    context = net.x.shape[0]
    where = parse_target(target)
    sampler, whole = sampler_for(net, where), build(net, Recipe(), 1)
    state = evaluator.run(whole.module, "init", [np.array([0, 1], np.uint32)], "f32")
    tensors = dict(zip((s.name for s in whole.state), state, strict=True))
    writer = Writer(sampler, prepare(sampler.program, where, Cache()), tensors)
    twin = Twin(net, {s.name: torch.from_numpy(np.ascontiguousarray(tensors[s.name])) for s in whole.kept})
    prompt = np.random.default_rng(0).integers(0, sampler.vocabulary, context // 2).tolist()
    count = min(tokens, context // 2)
    ways: dict[str, Callable[[list[float]], list[int]]] = {
        "netc": lambda clock: by_netc(writer, prompt, count, clock),
        **{f"torch{n}": partial(by_torch, twin, n, prompt, count) for n in range(1, THREADS + 1)},
    }
    for n, model in in_ggml(twin):
        ways[f"ggml{n}"] = partial(ggml_gpt2.by_ggml, model, prompt, count)
    clocks: dict[str, list[list[float]]] = {who: [] for who in ways}
    wrote: dict[str, list[int]] = {}
    with torch.inference_mode():
        for round_ in range(rounds + 1):
            for who, run in ways.items():
                clock: list[float] = []
                wrote[who] = run(clock)
                if round_:
                    clocks[who].append(clock)
    same = alike(wrote, "torch")
    first = {who: 1e3 * statistics.median(c[0] for c in own) for who, own in clocks.items()}
    each = {who: 1e3 * statistics.median(statistics.mean(c[1:]) for c in own) for who, own in clocks.items()}
    first, each = ({who: fastest(t, who) for who in ("netc", "torch", "ggml")} for t in (first, each))
    return Row(name, first, each, same, alike(wrote, "ggml") if "ggml1" in wrote else None, count)


def alike(wrote: Mapping[str, list[int]], who: str) -> int:
    """How many tokens from the first on are netc's in all of a peer's runs."""
    peers = [own for name, own in wrote.items() if name.startswith(who)]
    return next(
        (i for i, of in enumerate(zip(wrote["netc"], *peers, strict=True)) if len({*of}) > 1), len(wrote["netc"])
    )


def fastest(times: Mapping[str, float], who: str) -> float:
    """The least of a contestant's times, over its numbers of threads; inf where it did not run."""
    return min((t for name, t in times.items() if name.startswith(who)), default=math.inf)


def in_ggml(twin: Twin) -> list[tuple[int, Any]]:
    """The twin's weights in GGML's engine, by the number of threads; none where it is not installed."""
    if find_spec("ctransformers") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpt2.bin"
        outer = {**twin.last, "tokens": twin.tokens, "positions": twin.positions}
        ggml_gpt2.write_file(path, outer, list(twin.blocks), twin.heads)
        return [(n, ggml_gpt2.engine(path, n)) for n in range(1, THREADS + 1)]


def cell(milliseconds: float) -> str:
    """A time, or a dash."""
    return "-" if math.isinf(milliseconds) else f"{milliseconds:.2f}"


def table(rows: list[Row], target: str) -> str:
    """Markdown."""
    said = (
        f"Greedy, batch 1, from a prompt of half the context, on `{target}`, in PyTorch {torch.__version__} with a "
        "cache of keys and values and, where it is installed, in GGML by ctransformers (float32), in turns; "
        "milliseconds, medians of the rounds (each: a round's mean). netc has 2 threads, a small net one; a peer has "
        "the faster of 1 and 2. `same`: how many of the tokens are the same as PyTorch's, and as GGML's, which looks "
        "gelu up in a table of float16. Printed by `python scripts/bench_decode.py --write`."
    )
    lines = [
        "# Writing, token by token", "", textwrap.fill(said, 120, break_on_hyphens=False), "",
        "| net | tokens | same | first: netc | torch | GGML | netc / best | each: netc | torch | GGML | netc / best "
        "| tokens/s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in rows:
        first, each = (" | ".join(cell(t[who]) for who in ("netc", "torch", "ggml")) for t in (r.first, r.each))
        ratios = [t["netc"] / min(t["torch"], t["ggml"]) for t in (r.first, r.each)]
        same = f"{r.same}, {'-' if r.ggml is None else r.ggml}"
        lines.append(
            f"| {r.net} | {r.tokens} | {same} | {first} | {ratios[0]:.2f} | {each} | {ratios[1]:.2f} "
            f"| {1e3 / r.each['netc']:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(HEADS), metavar="NET")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/decode.md")
    options = parser.parse_args()
    found = table([measured(n, options.target, options.tokens, options.rounds) for n in options.nets], options.target)
    print(found)
    if options.write:
        PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
