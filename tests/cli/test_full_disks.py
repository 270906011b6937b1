"""A disk or an output that takes no more: a sentence that names it, exit code 1, and nothing left behind."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netc.cli.main import _run

NET = """name = "tiny"
input = [4, 4, 1]
[[layers]]
kind = "flatten"
[[layers]]
kind = "dense"
features = 3
"""

FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("full")
    (place / "tiny.toml").write_text(NET)
    (place / "net.toml").write_text(NET.replace("[4, 4, 1]", "[8, 8, 1]").replace("= 3", "= 10"))
    return place


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [("ls",), ("ls", "--json"), ("show", "mnist-mlp"), ("emit-mlir", "mnist-mlp")])
def test_an_output_that_takes_nothing(arguments):
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "netc", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == ("netc: cannot write the output: No space left on device; the rest of it is lost\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_as_large_as_the_limit_of_files(tmp_path, unbuffered):
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]  # 4 or 8 KiB; a fork of a process with threads may hang
    with (tmp_path / "text").open("w") as out:
        done = subprocess.run(
            [*limited, sys.executable, "-m", "netc", "emit-mlir", "mnist-mlp"], stdout=out, stderr=subprocess.PIPE,
            text=True, check=False, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 1 and "cannot write the output: File too large" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("emit-mlir", "tiny.toml", "-o", "out"), "out/tiny.mlir"),
        (("emit-lean", "tiny.toml", "-o", "out/tiny.lean"), "out/tiny.lean"),
        (("emit-jax", "net.toml", "-o", "out/tiny.py"), "out/tiny.py"),
        (("certify", "tiny.toml", "-o", "out/tiny.json"), "out/tiny.json"),
    ],
)
def test_a_full_disk_is_named_and_keeps_nothing_of_what_was_written(netc, place, monkeypatch, arguments, name):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (place / "out").mkdir(exist_ok=True)
    monkeypatch.setattr(os, "fsync", full)
    code, _, said = netc(*arguments)
    assert code == 1
    assert (
        said.splitlines()[-1]
        == f"netc: the disk is full at {name}; what was there before is unchanged; free some space"
    )
    assert not list((place / "out").iterdir())


def test_compile_names_where_it_should_go_and_not_the_cache(netc, place, monkeypatch):
    from netc.runtime import files

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.shutil, "copyfileobj", full)
    (place / "made").mkdir()
    code, _, said = netc("compile", "tiny.toml", "--batch", "2", "-o", "made/tiny.vmfb")
    assert code == 1 and "the disk is full at made/tiny.vmfb" in said
    assert not list((place / "made").iterdir())


def test_a_compiler_that_finds_its_disk_full_blames_the_caches_folder(netc, artefacts, monkeypatch):
    from netc.runtime import compile as module

    class Done:
        returncode, stderr, stdout = 1, "LLVM ERROR: IO failure on output stream: No space left on device", ""

    monkeypatch.setattr(module.child, "run", lambda *a, **k: Done)
    code, _, said = netc("compile", "tiny.toml", "--batch", "3", "-o", "made.vmfb")
    assert code == 1 and f"the cache wants room for a compiled artefact, got {artefacts}" in said


def test_a_compile_writes_nothing_to_tmpdir(netc, place, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    code, out, said = netc("compile", "tiny.toml", "--batch", "4", "-o", "tiny.vmfb")  # as no other test does
    assert code == 0 and "compiled in" in out, said


def test_too_little_memory_does_not_advise_the_target_that_was_asked_for(monkeypatch):
    from netc.netspec.errors import UserError
    from netc.runtime.backends import iree

    class Runtime:
        @staticmethod
        def query_available_drivers():
            return ["local-task"]

        @staticmethod
        def get_device(driver):
            raise RuntimeError("x.c:1: RESOURCE_EXHAUSTED; libc allocator failed the request")

    monkeypatch.setattr(iree, "_prepare", lambda: Runtime)
    iree.device_of.cache_clear()
    with pytest.raises(UserError, match=r"ulimit -v\): raise it, or use `target=reference`"):
        iree.device_of("local-task")


def test_no_other_refusal_is_taken_for_the_output(monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("netc.cli.main.cli.main", full)
    monkeypatch.setattr("netc.cli.main._output_is_full", lambda: False)
    assert _run(["ls"]) == 1
    assert "the disk is full; what was there before is unchanged" in capsys.readouterr().err
