"""One writer a folder, whatever way its process ends; and what is written there follows no planted link."""

import os
import signal
import subprocess
import sys

import pytest

from netc.netspec.errors import NetcError, UserError
from netc.runtime.files import write_whole
from netc.runtime.run import lock
from netc.runtime.run.lock import LOCK, LockedError, only_writer

HOLDER = """
import sys, time
from pathlib import Path
from netc.runtime.run.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(inner.name for inner in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path / run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_writer_is_told_of_the_first_and_touches_nothing(tmp_path, holder):
    before = (tmp_path / "run" / LOCK).read_bytes()
    sentence = rf"run wants one process that writes there, got a second: process {holder.pid} on \S+ is at it; wait"
    with pytest.raises(LockedError, match=sentence) as caught, only_writer(tmp_path / "run"):
        raise AssertionError("two hold it")
    assert caught.value.exit_code == 1
    assert (tmp_path / "run" / LOCK).read_bytes() == before
    assert names(tmp_path / "run") == [LOCK]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_process(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    with only_writer(tmp_path / "run"):
        (tmp_path / "run" / "kept").touch()
    assert names(tmp_path / "run") == ["kept"]


def test_a_folder_that_was_made_for_nothing_goes(tmp_path):
    with only_writer(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK).exists()
    assert names(tmp_path) == []
    (tmp_path / "run").mkdir()
    with only_writer(tmp_path / "run"):
        pass
    assert names(tmp_path) == ["run"]


def test_many_at_once_never_hold_it_together(tmp_path):
    """Each that gets the lock must find the number as it left it: two at once would see each other's."""
    code = """
import sys, time
from pathlib import Path
from netc.runtime.run.lock import LockedError, only_writer
folder, end, got = Path(sys.argv[1]), time.monotonic() + 1.5, 0
while time.monotonic() < end or got < 4:
    try:
        with only_writer(folder):
            path = folder / "inside"
            path.touch(exist_ok=False)
            path.unlink()
            got += 1
    except LockedError:
        pass
print(got)
"""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "other").touch()  # so that the folder stays
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE) for _ in range(3)
    ]
    assert sum(int(p.communicate()[0]) for p in processes) > 10
    assert [p.returncode for p in processes] == [0, 0, 0]


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def none(handle, operation):
        raise OSError(lock.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    said = []
    with only_writer(tmp_path, said.append):
        pass
    assert said == [f"{tmp_path} lies on a file system without locks: see to it that no other process writes there"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    wanted = "wants to be a folder that can be written, got: Not a directory"
    with pytest.raises(UserError, match=wanted), only_writer(tmp_path / "file" / "run"):
        pass


def test_a_planted_link_in_the_place_of_the_lock(tmp_path):
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NetcError, match="wants to be a folder that can be written"), only_writer(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("link", ["run.json"])
def test_a_whole_file_replaces_links_and_follows_none(tmp_path, link):
    (tmp_path / "precious").write_text("years of work")
    (tmp_path / link).symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "run.json", "{}")
    assert (tmp_path / "precious").read_text() == "years of work"
    assert (tmp_path / "run.json").read_text() == "{}" and not (tmp_path / "run.json").is_symlink()
    assert names(tmp_path) == ["precious", "run.json"]


def test_a_whole_file_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(lock.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "run.json", "{}")
    assert names(tmp_path) == []
