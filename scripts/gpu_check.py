"""What a GPU does with netc's programs, in minutes: steps beside JAX and PyTorch, profiles, trainings, layers.

    python scripts/gpu_check.py build DIR [--device cuda] [--parts NET,..]       # here: compile what is carried
    python scripts/gpu_check.py run DIR [--device cuda] [--minutes 8] [--card NAME] [--write]       # there

`build` needs no GPU: it compiles each program for IREE's CUDA into DIR/cache, and trains the small nets on this
machine's CPU into DIR/runs. `run` needs no network and, where IREE's runtime is without its compiler, takes what was
carried. Each part has seconds of its own, and what is not done in them is a dash with its reason:

- each net of PARTS, in float32 (no TF32) and bf16, through `xla` and IREE beside JAX, torch eager and torch.compile:
  first losses agree, steps in turns, a profile of each (gpu_race.py);
- trainings of the small nets, whose traces are compared with the CPU's;
- `netc oracle` of layers, on the target `xla`.

After each part DIR/gpu_check.json and gpu_check.md are written. `--device cpu` goes the same way without a GPU.
`--write` puts the page into docs/measurements/gpu_check-CARD.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_nets import parse
from gpu_race import DEVICES, Device, Timed, Worker, run, working

from netc.netspec.errors import NetcError
from netc.runtime.measure.bench import Job

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("conv2d", "convBn", "dense/", "batchNorm", "layerNorm", "maxPool", "selfAttention", "tokenPositionEmbed")
TRAINED = ("mnist-mlp", "mnist-cnn")
TRAIN = ("--data", "digits", "--epochs", "1", "--seed", "1")
CLOSE = {"f32": 1e-3, "bf16": 3e-2}  # by which first losses may differ, relatively
ROUNDS, SECONDS = 9, 0.5  # turns, and seconds of them for each contestant


@dataclass(frozen=True)
class Part:
    """A net as bench_step.py names it, and the seconds that each precision of it may take."""

    word: str
    seconds: float


PARTS = (
    Part("mnist-mlp:128", 20), Part("mnist-cnn:128", 25), Part("resnet34@64:32", 35), Part("tiny-gpt:12", 25),
    Part("vit_tiny_patch16_224:32", 30), Part("resnet34@224:32", 45), Part("gpt2@1024:4", 45),
)  # fmt: skip
IMPORTS = 30  # seconds more for the first part, in which everybody imports
TRAINING, ORACLE = 25.0, 20.0  # seconds of one training, and of one pattern of layers


@dataclass
class Found:
    """All that is known so far, as the JSON has it."""

    facts: dict[str, Any]
    nets: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)


def job_of(word: str, precision: str, device: Device) -> tuple[str, Job]:
    """The name and the job of one net."""
    name, net, batch = parse(word)
    return name, Job(net, batch, os.cpu_count() or 1, precision, device=device.torch)


def parts_of(words: str) -> list[Part]:
    """The parts of these nets, or others with as many seconds as the longest."""
    known = {part.word: part for part in PARTS}
    most = max(part.seconds for part in PARTS)
    return [known.get(word) or Part(word, most) for word in words.split(",")] if words else list(PARTS)


# -- here ---------------------------------------------------------------------------------------------------------


def build(folder: Path, device: Device, parts: Sequence[Part]) -> int:
    """Compile for IREE what `run` will want, and train on the CPU what it compares with."""
    from netc.runtime.cache.store import Cache
    from netc.runtime.prepare import prepare
    from netc.runtime.target import parse_target

    _cache_in(folder)
    missed = 0
    for part in parts:
        for precision in CLOSE:
            begin = time.perf_counter()
            try:
                name, job = job_of(part.word, precision, device)
                made = prepare(job.program, parse_target(device.iree), Cache())
                said = f"{made.source.artefact.stat().st_size / 1e6:.1f} MB" if made.source.artefact else "nothing"
            except NetcError as error:
                missed, said, name = missed + 1, str(error), part.word
            print(f"{name} {precision}: {said} ({time.perf_counter() - begin:.0f} s)", flush=True)
    for net in TRAINED:
        _compile_training(net, device.iree)
        if not (folder / "runs" / net).exists():
            done = netc(240, "train", net, *TRAIN, "--target", "cpu", "--out", folder / "runs" / net, "--quiet")
            print(f"{net} on this CPU: {done.said}", flush=True)
            for checkpoint in ("last", "best"):  # the traces are compared, and the weights would be carried in vain
                shutil.rmtree(folder / "runs" / net / checkpoint, ignore_errors=True)
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {held / 1e6:.0f} MB to carry")
    return int(missed > 0)


def _compile_training(net: str, target: str) -> None:
    """The program of `netc train NET` for a target whose device is not here."""
    from netc.codegen.program import build as built
    from netc.requests import planned, request_training
    from netc.runtime.cache.store import Cache
    from netc.runtime.prepare import prepare
    from netc.runtime.target import parse_target

    config = planned(request_training(net, data="digits", epochs=1, seed=1, target=target)).config
    prepare(built(config.trained_net, config.recipe, config.training.batch), parse_target(target), Cache())


def _cache_in(folder: Path) -> None:
    """Let this process and those that it starts use the carried cache alone."""
    (folder / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["NETC_CACHE_DIR"] = str(folder / "cache")


# -- there --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A command of netc that ended: its exit code, None where it had no more time, and what it printed."""

    code: int | None
    out: str
    err: str = ""

    @property
    def said(self) -> str:
        """The last line that says something."""
        lines = [line for line in (self.out if self.code in (0, 1) else self.err).splitlines() if line.strip()]
        return "out of time" if self.code is None else lines[-1] if lines else "nothing"


def netc(seconds: float, *arguments: object, env: dict[str, str] | None = None) -> Done:
    """One command of netc; its text is kept."""
    command = [sys.executable, "-m", "netc", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=max(seconds, 0.1), env=env or os.environ
        )
    except subprocess.TimeoutExpired:
        return Done(None, "")
    return Done(done.returncode, done.stdout, done.stderr)


def facts_of(device: str, card: str) -> dict[str, Any]:
    """The card, the versions, the day."""
    from netc.runtime.versions import versions

    found: dict[str, Any] = {"device": device, "card": card, "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count()}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        found["nvidia-smi"] = subprocess.run(
            asked, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()
    found["card"] = card or str(found.get("nvidia-smi", platform.processor() or platform.machine())).partition(",")[0]
    found["versions"] = dict(versions())
    with contextlib.suppress(ImportError):
        import importlib.metadata

        found["versions"]["torch"] = importlib.metadata.version("torch")
    return found


def check(folder: Path, options: argparse.Namespace) -> int:
    """All parts: float32, trainings and layers, then bf16; the exit code is 1 if anything disagrees."""
    begin, device = time.monotonic(), DEVICES[options.device]
    _cache_in(folder)
    found = Found(facts_of(options.device, options.card))

    def left() -> float:
        return 60 * options.minutes - (time.monotonic() - begin)

    def kept(line: str) -> None:
        print(f"{time.monotonic() - begin:4.0f} s {line}", flush=True)
        _write(folder, found)

    def judge(checked: dict[str, Any]) -> None:
        found.checks.append(checked)
        kept(f"{checked['check']}: {checked['said']}")

    with working(device, [name for name in options.leave_out.split(",") if name]) as workers:
        for number, precision in enumerate(CLOSE):
            for place, part in enumerate(parts_of(options.parts)):
                more = IMPORTS if not number and not place else 0
                found.nets.append(
                    _net(workers, part, precision, device, min(part.seconds + more, left()), options.seconds)
                )
                kept(f"{part.word} {precision}: {_short(found.nets[-1])}")
            for net in TRAINED if options.trainings and not number else ():
                for target in ("xla", device.iree):
                    judge(_training(folder, net, target, min(TRAINING, left())))
            for pattern in () if number else options.layers:
                judge(_layers(pattern, min(ORACLE, left())))
    print(page(found))
    if options.write:
        name = re.sub(r"[^a-z0-9]+", "-", found.facts["card"].lower()).strip("-")
        (ROOT / "docs" / "measurements" / f"gpu_check-{name}.md").write_text(page(found), encoding="utf-8")
    return int(any(c["agrees"] is False for c in found.checks) or any(_apart(r) for r in found.nets))


def _net(
    workers: dict[str, Worker], part: Part, precision: str, device: Device, budget: float, seconds: float
) -> dict[str, Any]:
    """One net in one precision, as the JSON has it."""
    row: dict[str, Any] = {"net": part.word, "precision": precision, "seconds": 0.0, "rows": [], "why": ""}
    if budget < part.seconds / 2:
        return row | {"why": "no time was left"}
    begin = time.monotonic()
    try:
        _, job = job_of(part.word, precision, device)
        row["rows"] = [_as_json(t) for t in run(workers, job, budget, CLOSE[precision], ROUNDS, seconds)]
    except NetcError as error:
        row["why"] = str(error)
    return row | {"seconds": round(time.monotonic() - begin, 1)}


def _as_json(timed: Timed) -> dict[str, Any]:
    ms = round(timed.ms, 4) if math.isfinite(timed.ms) else None
    loss = timed.loss if math.isfinite(timed.loss) else None
    return {
        "name": timed.name, "ms": ms, "fastest_ms": round(min(timed.times) * 1e3, 4) if timed.times else None,
        "turns": len(timed.times), "loss": loss, "notes": dict(timed.notes or {}), "failed": timed.failed,
        "kernels": timed.kernels if isinstance(timed.kernels, str) else [list(k) for k in timed.kernels],
    }  # fmt: skip


def _apart(row: dict[str, Any]) -> bool:
    return any("first loss" in r["failed"] for r in row["rows"])


def _short(row: dict[str, Any]) -> str:
    return row["why"] or ", ".join(
        f"{r['name']} {'-' if r['ms'] is None else format(r['ms'], '.3f')}" for r in row["rows"]
    )


def _training(folder: Path, net: str, target: str, seconds: float) -> dict[str, Any]:
    """Whether a training on the target and the CPU's, carried, agree."""
    begin, check = time.monotonic(), f"train {net} on {target}"
    out = folder / "runs" / f"{net}-{target.replace(':', '-')}-{int(time.time())}"
    done = netc(seconds, "train", net, *TRAIN, "--target", target, "--out", out, "--quiet")
    agrees, said = None, done.said
    if done.code == 0:
        judged = netc(
            max(1.0, seconds - (time.monotonic() - begin)), "trace", "diff", folder / "runs" / net, out, "--json"
        )
        agrees = judged.code == 0 if judged.code in (0, 1) else None
        said = json.loads(judged.out)["verdict"] if judged.code in (0, 1) else judged.said
    return {"check": check, "agrees": agrees, "said": said, "seconds": round(time.monotonic() - begin, 1)}


def _layers(pattern: str, seconds: float) -> dict[str, Any]:
    """How many tensors of these layers' cases agree with float64, through `xla` on the device."""
    begin = time.monotonic()
    done = netc(seconds, "oracle", pattern, "--target", "xla")
    agrees = done.code == 0 if done.code in (0, 1) else None
    return {
        "check": f"oracle {pattern}",
        "agrees": agrees,
        "said": done.said,
        "seconds": round(time.monotonic() - begin, 1),
    }


# -- what is written ----------------------------------------------------------------------------------------------


def _write(folder: Path, found: Found) -> None:
    plain = {"facts": found.facts, "nets": found.nets, "checks": found.checks}
    (folder / "gpu_check.json").write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "gpu_check.md").write_text(page(found), encoding="utf-8")


def page(found: Found) -> str:
    """Markdown: a table of medians, the reasons of the dashes, the checks, the profiles."""
    facts = found.facts
    shown = ", ".join(f"{k} {v}" for k, v in facts["versions"].items())
    lines = [
        f"# {facts['card']}: netc beside JAX and PyTorch", "",
        f"Made by scripts/gpu_check.py on {facts['date']}; {facts.get('nvidia-smi', facts['device'])}; {shown}.", "",
        "Medians of turns in ms: a step of Adam, on a batch that lies on the device, to the loss on the host. float32",
        "is without TF32. All begin a net at the same time, so XLA's choice of kernels is made on a busy card.", "",
    ]  # fmt: skip
    names = list(dict.fromkeys(r["name"] for row in found.nets for r in row["rows"]))
    lines += ["| net | precision | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    reasons = []
    for row in found.nets:
        by = {r["name"]: r for r in row["rows"]}
        cells = [format(ms, ".3f") if n in by and (ms := by[n]["ms"]) is not None else "-" for n in names]
        lines.append(f"| {row['net']} | {row['precision']} | " + " | ".join(cells) + " |")
        reasons += [
            f"- {row['net']} {row['precision']}, {r['name']}: {r['failed']}" for r in row["rows"] if r["failed"]
        ]
        reasons += [f"- {row['net']} {row['precision']}: {row['why']}"] if row["why"] else []
    lines += ["", "Dashes:", "", *reasons] if reasons else []
    lines += ["", "| check | agrees | what it says | seconds |", "|---|---|---|---|"]
    words = {True: "yes", False: "NO", None: "-"}
    lines += [f"| {c['check']} | {words[c['agrees']]} | {c['said']} | {c['seconds']} |" for c in found.checks]
    lines += ["", "## Profiles", "", "Milliseconds of a step by kernel, the longest first.", ""]
    for row in found.nets:
        for r in row["rows"]:
            if r["kernels"]:
                said = (
                    r["kernels"]
                    if isinstance(r["kernels"], str)
                    else ", ".join(f"`{n}` {ms:.3f}" for n, ms in r["kernels"])
                )
                lines.append(f"- {row['net']} {row['precision']}, {r['name']}: {said}")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Build or run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("build", "run"))
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--device", choices=list(DEVICES), default="cuda")
    parser.add_argument("--parts", default="", metavar="NET,..", help="nets as bench_step.py names them")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of turns for each contestant")
    parser.add_argument("--leave-out", default="", metavar="NAME,..", help="contestants")
    parser.add_argument("--layers", nargs="*", default=LAYERS, metavar="PATTERN")
    parser.add_argument("--no-trainings", dest="trainings", action="store_false")
    parser.add_argument("--card", default="", help="the device, as the page is to name it")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if options.what == "build":
        return build(folder, DEVICES[options.device], parts_of(options.parts))
    return check(folder, options)


if __name__ == "__main__":
    sys.exit(main())
