"""Pictures that netc writes beside a user's files: each says in its text that it is one, and only such are replaced."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo


def write_picture(picture: Image.Image, path: Path, sign: str) -> None:
    """Write a picture as PNG, with a mark that says which command's it is."""
    info = PngInfo()
    info.add_text("Software", sign)
    picture.save(path, pnginfo=info)


def is_picture(path: Path, sign: str) -> bool:
    """Whether a file is one that `write_picture` wrote for this command."""
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == sign
    except (OSError, ValueError, SyntaxError):
        return False


def free_path(folder: Path, name: str, ending: str, sign: str, taken: set[Path]) -> Path:
    """NAME.ENDING.png, with a number where one of `taken` is, or a file that this command did not write."""
    number, found = 1, folder / f"{name}.{ending}.png"
    while found.resolve() in taken or (os.path.lexists(found) and not is_picture(found, sign)):
        number += 1
        found = folder / f"{name}-{number}.{ending}.png"
    taken.add(found.resolve())
    return found
