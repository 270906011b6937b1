"""Products of large operands on IREE's CPU: as they stand, and cut into pieces (codegen/rewrite/iree/long_products.py).

    python scripts/bench_long_products.py [--rounds N]

The rows are the three products of GPT-2's head at a context of 1,024, and kernel gradients of convolutions.
Prints GFLOP/s, the fastest of the rounds; the two take turns. At least 4 GB of memory are needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

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
    "logits [1024, 768] x [50257, 768]": ((1024, 768), (50257, 768), (1, 1)),
    "dx [1024, 50257] x [50257, 768]": ((1024, 50257), (50257, 768), (1, 0)),
    "dw [1024, 50257] x [1024, 768]": ((1024, 50257), (1024, 768), (0, 0)),
    "kernel gradient [32768, 128] x [32768, 1152]": ((32768, 128), (32768, 1152), (0, 0)),
    "kernel gradient [32768, 64] x [32768, 576]": ((32768, 64), (32768, 576), (0, 0)),
}


def product(x: tuple[int, ...], y: tuple[int, ...], contract: tuple[int, int]) -> Module:
    """One product whose result is summed to a vector, so that little comes back."""
    b = Builder(NAME)
    made = b.dot(b.parameter("x", TensorType(x)), b.parameter("y", TensorType(y)), contract)
    return Module("long", (b.finish([("total", b.sum(b.op("barrier", made), (0,)))]),))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rng, cpu = np.random.default_rng(0), parse_target("cpu")
    print("| product | whole | in pieces |\n|---|---|---|")
    for name, (x, y, contract) in PRODUCTS.items():
        held = {"x": rng.standard_normal(x, np.float32), "y": rng.standard_normal(y, np.float32)}
        ways: list[Callable[[], object]] = [
            SmallProgram(product(x, y, contract), cpu, Cache(), held, name, without)
            for without in (["cut_long_products"], [])
        ]
        flops = 2 * np.prod(x) * np.prod(y) / x[contract[0]]
        times = [[_seconds(way) for way in ways] for _ in range(rounds + 1)][1:]
        cells = [f"{flops / min(column) / 1e9:.0f}" for column in zip(*times, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _seconds(way: Callable[[], object]) -> float:
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
