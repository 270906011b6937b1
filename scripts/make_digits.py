"""Write runtime/data/digits.npz, the data set that netc ships, from scikit-learn's `load_digits`.

    python scripts/make_digits.py [FILE]

The file holds `images`, uint8 [1797, 8, 8], 0 to 16 as published, and `labels`, uint8 [1797]. It is written
without compression and without a date, so that the same NumPy arrays give the same bytes everywhere; the
SHA-256 printed must be the one in runtime/data/digits.py. scikit-learn is needed only here.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits  # type: ignore[import-untyped]

TARGET = Path(__file__).resolve().parent.parent / "runtime" / "data" / "digits.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", nargs="?", type=Path, default=TARGET)
    target = parser.parse_args().file
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    if images.shape != (1797, 8, 8) or not np.array_equal(images, digits.images) or images.max() != 16:
        raise SystemExit("load_digits wants 1797 images of 8 x 8 integers, 0 to 16; this is another version")
    with target.open("wb") as file:
        np.savez(file, images=images, labels=labels)
    content = target.read_bytes()
    print(f"{target.name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
