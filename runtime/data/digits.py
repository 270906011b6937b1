"""The data set that is shipped with netc: 1797 handwritten digits of 8 x 8 pixels (see digits.md)."""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np

from netc.netspec.errors import reason
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.data.errors import DataError

FILE = "digits.npz"
SHA256 = "1dc781c8fe699ce12f056a510e6dd518c795428f089effc1a3e2eec0f3ece269"
EVERY = 5
"""Every fifth image (index % 5 == 4) is test."""


def read_digits() -> tuple[ArraySplit, ArraySplit]:
    """Return 1438 training and 359 test images, uint8 8 x 8 x 1, scaled from 0..16 to 0..255 (rounded).

    Raises `DataError` when the shipped file is not the one that was shipped.
    """
    try:
        content = resources.files("netc.runtime.data").joinpath(FILE).read_bytes()
    except OSError as error:
        raise DataError(f"netc's {FILE} cannot be read ({reason(error)}); install netc again") from error
    return decode_digits(content)


def decode_digits(content: bytes) -> tuple[ArraySplit, ArraySplit]:
    """Return training and test images out of digits.npz; raises `DataError` as `read_digits` does."""
    if (got := hashlib.sha256(content).hexdigest()) != SHA256:
        raise DataError(f"netc's {FILE} wants SHA-256 {SHA256}, got {got}; install netc again")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    pixels = np.rint(images * (255 / 16)).astype(np.uint8)[:, :, :, np.newaxis]
    held_out = np.arange(len(pixels)) % EVERY == EVERY - 1
    numbers = labels.astype(np.int32)
    return ArraySplit(pixels[~held_out], numbers[~held_out]), ArraySplit(pixels[held_out], numbers[held_out])
