"""Where the time of a training step or a prediction goes on IREE's CPU, by kind of kernel: what a bar is missed by.

    python scripts/kernel_kinds.py [NET[@SIDE]:BATCH ...] [--function predict] [--steps N] [--write]

The step is that of scripts/bench_step.py: Adam, float32, without norms, on 2 threads. `netc profile`'s dispatches are
added up by what IREE's names for them say: products (and convolutions), packing for products, sums along or over rows,
element by element, and copies. The rate is that of the products, beside that of a large product of matrices, IREE's or
XLA's; the last column is what would be left of the step if all products ran at the latter. Times are medians of each
kernel, so that they add up to less than the step. `--write` merges the nets into docs/measurements/kernel_kinds.md, or
predict_kinds.md.
"""

from __future__ import annotations

import argparse
import os
import re
from functools import partial
from typing import Any

from netc.runtime.measure.bench import Job, surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before NumPy is imported

from bench_nets import parse  # noqa: E402
from merged_pages import keep, one_by_one  # noqa: E402

from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.measure.ceilings import ceilings  # noqa: E402
from netc.runtime.measure.profile import profile  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402

DEFAULT = {
    "train_step": (
        "mnist-mlp:128", "resnet34-cifar:32", "resnet34:8", "resnet50:4", "convnext_tiny:4", "unet@128:4",
        "vit_tiny_patch4_32:32", "vit_small_patch16_224:4",
    ),
    "predict": tuple(
        f"{net}:{batch}"
        for net in ("resnet34", "mobilenet_v2", "vit_tiny_patch16_224", "tiny-gpt")
        for batch in (1, 32)
    ),
}  # fmt: skip
PAGES = {  # of a function: the page's name, its title, and what its times are of
    "train_step": ("kernel_kinds", "Steps by kind of kernel", "a training step"),
    "predict": ("predict_kinds", "Predictions by kind of kernel", "a prediction"),
}
# kind -> what begins the names of its kernels, behind the function and the number; the first that matches
KINDS = {
    "packing": r"encode|encoding|pack|unpack|unset",
    "products": r"conv|matmul|mmt4d|batch_matmul|batch_mmt4d|contract",
    "sums": r"reduction|matvec|vecmat|softmax|pooling|dot|scan",
    "element by element": r"elementwise",
    "copies": r"",
}
_NAME = re.compile(r"_?(?:encoding_\d+_|.*?dispatch_\d+_)(.*)")


def kind_of(function: str) -> str:
    """The kind of a kernel by IREE's name for it.

    >>> kind_of("train_step_dispatch_17_matmul_like_784x512x128_f32"), kind_of("_encoding_0_encode_128x784xf32")
    ('products', 'packing')
    """
    matched = _NAME.fullmatch(function)
    name = matched[1] if matched else function
    return next(kind for kind, words in KINDS.items() if re.match(words, name))


def measure(word: str, steps: int, function: str) -> dict[str, Any]:
    """One net: milliseconds of a call by kind."""
    name, net, batch = parse(word)
    cache = Cache()
    found = profile(Job(net, batch, THREADS).program, parse_target("cpu"), cache, steps, function=function)
    large = max(ceilings(parse_target(target), cache, again=True).flops for target in ("cpu", "xla"))
    spent = dict.fromkeys(KINDS, 0.0)
    flops = 0
    for one in found.dispatches:
        kind = kind_of(one.site.function)
        spent[kind] += one.seconds * 1e3
        flops += (one.flops or 0) if kind == "products" else 0
    return {
        "net": f"{name}, b{batch}", "step_ms": found.step * 1e3, "busy_ms": found.busy * 1e3, "kinds": spent,
        "gflops": flops / spent["products"] / 1e6, "large_gflops": large / 1e9,
    }  # fmt: skip


def _at_best(r: dict[str, Any]) -> float:
    """The part of a step that is left if every product runs at a large one's rate."""
    return float(1 - r["kinds"]["products"] * (1 - r["gflops"] / r["large_gflops"]) / r["step_ms"])


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each net."""
    lines = [
        "| net | step | kernels | " + " | ".join(KINDS) + " | GFLOP/s of products | of a large one | "
        "step, were all so fast |",
        "|---" * (len(KINDS) + 6) + "|",
    ]
    for r in results:
        cells = [r["step_ms"], r["busy_ms"], *r["kinds"].values()]
        lines.append(
            f"| {r['net']} | " + " | ".join(f"{c:.2f}" if c < 10 else f"{c:,.0f}" for c in cells)
            + f" | {r['gflops']:.0f} | {r['large_gflops']:.0f} | {_at_best(r):.2f} |"
        )  # fmt: skip
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET[@SIDE]:BATCH")
    parser.add_argument("--function", choices=tuple(PAGES), default="train_step")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="merge into a page of docs/measurements")
    options = parser.parse_args()
    page, title, what = PAGES[options.function]
    given, nets = (options.steps, options.function), options.nets or DEFAULT[options.function]
    for result in one_by_one((word, partial(measure, word, *given)) for word in nets):
        print(table([result]), flush=True)
        if options.write:
            said = f"Printed by `python scripts/kernel_kinds.py --write`: milliseconds of {what} on `cpu`."
            keep(page, result, THREADS, title, said, table)


if __name__ == "__main__":
    main()
