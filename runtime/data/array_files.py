"""Arrays in files: a .npz with x and y, two .npy files, or a folder with x.npy and y.npy."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np

from netc.netspec.errors import reason
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.errors import DataError
from netc.runtime.data.examples import Array
from netc.runtime.files import opened

FILES = ("x", "y", "x_test", "y_test")
LARGEST = 1 << 40  # bytes of a file of arrays
SLACK, TIMES = 32 << 20, 12  # what a packed one of n bytes may hold: SLACK + TIMES n
UNREADABLE = (
    OSError, ValueError, EOFError, MemoryError, TypeError, LookupError, ArithmeticError, SyntaxError, RecursionError,
    NotImplementedError, struct.error, BadZipFile, TokenError, zlib.error,
)  # fmt: skip
"""What NumPy and the readers of zip raise on damaged files."""


def load_arrays(path: Path, name: str, *, whole: bool = False) -> Dataset:
    """Return the arrays at `path`, as `Dataset.from_arrays` takes them; those of .npy files stay on the disk.

    `path` is FILE.npz, X.npy,Y.npy, X.npy,Y.npy,X_TEST.npy,Y_TEST.npy, or a folder with x.npy, y.npy and perhaps
    x_test.npy and y_test.npy. With `whole`, arrays without a test part are both parts. Raises DataError, also for a
    name of what a Python program made, which is no file.
    """
    held = _held(path, name)
    found = Dataset.from_arrays(held["x"], held["y"], held.get("x_test"), held.get("y_test"))
    found = replace(found, name=name)
    if not whole or "x_test" in held:
        return found
    pool = Dataset.from_arrays(held["x"], held["y"], held["x"], held["y"]).train
    return replace(found, train=pool, test=pool)


def _held(path: Path, name: str) -> Mapping[str, Array]:
    several = [Path(part).expanduser() for part in str(path).split(",")]
    if len(several) > 1 and not path.exists():
        if len(several) not in (2, 4):
            raise DataError(f"{name} wants X.npy,Y.npy and optionally two more for the test, got {len(several)} files")
        return {key: read_npy(part) for key, part in zip(FILES, several, strict=False)}
    if path.is_dir():
        parts = {key: path / f"{key}.npy" for key in FILES if (path / f"{key}.npy").exists()}
        if not {"x", "y"} <= parts.keys():
            got = ", ".join(part.name for part in parts.values()) or "none of these"
            raise DataError(f"{name} wants x.npy and y.npy in the folder, got {got}; write them by np.save")
        return {key: read_npy(part) for key, part in parts.items()}
    if path.suffix in (".npz", ".npy") or path.exists() or len(path.parts) > 1:
        if not path.exists():
            raise DataError(f"`data` wants a .npz file of arrays x and y, got {path}: no such file; check the path")
        if path.suffix == ".npz":
            return read_arrays(path)
        if path.suffix == ".npy":
            raise DataError(
                f"{name} wants targets too, got one array; give arrays:{path},Y.npy, or write one file by "
                f"np.savez({str(path.with_suffix('.npz'))!r}, x=x, y=y)"
            )
        raise DataError(
            f"{name} wants a .npz file, two .npy files separated by a comma, or a folder of them, got {path}, which is "
            "none of these; write one by np.savez('data.npz', x=x, y=y)"
        )
    raise DataError(
        f"{name} were arrays of a Python program, which netc does not keep; give them again in Python: "
        "netc.resume(RUN, data), netc.load(RUN).evaluate(data)"
    )


def read_npy(path: Path) -> Array:
    """The array of a .npy file, mapped and not read; raises DataError."""
    try:
        with opened(path, LARGEST) as file:
            if file.read(6) != b"\x93NUMPY":
                raise DataError(f"{path} wants a .npy file of one array, got something else; write it by np.save")
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    except UNREADABLE as error:
        raise DataError(
            f"{path} wants a .npy file of one array, got one that cannot be read ({reason(error)})"
        ) from error


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays x, y and perhaps x_test and y_test of a .npz; raises DataError for a file that is none of these."""
    try:
        with opened(path, LARGEST) as file:
            held = np.load(file, allow_pickle=False)
            if not isinstance(held, np.lib.npyio.NpzFile):
                raise DataError(f"{path} wants a .npz of arrays x and y, got one array; write it by np.savez")
            inside = sum(part.file_size for part in held.zip.infolist()) if held.zip else 0
            if inside > (most := SLACK + TIMES * path.stat().st_size):
                raise DataError(f"{path} wants at most {most:,} bytes of arrays, got {inside:,}; write it by np.savez")
            if not {"x", "y"} <= set(held) <= set(FILES):
                raise DataError(f"{path} wants arrays x and y, and optionally x_test and y_test, got {', '.join(held)}")
            return {name: held[name] for name in held}
    except UNREADABLE as error:
        raise DataError(f"{path} wants a .npz of arrays, got one that cannot be read ({reason(error)})") from error
