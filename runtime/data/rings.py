"""Sequences whose law is known: 1, 3 or 6 points, each evenly on the unit circle, in their order along it."""

from __future__ import annotations

import math

import numpy as np

from netc.runtime.data.examples import Array, Examples

SLOTS = 10  # of the net that learns them; elements that are to be deleted want some, too
SHARES = {1: 2, 3: 5, 6: 3}  # how many of ten sequences have so many points
TENS = 360, 40  # of the training and of the test part


def ring(count: int) -> Array:
    """The points of a sequence of that length, f32 [count, 2]: point j at the angle 2 pi (j + 1/2) / count."""
    angles = [2 * math.pi * (j + 0.5) / count for j in range(count)]
    return np.array([(math.cos(a), math.sin(a)) for a in angles]).round(6).astype(np.float32)


def read_rings() -> tuple[Examples, Examples]:
    """3600 and 400 sequences, f32 [N, SLOTS, 3], points and 1 where there is one; their labels are of their lengths."""
    rows, labels = [], []
    for label, (count, share) in enumerate(SHARES.items()):
        row = np.zeros((SLOTS, 3), np.float32)
        row[:count] = np.concatenate([ring(count), np.ones((count, 1), np.float32)], 1)
        rows += [row] * share
        labels += [label] * share
    x, y = np.stack(rows), np.array(labels, np.int32)
    train, test = (Examples(np.tile(x, (tens, 1, 1)), np.tile(y, tens)) for tens in TENS)
    return train, test
