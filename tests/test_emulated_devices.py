"""A small training on emulated devices, bit for bit this machine's; where a compiler or qemu is missing, it says so."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
STEPS = 20


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("emulated_devices")


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    """The folder of a program, and what it says on this machine."""
    if shutil.which("gcc") is None:
        pytest.skip("this machine's program wants gcc, which is not on the PATH")
    folder = tmp_path_factory.mktemp("device")
    study.write_program(study.program_of("mnist-linear"), folder)
    return folder, study.run(study.HOST, folder, STEPS)


@pytest.mark.parametrize("name", ["clang", "Cortex-M4", "Cortex-M7", "aarch64", "riscv64"])
def test_a_device_computes_the_bits_of_this_machine(name, study, written):
    device = next(d for d in study.DEVICES if name in d.name)
    if device.missing:
        pytest.skip(f"{device.name} wants {device.missing}, which is not on the PATH")
    folder, host = written
    assert len(host.lines) == STEPS + 3 and host.lines[-1].startswith("end digest ")
    ran = study.run(device, folder, STEPS)
    assert ran.lines == host.lines
    assert ran.code > 1000 and (ran.stack or 1000) < 16 * 1024


def test_a_missing_compiler_is_a_sentence(study, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert study.main(["--only", "riscv"]) == 3
    assert "this machine, gcc wants gcc; riscv64 wants riscv64-linux-gnu-gcc; install what is missing" in (
        capsys.readouterr().err
    )
