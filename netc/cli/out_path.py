"""What a user names to be written: a file or a folder, refused before any work where it cannot be written there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from netc.netspec.errors import UserError


class OutPath(click.Path):
    """A file to write, or a folder to write into. Folders on the way to it that are not there are made with it.

    `folder` says which, or tells it from the options of the command that are eager, and so are known by then.
    """

    def __init__(self, *, folder: bool | Callable[[Mapping[str, Any]], bool]) -> None:
        super().__init__(path_type=Path)
        self.folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises UserError for what cannot be written as what is wanted."""
        given = os.fsdecode(value)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if param is not None:
            folder = self.folder(ctx.params if ctx else {}) if callable(self.folder) else self.folder
            wanted, problem = ("a folder", _no_folder(path)) if folder else ("a file", _no_file(path, given))
            if given == "-":  # elsewhere the word for standard output
                problem = f"-; name {wanted}, or leave it out"
            if problem := problem or _no_place(path):
                raise UserError(f"{max(param.opts, key=len)} wants {wanted}, got {problem}")
        return path


def _no_folder(path: Path) -> str:
    return f"the file {path}; give another name" if path.exists() and not path.is_dir() else ""


def _no_file(path: Path, given: str) -> str:
    """What a file cannot be: a folder, which a `/` at the end names too, or a device, which the file would replace."""
    if given.endswith(os.sep) or path.is_dir():
        return f"the folder {given}; name a file in it"
    return f"{path}, which is no regular file; name one" if path.exists() and not path.is_file() else ""


def _no_place(path: Path) -> str:
    """What is wrong with the nearest part of the path that is there."""
    there = next(p for p in (path, *path.absolute().parents) if p.is_dir() or (p != path and os.path.lexists(p)))
    if not there.is_dir():
        return f"{path}, where {there} is no folder; give another name"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{path}, where {there} may not be written; name another"


OUT_FILE = OutPath(folder=False)
OUT_FOLDER = OutPath(folder=True)
