"""Files that are whole or not there, and files that are read only if they end."""

import errno
import os
import threading

import pytest

from netc.runtime.files import copy_whole, read_regular, write_whole


def test_what_is_read_is_regular_and_bounded(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_regular(path, 4)
    with pytest.raises(OSError, match="no regular file"):
        read_regular(type(path)("/dev/zero"), 5)
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: opening it would wait
    with pytest.raises(OSError, match="no regular file"):
        read_regular(tmp_path / "pipe", 5)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 5)


def test_a_link_that_somebody_planted_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".out.new").symlink_to(victim)
    (tmp_path / "out").symlink_to(victim)
    write_whole(tmp_path / "out", "text")
    assert victim.read_text() == "mine" and (tmp_path / "out").read_text() == "text"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.new", "out", "victim"]


@pytest.mark.parametrize("how", ["write", "copy"])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_names_what_was_to_be_written_and_leaves_nothing(tmp_path, monkeypatch, how, where):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "given").write_text("given")
    (tmp_path / "out").write_text("before")
    monkeypatch.setattr(os if where == "fsync" else type(tmp_path), where, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        if how == "write":
            write_whole(tmp_path / "out", "text")
        else:
            copy_whole(tmp_path / "given", tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["given", "out"]
    assert (tmp_path / "out").read_text() == "before"


def test_two_writers_leave_one_of_their_files_whole(tmp_path):
    path, texts = tmp_path / "out", ("a" * 100_000, "b" * 100_000)
    errors = []

    def write(text):
        try:
            write_whole(path, text)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
