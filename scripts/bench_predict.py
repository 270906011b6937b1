"""`netc predict`'s call beside onnxruntime, PyTorch eager and torch.compile: the same weights, examples and threads.

    python scripts/bench_predict.py [NET[@SIDE] ...] [--batches 1,32] [--rounds N] [--seconds S] [--write]

Float32; the arrays come from the host and the logits go back to it. Each contestant lives in its own process and they
take turns (runtime/measure/race.py). onnxruntime runs the file of `netc export --onnx` and, in a row of its own,
PyTorch's export of its module, where PyTorch can write one. The mean absolute logit of all must agree. `--write` merges
the nets into docs/measurements/predict.md.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import time
from functools import partial
from importlib.util import find_spec
from typing import Any

from netc.runtime.measure.bench import Contestant, Job, Step, surroundings

THREADS = 2
os.environ.update(surroundings(THREADS))  # before anything that reads it is imported

import numpy as np  # noqa: E402
from bench_nets import parse  # noqa: E402
from merged_pages import cell, keep, one_by_one  # noqa: E402

from netc.codegen.inference import NAME, inference_module  # noqa: E402
from netc.proofs_oracle.peers.contestants import in_torch  # noqa: E402
from netc.runtime.cache.store import Cache  # noqa: E402
from netc.runtime.export.onnx_model import model_of  # noqa: E402
from netc.runtime.measure.race import race  # noqa: E402
from netc.runtime.small_program import SmallProgram  # noqa: E402
from netc.runtime.target import parse_target  # noqa: E402

DEFAULT = ("resnet34", "mobilenet_v2", "vit_tiny_patch16_224", "tiny-gpt")
Made = tuple[Step, dict[str, Any]]


def said(logits: Any) -> float:
    """What must be everybody's."""
    return float(np.abs(np.asarray(logits)).mean())


def by_netc(job: Job, target: str, inside: bool = False) -> Made:
    """netc on a target; the weights are on the device, or inside the program, as `netc export --vmfb` has them."""
    begin = time.perf_counter()
    start = job.start()
    weights = {name: start[name].astype("<f4").tobytes() for name in job.net.shapes} if inside else None
    module = inference_module(job.net, job.batch, weights=weights)
    without = ("give_scratch",) if inside else ()  # an exported file takes x alone
    program = SmallProgram(module, parse_target(target), Cache(), start, job.net.spec.name, without)
    x = job.data()[0]
    return lambda: said(program(x)[0]), {"ready_s": time.perf_counter() - begin}


def by_torch(job: Job, compiled: bool, last: bool) -> Made:
    """PyTorch, images in NCHW or channels last."""
    import torch

    torch.set_num_threads(job.threads)
    module, data, _ = in_torch(job)
    module.eval()
    if last:
        module, data = module.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    forward = torch.compile(module) if compiled else module

    def step() -> float:
        with torch.inference_mode():
            return said(forward(data).numpy())

    return step, {}


def by_onnxruntime(job: Job, torchs: bool) -> Made:
    """onnxruntime on netc's file, or on PyTorch's."""
    import onnxruntime

    if torchs:
        content, x = _exported_by_torch(job)
    else:
        content = model_of(inference_module(job.net, job.batch).function(NAME), job.start(), {})
        x = job.data()[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: x}
    return lambda: said(session.run(None, given)[0]), {}


def _exported_by_torch(job: Job) -> tuple[bytes, Any]:
    import io

    import torch

    module, data, _ = in_torch(job)
    file = io.BytesIO()
    torch.onnx.export(module.eval(), (data,), file, dynamo=False)
    return file.getvalue(), data.numpy()


def contestants(job: Job, targets: list[str]) -> list[Contestant]:
    """netc first; PyTorch in both layouts of images."""
    found = [Contestant(f"netc {t}", partial(by_netc, target=t)) for t in targets]
    if "cpu" in targets:
        found.append(Contestant("netc cpu, weights inside", partial(by_netc, target="cpu", inside=True)))
    if find_spec("onnxruntime"):
        found.append(Contestant("onnxruntime, netc's file", partial(by_onnxruntime, torchs=False)))
        found.append(Contestant("onnxruntime, torch's file", partial(by_onnxruntime, torchs=True)))
    layouts = ((False, ""), (True, ", channels last")) if job.net.x.rank == 3 else ((False, ""),)
    for name, compiled in (("torch eager", False), ("torch.compile", True)):
        found += [Contestant(name + how, partial(by_torch, compiled=compiled, last=last)) for last, how in layouts]
    return found


def measure(word: str, batch: int, targets: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """One net at one batch."""
    name, net, _ = parse(word)
    job = Job(net, batch, THREADS)

    def doing(now: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}, batch {batch}: {now}", file=sys.stderr, flush=True)

    timings = race(job, contestants(job, targets), rounds, seconds, doing)
    fair = {t.name: t.fair for t in timings if not math.isnan(t.fair)}
    best = min((n for n in fair if not n.startswith("netc")), key=lambda n: fair[n], default=None)
    rows = [
        {"name": t.name, "failed": str(t.failed)} if t.failed else
        {
            "name": t.name, "median_ms": t.median * 1e3, "min_ms": t.fastest * 1e3,
            "ratio": fair[t.name] / fair[best] if best in fair and t.name in fair else None, "resident_mb": t.resident,
        }
        for t in timings
    ]  # fmt: skip
    return {"net": f"{name}, b{batch}", "best_peer": best, "rows": rows}


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: one row a contestant."""
    lines = ["| net | | median ms | fastest ms | / best peer | resident MB |", "|---" * 6 + "|"]
    for r in results:
        for row in r["rows"]:
            cells = [cell(row.get(k), f) for k, f in (("median_ms", ".2f"), ("min_ms", ".2f"), ("ratio", ".2f"))]
            cells += [cell(row.get("resident_mb"), ".0f")]
            lines.append(f"| {r['net']} | {row['name']} | " + " | ".join(cells) + " |")
    failed = [f"{r['net']}: {row['failed']}." for r in results for row in r["rows"] if "failed" in row]
    return "\n".join([*lines, "", *failed]) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(DEFAULT), metavar="NET[@SIDE]")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=40, help="of turns at most, for each net and batch")
    parser.add_argument("--targets", default="cpu,xla")
    parser.add_argument("--write", action="store_true", help="merge into docs/measurements/predict.{md,json}")
    options = parser.parse_args()
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", options.batches):
        parser.error(f"--batches wants numbers such as 1,32, got {options.batches}")
    given = options.targets.split(","), options.rounds, options.seconds
    pairs = [(word, batch) for word in options.nets for batch in map(int, options.batches.split(","))]
    for result in one_by_one(
        (f"{word}, batch {batch}", partial(measure, word, batch, *given)) for word, batch in pairs
    ):
        print(table([result]), flush=True)
        if options.write:
            text = "Printed by `python scripts/bench_predict.py --write`; read the ratios. The goal is 1.0 at most."
            keep("predict", result, THREADS, "Prediction beside its peers", text, table)


if __name__ == "__main__":
    main()
