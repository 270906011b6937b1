"""What a GPU computes, beside the CPU: the oracle's layers on it, and the traces of small trainings.

    python scripts/gpu_check.py --target cuda:sm_89 [--nets mnist-mlp:1,mnist-cnn:1] [--layers PATTERN ..]
        [--data digits] [--card NAME] [--write]

Each NET:EPOCHS is trained on `cpu` and on the target from the same state and batches, and `netc trace diff` judges the
pair by the measured noise floor; each PATTERN of layers is judged by `netc oracle --target`. `--write` puts the table
under docs/measurements/gpu_check-CARD.md, with the date and the card.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS = ("conv2d", "convBn", "dense/", "batchNorm", "layerNorm", "maxPool", "selfAttention", "tokenPositionEmbed")


def netc(*arguments: object) -> subprocess.CompletedProcess[str]:
    """One command of netc; its text is kept."""
    command = [sys.executable, "-m", "netc", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "nothing")


def layers(target: str, pattern: str) -> str:
    """One row: how many tensors of these layers' cases agree with float64."""
    begin = time.perf_counter()
    done = netc("oracle", pattern, "--target", target)
    shown = last(done.stdout if done.returncode in (0, 1) else done.stderr)
    agrees = "yes" if done.returncode == 0 else "NO"
    return f"| oracle {pattern} | {agrees} | {shown} | {time.perf_counter() - begin:.0f} |"


def training(target: str, net: str, epochs: str, data: str, root: Path) -> str:
    """One row: whether the target's training and the CPU's agree."""
    begin = time.perf_counter()
    folders = []
    for word in ("cpu", target):
        folders.append(root / f"{net}-{word.replace(':', '-')}")
        done = netc("train", net, "--data", data, "--epochs", epochs, "--target", word, "--out", folders[-1])
        if done.returncode:
            return f"| train {net} | NO | {word}: {last(done.stderr)} | {time.perf_counter() - begin:.0f} |"
    done = netc("trace", "diff", *folders, "--json")
    judged = done.returncode in (0, 1)
    shown = json.loads(done.stdout)["verdict"] if judged else last(done.stderr)
    agrees = "yes" if done.returncode == 0 else "NO"
    return f"| train {net}, {epochs} epochs of {data} | {agrees} | {shown} | {time.perf_counter() - begin:.0f} |"


def main() -> int:
    """Check and print; the exit code is 1 if anything disagrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    parser.add_argument("--nets", default="mnist-mlp:1,mnist-cnn:1")
    parser.add_argument("--layers", nargs="*", default=LAYERS)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--card", default="unnamed", help="the device, as the table is to name it")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    head = [
        f"# {options.card}, target `{options.target}`, {datetime.date.today().isoformat()}", "",
        f"By `python scripts/gpu_check.py --target {options.target}`.", "",
        "| check | agrees | what it says | seconds |", "|---|---|---|---|",
    ]  # fmt: skip
    print("\n".join(head), flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for pattern in options.layers:
            rows.append(layers(options.target, pattern))
            print(rows[-1], flush=True)
        for word in filter(None, options.nets.split(",")):
            net, _, epochs = word.partition(":")
            rows.append(training(options.target, net, epochs or "1", options.data, Path(root)))
            print(rows[-1], flush=True)
    if options.write:
        name = re.sub(r"[^a-z0-9]+", "-", options.card.lower()).strip("-")
        folder = Path(__file__).resolve().parents[1] / "docs" / "measurements"
        (folder / f"gpu_check-{name}.md").write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return int(any("| NO |" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
