"""One training step of netc beside JAX jit, PyTorch eager and torch.compile: same net, batch, Adam, float32, threads.

    python scripts/bench_step.py [NET:BATCH ...] [--rounds N] [--threads N] [--write]

All contestants live in one process and take turns (A B C A B C ..); the table shows medians over the rounds and the
ratio to the best peer. Every step runs forward, loss, backward and Adam on a batch that already lies on the device,
and waits for the loss. `--write` puts the table under docs/measurements/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
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

DEFAULT = ("mnist-mlp:128", "mnist-cnn:128", "resnet34-cifar:32")
RATE = 1e-3
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
    """JAX: the oracle's own reference of the net, value_and_grad, Adam, jit with donated state."""
    import jax
    import jax.numpy as jnp

    from netc.proofs_oracle.reference import apply

    rng = np.random.default_rng(0)
    params = {p.name: jnp.asarray(rng.normal(0, 0.05, p.shape), jnp.float32) for p in net.params}
    params |= {p.name: jnp.ones(p.shape, jnp.float32) for p in net.params if p.name.endswith("scale")}
    state = {s.name: jnp.full(s.shape, s.init.value, jnp.float32) for s in net.state}
    zeros = {k: jnp.zeros_like(v) for k, v in params.items()}

    def loss_fn(p: Any, s: Any, x: Any, y: Any) -> Any:
        logits, new = apply(net.spec.body, p, s, x, True)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
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
    held = [params, state, zeros, {k: jnp.zeros_like(v) for k, v in params.items()}, jnp.float32(0)]
    xd, yd = jnp.asarray(x), jnp.asarray(y)

    def step() -> float:
        *held[:], loss = run(*held, xd, yd)
        return float(loss)

    return step


def torch_steps(net: CheckedNet, x: Any, y: Any) -> dict[str, Step]:
    """PyTorch eager in both memory layouts, and torch.compile."""
    import torch
    from peers.torch_net import torch_net

    torch.set_num_threads(THREADS)
    image = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    labels = torch.from_numpy(y.astype(np.int64))

    def make(compiled: bool, last: bool) -> Step:
        module = torch_net(net.spec)
        data = image
        if last:
            module, data = module.to(memory_format=torch.channels_last), image.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        forward = torch.compile(module) if compiled else module

        def step() -> float:
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(forward(data), labels)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step

    convolves = any(p.name.endswith("kernel") and len(p.shape) == 4 for p in net.params)
    steps = {"torch eager": make(False, False), "torch.compile": make(True, False)}
    if convolves:
        steps |= {"torch eager, channels last": make(False, True), "torch.compile, channels last": make(True, True)}
    return steps


def measure(steps: dict[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Times in seconds, one list for each contestant, taken in turns."""
    times: dict[str, list[float]] = {n: [] for n in steps}
    for name, step in steps.items():
        for _ in range(3):
            loss = step()
        assert np.isfinite(loss), name
    start = time.perf_counter()
    for _ in range(rounds):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - begin)
        if time.perf_counter() - start > seconds:
            break
    return times


def bench(name: str, batch: int, rounds: int, seconds: float, targets: list[str]) -> dict[str, Any]:
    """One net."""
    net = check(find(name))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *net.spec.input)).astype(np.float32)
    y = rng.integers(0, net.out.shape[0], batch).astype(np.int32)
    notes: dict[str, Any] = {}
    steps = {f"netc {t}": netc_step(net, batch, t, x, y, notes) for t in targets}
    steps["JAX jit"] = jax_step(net, batch, x, y)
    steps |= torch_steps(net, x, y)
    times = measure(steps, rounds, seconds)
    medians = {n: statistics.median(t) * 1e3 for n, t in times.items()}
    peers = {n: t for n, t in medians.items() if not n.startswith("netc")}
    best = min(peers, key=lambda n: peers[n])
    rows = [
        {"name": n, "median_ms": t, "min_ms": min(times[n]) * 1e3, "ratio": t / peers[best]} for n, t in medians.items()
    ]
    return {"net": name, "batch": batch, "rounds": len(times[best]), "best_peer": best, "rows": rows, "notes": notes}


def table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = []
    for r in results:
        lines += [f"### {r['net']}, batch {r['batch']} ({r['rounds']} rounds)", ""]
        lines += ["| | median ms | fastest ms | median / best peer's |", "|---|---|---|---|"]
        for row in r["rows"]:
            lines.append(f"| {row['name']} | {row['median_ms']:.2f} | {row['min_ms']:.2f} | {row['ratio']:.2f} |")
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
        (folder / "bench_step.json").write_text(json.dumps({"where": where, "results": results}, indent=1) + "\n")
        shown = ", ".join(f"{k} {v}" for k, v in where["versions"].items())
        head = f"# Training steps beside their peers\n\n{where['date']}, {where['cpu']}, {THREADS} threads; {shown}.\n"
        head += "Printed by `python scripts/bench_step.py --write`; a shared machine, so read the ratios.\n\n"
        (folder / "bench_step.md").write_text(head + table(results))


if __name__ == "__main__":
    main()
