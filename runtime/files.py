"""What every reader and writer of files needs: bounds on what is read, digests, files that are whole or not there."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from netc.traces.files import opened, read_regular, sync, whole

__all__ = ["copy_whole", "opened", "read_regular", "sha256_of", "sync", "whole", "write_whole"]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: str) -> None:
    """Write a text file that is either as it was or as it should be, whatever happens on the way."""
    with whole(path) as file:
        file.write(content.encode("utf-8"))


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file to one that is either as it was or as it should be."""
    with source.open("rb") as given, whole(path) as file:
        shutil.copyfileobj(given, file)
