"""Trains nets on several targets, and the JAX twin of each, and compares all pairs within the measured noise floor.

    python scripts/trace_pairs.py [--nets mnist-mlp,mnist-cnn] [--epochs 12,15] [--data fashion-mnist]
        [--targets cpu,xla,jax] [--steps 32] [--whole xla] [--keep DIR]

Prints a Markdown table of pairs: relative differences of the training loss at step 0, the median and the worst; the
largest difference of any number of the measured steps, in floors; mean loss of the last window; final accuracies. Needs
the data: apt-get install dataset-fashion-mnist, or `netc data get`. Exit code 1 if a pair differs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from netc.runtime.target import parse_target


def main() -> int:
    """Train, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default="mnist-mlp,mnist-cnn")
    parser.add_argument("--epochs", default="12,15")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--targets", default="cpu,xla,jax")
    parser.add_argument("--steps", default="32", help="of the floor of single steps")
    parser.add_argument("--whole", default="xla", help="trains the twins for the means of the whole run")
    parser.add_argument("--keep", type=Path, help="the runs' folder")
    options = parser.parse_args()
    failed = 0
    print("| net | epochs | pair | step 0 | median | worst | floors | last means | accuracies | agree |", flush=True)
    print("|---" * 10 + "|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        for net, epochs in zip(options.nets.split(","), options.epochs.split(","), strict=True):
            traces = _trained(root / net, net, epochs, options)
            for a, b in itertools.combinations(traces, 2):
                report = _compared(traces[a], traces[b], root / net / "noise.json")
                print(f"| {net} | {epochs} | {a}, {b} | {_row(report)} |", flush=True)
                failed += not report["agree"]
    return 1 if failed else 0


def _netc(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "netc", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def _trained(folder: Path, net: str, epochs: str, options: argparse.Namespace) -> dict[str, Path]:
    """The traces by target; what lies in the folder already is not trained again."""
    folder.mkdir(parents=True, exist_ok=True)
    training = (net, "--data", options.data, "--epochs", epochs)
    traces = {}
    for target in options.targets.split(","):
        traces[target] = folder / f"{target.replace(':', '-')}.jsonl"
        if traces[target].exists():
            continue
        if target == "jax":
            script = folder / "twin.py"
            _netc("emit-jax", *training, "-o", script)
            command = [sys.executable, str(script), "--out", str(traces[target])]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        else:
            run = folder / f"{parse_target(target).engine}-{target.replace(':', '-')}"
            _netc("train", *training, "--target", target, "--out", run, "--quiet")
            (run / "trace.jsonl").rename(traces[target])
    if not (folder / "noise.json").exists():
        whole = ("--whole", options.whole) if options.whole else ()
        _netc("trace", "noise", *training, "--steps", options.steps, *whole, "-o", folder / "noise.json")
    return traces


def _compared(a: Path, b: Path, noise: Path) -> dict[str, Any]:
    command = ["trace", "diff", a, b, "--mode", "cross-compiler", "--noise", noise, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "netc", *map(str, command)], check=False, capture_output=True, text=True
    )
    if done.returncode > 1:
        raise SystemExit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _row(report: dict[str, Any]) -> str:
    loss, last, e = report["fields"][0], report["windows"][-1], report["evals"][-1]
    single = [c["seen"] / c["allowed"] for c in report["checks"] if c["name"] in ("loss", "grad_norm", "param_norm")]
    cells = (
        f"{loss['at_start']:.1e}", f"{loss['median']:.1e}", f"{loss['worst']:.1e}", f"{8 * max(single):.2g}",
        f"{last['mean_a']:.4g}, {last['mean_b']:.4g}", f"{e['accuracy_a']:.2%}, {e['accuracy_b']:.2%}",
        "yes" if report["agree"] else f"NO: {report['verdict']}",
    )  # fmt: skip
    return " | ".join(cells)


if __name__ == "__main__":
    sys.exit(main())
