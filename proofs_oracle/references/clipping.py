"""Clipping in NumPy float64, from its papers: the gradients of one step by name, within their bounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netc.netspec.clipping import Clipping
from netc.proofs_oracle.draws import FloatArray

Tensors = Mapping[str, FloatArray]


def clipped(clipping: Clipping, params: Tensors, gradients: Tensors) -> dict[str, FloatArray]:
    """Pascanu et al. 2013, algorithm 1; each number to its bound; or Brock et al. 2021, eq. 3."""
    if threshold := clipping.clip_norm:
        norm = np.sqrt(sum(float(np.sum(g**2)) for g in gradients.values()))
        return {n: g * threshold / norm if norm >= threshold else g for n, g in gradients.items()}
    if bound := clipping.clip_value:
        return {n: np.clip(g, -bound, bound) for n, g in gradients.items()}
    if share := clipping.agc:
        return {n: _adaptive(share, params[n], g) for n, g in gradients.items()}
    return dict(gradients)


def _adaptive(share: float, w: FloatArray, g: FloatArray) -> FloatArray:
    def lengths(t: FloatArray) -> FloatArray:
        own = t.reshape(-1, t.shape[-1] if t.ndim > 1 else 1)  # a column for each unit
        return np.asarray(np.linalg.norm(own, axis=0))

    most, long = share * np.maximum(lengths(w), 1e-3), lengths(g)
    factor = np.where(long > most, most / np.where(long > 0, long, 1.0), 1.0)
    return g * factor
