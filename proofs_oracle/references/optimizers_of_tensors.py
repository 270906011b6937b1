"""Optimizers whose step of an element hangs on the whole tensor, in NumPy float64 from their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netc.netspec.optimizers import Lamb
from netc.proofs_oracle.draws import FloatArray
from netc.proofs_oracle.references.optimizers import (
    OPTIMIZERS,
    Now,
    OptimizerCase,
    OptimizerReference,
    adam_corrections,
    correction,
)

Old = Mapping[str, FloatArray]


def _lamb(o: Lamb, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """You et al. 2020, algorithm 2."""
    m = o.beta1 * old["m"] + (1 - o.beta1) * g
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    c1, c2 = adam_corrections(o, at.step)
    step = (m / c1) / (np.sqrt(v / c2) + o.epsilon) + at.decay * p
    long, step_long = np.sqrt(np.sum(p**2)), np.sqrt(np.sum(step**2))
    return p - at.lr * (long / step_long if long and step_long else 1.0) * step, {"m": m, "v": v}


def _lamb_form(o: Lamb) -> list[str]:
    decay = ["if PARAMETERS[name][3]:", f"    step = step + {o.weight_decay!r} * w"] if o.weight_decay else []
    return [
        f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"root = jnp.sqrt(kept['v'] / {correction(o.beta2)})",
        f"step = kept['m'] / {correction(o.beta1)} / (root + {o.epsilon!r})",
        *decay,
        "long, step_long = jnp.sqrt(jnp.sum(w**2)), jnp.sqrt(jnp.sum(step**2))",
        "moved = (long > 0) & (step_long > 0)",
        "new = w - lr * jnp.where(moved, long / jnp.where(moved, step_long, 1.0), 1.0) * step",
    ]


OPTIMIZERS[Lamb] = OptimizerReference(
    _lamb,
    lambda o: ("m", "v"),
    (
        OptimizerCase("plain", Lamb(weight_decay=0.0)),
        OptimizerCase("decay", Lamb(weight_decay=0.1)),
        OptimizerCase("decay-on-all", Lamb(weight_decay=0.1), decay=(True, True, True)),
        OptimizerCase("other-betas", Lamb(0.5, 0.9, 1e-3)),
        OptimizerCase("zero-gradients", Lamb(weight_decay=0.0), gradients="zero"),
        OptimizerCase("rate-0", Lamb(), lr=0.0),
    ),
    adam_corrections,
    _lamb_form,
)
