"""Arrays as a user names them, `x.npy`, `x.json`, `[1, 2, 3]` or `zeros:1000`, and as results are written."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from netc.kernels.ir import FLOATS, SPOKEN, Array, Number, Scalar
from netc.kernels.launch import DTYPES, LARGEST, Memory
from netc.kernels.maker import LIMITS
from netc.netspec.errors import UserError
from netc.netspec.text_file import read_text
from netc.runtime.data.array_files import read_npy

LARGEST_JSON = 64 << 20  # bytes
ZEROS = re.compile(r"zeros:(\d{1,10}(?:x\d{1,10})*)")


def array_of(array: Array, word: str) -> Memory:
    """The array that a word names, of any shape. Raises UserError."""
    said = f"`array` {array.name}"
    if zeros := ZEROS.fullmatch(word):
        shape = tuple(int(n) for n in zeros[1].split("x"))
        if math.prod(shape) > LARGEST:
            raise UserError(f"{said} wants at most {LARGEST} elements, got {word}; split it")
        return np.zeros(shape, DTYPES[array.type])
    if word.startswith("["):
        return _from_json(array, word, said)
    path = Path(word)
    if path.suffix == ".json":
        return _from_json(array, read_text(path, LARGEST_JSON, "", "use .npy"), f"{said}, from {path},")
    if path.suffix != ".npy":
        raise UserError(f"{said} wants FILE.npy, FILE.json, [1, 2] or zeros:1000, got {word[:60]}; write one of them")
    found = read_npy(path)
    wanted = np.dtype(DTYPES[array.type])
    if found.dtype != wanted:
        raise UserError(
            f"{said} wants {SPOKEN[array.type]} ({wanted}), got {found.dtype} in {path}; save x.astype('{wanted}')"
        )
    return np.array(found, order="C")


def _from_json(array: Array, text: str, said: str) -> Memory:
    try:
        found = json.loads(text)
        made = np.array(found)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{said} wants a list of numbers, got {text[:40]!r}; write [1, 2]") from error
    kinds = "iuf" if array.type in FLOATS else "iu"
    if made.size == 0 and isinstance(found, list):
        return np.zeros(made.shape, DTYPES[array.type])
    if not isinstance(found, list) or made.dtype.kind not in kinds:
        raise UserError(f"{said} wants a list of {SPOKEN[array.type]}, got {text[:40]!r}; write [1, 2]")
    if array.type in LIMITS:
        low, high = LIMITS[array.type]
        if made.min() < low or made.max() > high:
            raise UserError(f"{said} wants {SPOKEN[array.type]}, {low} to {high}, got {made.min()} to {made.max()}")
    return made.astype(DTYPES[array.type])


def number_of(scalar: Scalar, word: str) -> Number:
    """The number that a word is. Raises UserError."""
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word) if re.fullmatch(r"[+-]?\d{1,15}", word) else float(word)
    except ValueError:
        raise UserError(f"`set` {scalar.name} wants {SPOKEN[scalar.type]}, got {word[:40]!r}; write a number") from None


def as_json(memory: Memory) -> Any:
    """The array as lists; a number that is not finite is its name."""
    found = memory.tolist()
    return _finite(found) if memory.dtype.kind == "f" and not np.isfinite(memory).all() else found


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if math.isfinite(value) else str(value)
