"""`netc doctor` answers everything, survives whatever a driver does, and fails only if the CPU cannot run."""

import json
import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from netc.cli import machine as module
from netc.cli.doctor import doctor, fixes
from netc.cli.machine import Driver, Machine, Package, Reach, Storage, examine
from netc.netspec.errors import NetcError
from netc.runtime.target import TARGETS

CPU = Reach("cpu", "cpu[:NAME]", "cpu", True, True, ("a CPU",), "", "")
BROKEN = replace(CPU, runs=False, devices=(), problem="no device", fix="pip install it again")
CUDA = Reach("cuda", "cuda:SM", "cuda:sm_60", True, False, (), "no libcuda.so; install it", "install NVIDIA's driver")
HEALTHY = Machine(
    netc="0.1.0",
    python="3.12.0",
    system="Linux",
    cpus=2,
    packages=(Package("numpy", "2.0", "", ""), Package("torch", None, "pip install -e '.[bench]'", "for benchmarks")),
    pair="",
    drivers=(Driver("local-task", ("default",), ""),),
    targets=(CPU, CUDA),
    cache=Storage("somewhere", 0, 0, 0, None),
    data=(),
)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        result = CliRunner().invoke(doctor, ["--json"])
    assert result.exception is None, result.output
    return json.loads(result.stdout)


def shown(monkeypatch, machine, *arguments):
    monkeypatch.setattr(module, "examine", lambda: machine)
    return CliRunner().invoke(doctor, arguments)


def test_this_machine_is_told_in_full(real):
    keys = {
        "ok",
        "system",
        "cpus",
        "versions",
        "iree_pair_matches",
        "drivers",
        "targets",
        "cache",
        "data",
        "lean",
        "fixes",
    }
    assert set(real) == keys
    assert {"netc", "python", "iree-base-compiler", "iree-base-runtime", "numpy", "jax", "jaxlib", "torch"} <= set(
        real["versions"]
    )
    assert [target["kind"] for target in real["targets"]] == list(TARGETS)
    assert {driver["name"] for driver in real["drivers"]} >= {"local-sync", "local-task"}


def test_every_extra_is_looked_for_with_what_it_is_for():
    text = (Path(module.__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"].keys() - {"test", "docs", "dev"}
    assert set(module.PACKAGES.values()) - {""} == extras == module.USES.keys()


def test_the_cpu_and_the_reference_run_here(real):
    runs = {target["kind"]: target["runs"] for target in real["targets"]}
    assert real["ok"] and runs["cpu"] and runs["reference"]


def test_all_that_cannot_run_has_a_reason_and_a_line_that_mends_it(real):
    for target in real["targets"]:
        assert target["runs"] or (target["problem"] and target["fix"])
    named = {fix["what"] for fix in real["fixes"]}
    assert named >= {f"--target {target['kind']}" for target in real["targets"] if not target["runs"]}


def test_a_healthy_machine_ends_well(monkeypatch):
    result = shown(monkeypatch, HEALTHY)
    assert result.exit_code == 0
    assert "netc can train here" in result.stdout and "\x1b" not in result.stdout
    assert "pip install -e '.[bench]' (for benchmarks)" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_cpu_that_cannot_run_is_a_failure_after_the_report(monkeypatch, arguments):
    result = shown(monkeypatch, replace(HEALTHY, targets=(BROKEN, CUDA)), *arguments)
    assert isinstance(result.exception, NetcError) and result.exception.exit_code == 1
    assert "no device; pip install it again" in str(result.exception)
    assert "install NVIDIA's driver" in result.stdout
    assert "can train here" not in result.stdout


def test_the_most_needed_fix_comes_first():
    found = fixes(replace(HEALTHY, pair="got 3.12.0 and 3.13.0; pip install both", targets=(CUDA, BROKEN)))
    assert [what for what, _ in found] == ["iree", "--target cpu", "--target cuda", "torch"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_report_fits_a_terminal(monkeypatch, columns):
    for name, value in {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    long = replace(CUDA, problem="a long tale " * 20, fix="do this and then that " * 20)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown(monkeypatch, replace(HEALTHY, targets=(CPU, long))).stdout)
    assert max(map(len, text.splitlines())) <= columns


# -- drivers that misbehave --------------------------------------------------------------------------------------


def behave(monkeypatch, script, longest=60):
    """Let every probe be this script."""
    run = module.child.run

    def other(command, *limits, **options):
        return run([sys.executable, "-c", script], *limits, **options)

    monkeypatch.setattr(module.child, "run", other)
    monkeypatch.setattr(module, "LONGEST_PROBE", longest)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("import os; os.abort()", "signal 6"),
        ("import sys; sys.exit('libfoo: boom')", "exit code 1: libfoo: boom"),
        ("import time; time.sleep(30)", "no answer within 1 s"),
        ("print('half a {')", "exit code 0"),
        ("print('[]')", "the probe answered"),
        ("import sys; sys.stdout.buffer.write(bytes([255, 10]))", "exit code 0"),
    ],
)
def test_a_probe_that_dies_hangs_or_babbles_is_an_answer(monkeypatch, script, problem):
    behave(monkeypatch, script, 1 if "sleep" in script else 60)
    assert problem in module._probe("driver", "any")["problem"]


def test_a_late_answer_advises_another_try_and_no_reinstall():
    found = module._reach("cpu", {"problem": "no answer within 60 s", "late": True}, (), "")
    assert (found.runs, found.problem) == (False, "no answer within 60 s")
    assert re.fullmatch(r"the machine may be busy( \(load .*\))?: try again", found.fix)


def test_noise_before_the_answer_does_no_harm(monkeypatch):
    behave(monkeypatch, "print('hello from a driver'); print('{\"devices\": [\"d\"]}')")
    assert module._probe("driver", "any") == {"devices": ["d"]}


def test_a_machine_on_which_everything_dies_is_told_too(monkeypatch, tmp_path):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path))
    behave(monkeypatch, "import os; os.abort()")
    found = examine()
    assert found.drivers == () and not any(target.runs for target in found.targets)
    assert all(target.problem and target.fix for target in found.targets)


def test_a_mismatched_pair_names_the_command(monkeypatch):
    versions = {module.COMPILER: "3.13.0", module.RUNTIME: "3.12.0"}
    monkeypatch.setattr(module, "version_of", versions.get)
    assert module._pair() == (
        "got iree-base-compiler 3.13.0 and iree-base-runtime 3.12.0; "
        "pip install iree-base-compiler==3.12.0 iree-base-runtime==3.12.0"
    )
