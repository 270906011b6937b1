"""Averages of weights in NumPy float64: their definitions as sums over all weights that came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netc.netspec.averaging import Averaging
from netc.proofs_oracle.draws import FloatArray


def average(averaging: Averaging, weights: Sequence[FloatArray]) -> FloatArray:
    """The average after the steps that left these weights, the first of step 0.

    Of `ema`: each with the share that the later decays leave of it, the first with all that is left (TensorFlow's
    ExponentialMovingAverage, its shadow begun at the first). Of `swa_start`: the mean of every swa_every-th (Izmailov
    et al. 2018, eq. 1), and before it began the last.
    """
    if averaging.swa_start:
        taken = weights[averaging.swa_start :: averaging.swa_every]
        return np.asarray(np.mean(taken, axis=0)) if taken else weights[-1]
    steps = range(1, len(weights))
    decays = [min(averaging.ema, (1 + t) / (10 + t)) if averaging.ema_warmup else averaging.ema for t in steps]
    shares = [1.0, *(1 - d for d in decays)]
    return np.asarray(sum(s * np.prod(decays[i:]) * w for i, (s, w) in enumerate(zip(shares, weights, strict=True))))
