"""What every reader and writer of files needs: bounds on what is read, digests, files that are whole or not there."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from netc.traces.files import opened, read_regular, sync, whole

__all__ = ["copy_whole", "file_name", "made_for", "opened", "read_regular", "sha256_of", "sync", "whole", "write_whole"]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


LONGEST_NAME = 200  # bytes, so that endings have room in the 255 that file systems give


def file_name(name: str) -> str:
    """A file's name for what has this name: itself, but for what no file can be called.

    >>> file_name("mnist-cnn"), file_name("a/b c"), file_name("..")
    ('mnist-cnn', 'a_b_c', '_.')
    """
    text = "".join(c if c.isprintable() and not c.isspace() and c not in '/\\:*?"<>|' else "_" for c in name)
    text = "_" + text[1:] if text[:1] in ("", ".", "-") else text
    return text.encode()[:LONGEST_NAME].decode(errors="ignore")


def made_for(path: Path) -> Path:
    """The path of a file to write, whose folder is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_whole(path: Path, content: str) -> None:
    """Write a text file that is either as it was or as it should be, whatever happens on the way."""
    with whole(path) as file:
        file.write(content.encode("utf-8"))


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file to one that is either as it was or as it should be."""
    with source.open("rb") as given, whole(path) as file:
        shutil.copyfileobj(given, file)
