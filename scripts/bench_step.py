"""One training step of netc beside JAX jit, PyTorch eager and torch.compile: same net, batch, Adam, float32, threads.

    python scripts/bench_step.py [NET:BATCH ...] [--rounds N] [--threads N] [--write]

Each contestant lives in its own process and they take turns (A B C A B C ..) of 0.1 s or one step; the table shows
medians over the rounds and the ratios to the best peer and to PyTorch eager. Every step runs forward, loss, backward
and Adam on a batch that already lies on the device, and waits for the loss. `--write` puts the table under
docs/measurements/.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

THREADS = 2
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # so that idle workers of one contestant leave the cores to the next
os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}")

import numpy as np  # noqa: E402

from netc.codegen.program import build  # noqa: E402
from netc.netspec.check import CheckedNet, check  # noqa: E402
from netc.netspec.recipe import Recipe  # noqa: E402
from netc.netspec.zoo import find  # noqa: E402
from netc.runtime.cache import Cache  # noqa: E402
from netc.runtime.session import Session, prepare  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402
from netc.runtime.train import versions  # noqa: E402

DEFAULT = ("mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32", "vit_tiny_patch4_32:32", "tiny-gpt:12")
# nets whose peers are written out by hand: the class in peers/*_transformers.py and its sizes
TRANSFORMERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "vit_tiny_patch4_32": ("ViT", (32, 4, 192, 3, 12, 10)),
    "tiny-gpt": ("GPT", (65, 64, 128, 4, 4)),
}
RATE = 1e-3
TURN = 0.1  # seconds: a turn is one step, or as many as fit, as a training loop runs them one after the other
Step = Callable[[], float]


def netc_step(net: CheckedNet, batch: int, target: str, x: Any, y: Any, notes: dict[str, Any]) -> Step:
    """netc on a target; the norms that traces record are off, as no peer computes them."""
    prepared = prepare(build(net, Recipe(norms=False), batch), parse_target(target), Cache())
    notes[f"netc {target}"] = {
        "emission_s": prepared.emission,
        "compile_s": prepared.compilation,
        "cached": prepared.cached,
    }
    session = Session(prepared)
    session.init(0)
    loaded = session._loaded
    args = [loaded.put(x), loaded.put(y), loaded.put(np.float32(RATE))]

    def step() -> float:
        results = loaded.call("train_step", [*session.state, *args], donate=len(session.state))
        session.state = results[: len(session.state)]
        return float(loaded.get(results[len(session.state)]))

    return step


def jax_step(net: CheckedNet, batch: int, x: Any, y: Any) -> Step:
    """JAX: lax convolutions, value_and_grad, Adam, jit with donated state."""
    import jax
    import jax.numpy as jnp
    from peers import jax_net, jax_transformers

    rng = np.random.default_rng(0)
    params: Any = {p.name: jnp.asarray(rng.normal(0, 0.05, p.shape), jnp.float32) for p in net.params}
    params |= {p.name: jnp.ones(p.shape, jnp.float32) for p in net.params if p.name.endswith("scale")}
    state = {s.name: jnp.full(s.shape, s.init.value, jnp.float32) for s in net.state}
    if net.spec.name in TRANSFORMERS:
        kind, sizes = TRANSFORMERS[net.spec.name]
        twin = getattr(jax_transformers, kind)(*sizes)
        params = twin.init(rng)
        assert sum(v.size for v in jax.tree.leaves(params)) == net.count, "the peer is another net"
    zeros = jax.tree.map(jnp.zeros_like, params)

    def loss_fn(p: Any, s: Any, x: Any, y: Any) -> Any:
        if net.spec.name in TRANSFORMERS:
            logits, new = twin.apply(p, x), s
        else:
            logits, new = jax_net.apply(net.spec.body, p, s, x)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)
        return -chosen.mean(), new

    def train(p: Any, s: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        (loss, s), g = jax.value_and_grad(loss_fn, has_aux=True)(p, s, x, y)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        p = jax.tree.map(lambda p, m, v: p - RATE * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return p, s, m, v, t, loss

    run = jax.jit(train, donate_argnums=(0, 1, 2, 3, 4))
    held = [params, state, zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0)]
    xd, yd = jnp.asarray(x), jnp.asarray(y)

    def step() -> float:
        *held[:], loss = run(*held, xd, yd)
        return float(loss)

    return step


def torch_step(net: CheckedNet, x: Any, y: Any, compiled: bool, last: bool) -> Step:
    """PyTorch eager or torch.compile, its images in NCHW or channels last."""
    import torch
    from peers import torch_net, torch_transformers

    torch.set_num_threads(THREADS)
    data = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x)
    labels = torch.from_numpy(y.astype(np.int64))
    if net.spec.name in TRANSFORMERS:
        kind, sizes = TRANSFORMERS[net.spec.name]
        module = getattr(torch_transformers, kind)(*sizes)
        assert sum(p.numel() for p in module.parameters()) == net.count, "the peer is another net"
    else:
        module = torch_net.torch_net(net.spec)
    if last:
        module, data = module.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    forward = torch.compile(module) if compiled else module

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        logits = forward(data)
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


TORCH = {
    "torch eager": (False, False),
    "torch.compile": (True, False),
    "torch eager, channels last": (False, True),
    "torch.compile, channels last": (True, True),
}


def work(pipe: Connection, name: str, contestant: str, batch: int) -> None:
    """One contestant in its own process, so that no allocator or thread pool is another's: a step for each message."""
    net = check(find(name))
    rng = np.random.default_rng(0)
    classes = net.out.shape[-1]
    x = rng.normal(size=(batch, *net.spec.input)).astype(np.float32)
    if net.x.dtype == "i32":
        x = rng.integers(0, classes, x.shape).astype(np.int32)
    y = rng.integers(0, classes, (batch, *net.out.shape[:-1])).astype(np.int32)
    notes: dict[str, Any] = {}
    if contestant.startswith("netc "):
        step = netc_step(net, batch, contestant.removeprefix("netc "), x, y, notes)
    elif contestant == "JAX jit":
        step = jax_step(net, batch, x, y)
    else:
        step = torch_step(net, x, y, *TORCH[contestant])
    losses = [step() for _ in range(3)]
    assert np.isfinite(losses).all(), contestant
    begin = time.perf_counter()
    step()
    count = max(1, round(TURN / (time.perf_counter() - begin)))
    pipe.send(notes)
    while pipe.recv():
        begin = time.perf_counter()
        for _ in range(count):
            step()
        pipe.send((time.perf_counter() - begin) / count)
    pipe.send(resident())


def resident() -> float:
    """The memory that this process holds, in MB: its resident set, mapped libraries included."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmRSS"))


def bench(name: str, batch: int, rounds: int, seconds: float, targets: list[str]) -> dict[str, Any]:
    """One net: all contestants started, then taking turns."""
    images = any(len(p.shape) == 4 for p in check(find(name)).params)
    names = [f"netc {t}" for t in targets] + ["JAX jit", *(n for n in TORCH if images or "last" not in n)]
    spawn = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    notes: dict[str, Any] = {}
    for contestant in names:
        pipes[contestant], theirs = spawn.Pipe()
        spawn.Process(target=work, args=(theirs, name, contestant, batch), daemon=True).start()
        found = pipes[contestant].recv()  # one after the other: compiling must not disturb compiling
        notes |= found
    times: dict[str, list[float]] = {n: [] for n in names}
    start = time.perf_counter()
    while len(times[names[0]]) < rounds and time.perf_counter() - start < seconds:
        for contestant in names:
            pipes[contestant].send(True)
            times[contestant].append(pipes[contestant].recv())
    memory = {}
    for contestant, pipe in pipes.items():
        pipe.send(False)
        memory[contestant] = pipe.recv()
    medians = {n: statistics.median(t) * 1e3 for n, t in times.items()}
    peers = {n: t for n, t in medians.items() if not n.startswith("netc")}
    best = min(peers, key=lambda n: peers[n])
    rows = [
        {
            "name": n, "median_ms": t, "min_ms": min(times[n]) * 1e3, "ratio": t / peers[best],
            "to_eager": t / peers["torch eager"], "resident_mb": memory[n],
        }
        for n, t in medians.items()
    ]  # fmt: skip
    return {"net": name, "batch": batch, "rounds": len(times[best]), "best_peer": best, "rows": rows, "notes": notes}


def table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = []
    for r in results:
        lines += [f"### {r['net']}, batch {r['batch']} ({r['rounds']} rounds)", ""]
        lines += [
            "| | median ms | fastest ms | median / best peer's | median / torch eager's | resident MB |",
            "|---|---|---|---|---|---|",
        ]
        for row in r["rows"]:
            figures = [row[k] for k in ("median_ms", "min_ms", "ratio", "to_eager")]
            lines.append(
                f"| {row['name']} | "
                + " | ".join(f"{f:.2f}" for f in figures)
                + f" | {row.get('resident_mb', math.nan):.0f} |"
            )
        for name, note in r["notes"].items():
            how = "from the cache" if note["cached"] else "cold"
            lines += ["", f"{name}: emitted in {note['emission_s']:.2f} s, IREE {note['compile_s']:.1f} s ({how})."]
        lines.append("")
    return "\n".join(lines)


def processor() -> str:
    """The CPU's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET:BATCH")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60, help="at most so long for each net")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/bench_step.{md,json}")
    options = parser.parse_args()
    results = []
    for item in options.nets:
        name, _, batch = item.partition(":")
        results.append(bench(name, int(batch or 32), options.rounds, options.seconds, options.targets.split(",")))
        print(table(results[-1:]), flush=True)
    import torch

    where = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": processor(),
        "threads": THREADS,
        "versions": versions() | {"torch": torch.__version__},
    }
    if options.write:
        folder = Path(__file__).parent.parent / "docs" / "measurements"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "bench_step.json"
        done = {r["net"] for r in results}  # nets not measured now keep what was measured before
        kept = [r for r in json.loads(path.read_text())["results"] if r["net"] not in done] if path.exists() else []
        results = sorted([*kept, *results], key=lambda r: r["net"])
        path.write_text(json.dumps({"where": where, "results": results}, indent=1) + "\n")
        shown = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
        head = f"# Training steps beside their peers\n\n{where['date']}, {where['cpu']}, {THREADS} threads; {shown}.\n"
        head += "Printed by `python scripts/bench_step.py --write`; a shared machine, so read the ratios.\n\n"
        (folder / "bench_step.md").write_text(head + table(results))


if __name__ == "__main__":
    main()
