"""Clipping in NumPy float64, from its papers: the gradients of one step by name, within their bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from netc.netspec.clipping import Clipping
from netc.proofs_oracle.draws import FloatArray

Tensors = Mapping[str, FloatArray]


def clipped(
    clipping: Clipping, params: Tensors, gradients: Tensors, outputs: Mapping[str, tuple[int, int]]
) -> dict[str, FloatArray]:
    """Pascanu et al. 2013, algorithm 1; each number to its bound; or Brock et al. 2021, eq. 3.

    `outputs`: parameter -> axis of its outputs and number of groups of its inputs, where they are not the last and 1.
    """
    if threshold := clipping.clip_norm:
        norm = np.sqrt(sum(float(np.sum(g**2)) for g in gradients.values()))
        return {n: g * threshold / norm if norm >= threshold else g for n, g in gradients.items()}
    if bound := clipping.clip_value:
        return {n: np.clip(g, -bound, bound) for n, g in gradients.items()}
    if share := clipping.agc:
        return {n: _adaptive(share, params[n], g, *outputs.get(n, (-1, 1))) for n, g in gradients.items()}
    return dict(gradients)


def _adaptive(share: float, w: FloatArray, g: FloatArray, axis: int, groups: int) -> FloatArray:
    bounded = np.array(g)
    for own in _units(w.shape, axis, groups):
        most = share * max(float(np.linalg.norm(w[own])), 1e-3)
        if (long := float(np.linalg.norm(g[own]))) > most:
            bounded[own] = most / long * g[own]
    return bounded


def _units(shape: tuple[int, ...], axis: int, groups: int) -> Iterator[tuple[Any, ...]]:
    """The index of all weights that one output is a sum over; a vector is one unit."""
    if len(shape) < 2:
        yield (...,)
        return
    inputs = shape[-1] // groups
    for output, group in np.ndindex(shape[axis], groups):
        own: list[Any] = [slice(None)] * len(shape)
        if groups > 1:
            own[-1] = slice(group * inputs, (group + 1) * inputs)
        own[axis] = output
        yield tuple(own)
