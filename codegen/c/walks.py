"""Walks over a shape: axes that everything is walked along alike are one loop.

A walk knows no tensors: sizes, and for each that is read or written its strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Walk:
    """The loops of a walk: sizes, and the strides of each vector along them. `marks` say which axes were marked."""

    sizes: list[int]
    strides: list[list[int]]
    marks: list[bool]


def collapsed(shape: Sequence[int], vectors: Sequence[Sequence[int]], marked: Sequence[int] = ()) -> Walk:
    """A walk over a shape: neighbours are joined where every vector walks through them alike and both are `marked` or
    neither is; axes of one element are left out.
    """
    sizes: list[int] = []
    marks: list[bool] = []
    found: list[list[int]] = [[] for _ in vectors]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        mark = d in marked
        if sizes and marks[-1] == mark and all(f[-1] == v[d] * n for f, v in zip(found, vectors, strict=True)):
            sizes[-1] *= n
            for f, v in zip(found, vectors, strict=True):
                f[-1] = v[d]
            continue
        sizes.append(n)
        marks.append(mark)
        for f, v in zip(found, vectors, strict=True):
            f.append(v[d])
    return Walk(sizes, found, marks)
