"""Trains the small nets of tests/golden/traces on the embedded digits, on each target, and compares all pairs.

    python scripts/make_golden_traces.py [--out DIR] [--targets reference,cpu,xla,jax]

Writes DIR/NET/spec.toml, run.json and noise.json, and DIR/NET/TARGET.jsonl; `jax` is the script that `netc emit-jax`
writes, run by itself. Prints the table of pairs as Markdown: relative differences of the training loss, the largest
difference of any number of a step in noise floors, the mean loss of the last window. Exit code 1 if a pair differs.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.layers import ConvBn, Dense, Flatten, GlobalAvgPool, MaxPool, ResidualBlock
from netc.netspec.recipe import SGD, Adam, Optimizer, Recipe, TrainConfig
from netc.netspec.spec import NetSpec
from netc.runtime.cache.folders import cache_root
from netc.runtime.cache.store import Cache
from netc.runtime.compare.noise import measure
from netc.runtime.compare.replay import replay_of
from netc.runtime.data import catalog
from netc.runtime.data.dataset import Dataset
from netc.runtime.run.config import RunConfig, write_config
from netc.runtime.target import parse_target
from netc.runtime.train import train
from netc.traces.diff import FACTORS, diff
from netc.traces.floor import FILE, MEASURED, read_floor, write_floor
from netc.traces.read import read

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "traces"
TARGETS = ("reference", "cpu", "xla", "jax")
MODE = "cross-compiler"
HEAD = Dense(10, name="head")
NETS: dict[str, tuple[NetSpec, Optimizer, float]] = {
    "mlp": (
        NetSpec("digits-mlp", (8, 8, 1), (Flatten(), Dense(32, activation="relu", name="hidden"), HEAD)),
        SGD(nesterov=True, weight_decay=1e-4),
        0.05,
    ),
    "cnn": (
        NetSpec(
            "digits-cnn",
            (8, 8, 1),
            (
                ConvBn(8, name="conv"),
                ResidualBlock(16, 1, 2, name="block"),
                MaxPool(2, name="pool"),
                GlobalAvgPool(),
                HEAD,
            ),
        ),
        Adam(weight_decay=0.01),
        3e-3,
    ),
}
BATCH, EPOCHS = 71, 10  # 1438 images make 20 batches: 200 steps


def config_of(name: str) -> RunConfig:
    """The training of a golden net, on the target `reference`."""
    spec, optimizer, lr = NETS[name]
    schedule = TrainConfig(EPOCHS, BATCH, lr, warmup=1.0)
    return RunConfig(check(spec), Recipe(optimizer), schedule, "digits", 7, "reference", Augment(crop=1))


def main() -> int:
    """Train, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--targets", default=",".join(TARGETS))
    options = parser.parse_args()
    targets = options.targets.split(",")
    data = catalog.load("digits", cache_dir=cache_root() / "data")
    failed = 0
    print(
        "| net | pair | step 0 | median | worst | floors | final mean loss | accuracies | agree |\n" + "|---" * 9 + "|"
    )
    for name in NETS:
        config, folder = config_of(name), options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        write_config(folder, config)
        with tempfile.TemporaryDirectory() as temporary:
            for target in targets:
                made = _jax(folder, Path(temporary)) if target == "jax" else _train(config, data, target, temporary)
                shutil.copyfile(made, folder / f"{target}.jsonl")
        replay = replay_of(config, data)
        write_floor(folder / FILE, measure(replay, replay.total))
        floor = read_floor(folder / FILE)
        for a, b in itertools.combinations(targets, 2):
            report = diff(read(folder / f"{a}.jsonl"), read(folder / f"{b}.jsonl"), MODE, floor)
            floors = max(c.seen / c.allowed for c in report.checks if c.name in MEASURED) * (FACTORS[MODE] or 1)
            loss, last, e = report.fields[0], report.windows[-1], report.evals[-1]
            print(
                f"| {name} | {a}, {b} | {loss.at_start:.1e} | {loss.median:.1e} | {loss.worst:.1e} | {floors:.2g} "
                f"| {last.mean_a:.6g}, {last.mean_b:.6g} | {e.accuracy_a:.2%}, {e.accuracy_b:.2%} "
                f"| {'yes' if report.agree else 'NO: ' + report.verdict} |",
                flush=True,
            )
            failed += not report.agree
    return 1 if failed else 0


def _train(config: RunConfig, data: Dataset, target: str, temporary: str) -> Path:
    folder = Path(temporary) / target
    norms = parse_target(target).norms  # docs/known-limits.md
    config = replace(config, target=target, recipe=replace(config.recipe, norms=norms))
    train(config, data, folder, Cache())
    return folder / "trace.jsonl"


def _jax(folder: Path, temporary: Path) -> Path:
    script, out = temporary / "twin.py", temporary / "jax.jsonl"
    for command in (["-m", "netc", "emit-jax", str(folder), "-o", str(script)], [str(script), "--out", str(out)]):
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return out


if __name__ == "__main__":
    sys.exit(main())
