"""Products over a long axis on IREE's CPU: as they stand, and in blocks (codegen/rewrite/iree/blocked_sums.py).

    python scripts/bench_blocked_sums.py [--rounds N]

Prints the error against float64, relative and as root mean square, of both, of JAX and of NumPy, and the processor's
time of both, the fastest of the rounds; the two take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.inference import NAME
from netc.codegen.ir import Module
from netc.netspec.types import TensorType
from netc.runtime.cache.store import Cache
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import parse_target

# name: shapes of x and y, the axes that are summed
PRODUCTS = {
    "dense [128, 3136] x [3136, 512]": ((128, 3136), (3136, 512), (1, 0)),
    "mlp [512, 3072] x [3072, 768]": ((512, 3072), (3072, 768), (1, 0)),
    "kernel gradient [100352, 9] x [100352, 32]": ((100352, 9), (100352, 32), (0, 0)),
    "kernel gradient [25088, 64] x [25088, 288]": ((25088, 64), (25088, 288), (0, 0)),
    "kernel gradient [16384, 128] x [16384, 1152]": ((16384, 128), (16384, 1152), (0, 0)),
}


def product(x: tuple[int, ...], y: tuple[int, ...], contract: tuple[int, int]) -> Module:
    """One product."""
    b = Builder(NAME)
    made = b.dot(b.parameter("x", TensorType(x)), b.parameter("y", TensorType(y)), contract)
    return Module("summed", (b.finish([("product", made)]),))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    rng, cpu = np.random.default_rng(0), parse_target("cpu")
    print("| product | whole | in blocks | JAX | NumPy | whole: CPU ms | in blocks: CPU ms |\n" + "|---" * 7 + "|")
    for name, (x, y, contract) in PRODUCTS.items():
        held = {"x": rng.standard_normal(x, np.float32), "y": rng.standard_normal(y, np.float32)}
        axes = tuple((a,) for a in contract)
        wanted = np.tensordot(held["x"].astype(float), held["y"].astype(float), axes)
        ways: list[Callable[[], Any]] = [
            SmallProgram(product(x, y, contract), cpu, Cache(), held, name, without)
            for without in ("sum_in_blocks", "")
        ]
        found = [way()[0] for way in ways]
        found += [jax.numpy.tensordot(held["x"], held["y"], axes), np.tensordot(held["x"], held["y"], axes)]
        errors = [f"{np.linalg.norm(np.asarray(got, float) - wanted) / np.linalg.norm(wanted):.1e}" for got in found]
        times = [[_spent(way) for way in ways] for _ in range(rounds)]
        cells = errors + [f"{1e3 * min(column):.1f}" for column in zip(*times, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _spent(way: Callable[[], object]) -> float:
    begin = time.process_time()
    way()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
