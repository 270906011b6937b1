"""Five epochs of Fashion-MNIST (all 60,000 images) with mnist-mlp and mnist-cnn; prints the test accuracies.

    python scripts/study_fashion_mnist.py [--target cpu] [--data-dir DIR]

The goals are 88 % and 91 %. Needs the data: apt-get install dataset-fashion-mnist, or `netc data get fashion-mnist`.
Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from netc.traces.read import read

GOALS = {"mnist-mlp": 0.88, "mnist-cnn": 0.91}
# five epochs are too few for a dense net to learn that a shifted or mirrored shirt is a shirt
OPTIONS = {"mnist-mlp": ["--crop", "0", "--no-flip"], "mnist-cnn": []}


def main() -> int:
    """Train both and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--data-dir")
    parser.add_argument("--nets", default=",".join(GOALS))
    options = parser.parse_args()
    missed = 0
    print("| net | epochs | test accuracy | goal | seconds |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for net in options.nets.split(","):
            goal = GOALS[net]
            out = Path(folder) / net
            command = [sys.executable, "-m", "netc", "train", net, "--data", "fashion-mnist", "--epochs", "5"]
            command += ["--target", options.target, "--out", str(out), "--quiet", *OPTIONS[net]]
            command += ["--data-dir", options.data_dir] if options.data_dir else []
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            accuracy = read(out / "trace.jsonl").evals[-1].accuracy
            missed += accuracy < goal
            print(f"| {net} | 5 | {accuracy:.2%} | {goal:.0%} | {time.perf_counter() - begin:.0f} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
