"""Optimizers that treat each element by itself, in NumPy float64 from their papers: Lion, NAdam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netc.netspec.optimizers import Lion, NAdam
from netc.proofs_oracle.draws import FloatArray
from netc.proofs_oracle.references.optimizers import (
    OPTIMIZERS,
    Now,
    OptimizerCase,
    OptimizerReference,
    adam_corrections,
    correction,
    coupled,
    decoupled,
)

Old = Mapping[str, FloatArray]


def _lion(o: Lion, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Chen et al. 2023, algorithm 2."""
    sign = np.sign(o.beta1 * old["m"] + (1 - o.beta1) * g)
    return p - at.lr * (sign + at.decay * p), {"m": o.beta2 * old["m"] + (1 - o.beta2) * g}


def _lion_form(o: Lion) -> list[str]:
    return [
        f"new = w - lr * jnp.sign({o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g)",
        *decoupled(o),
        f"kept['m'] = {o.beta2!r} * kept['m'] + {1 - o.beta2!r} * g",
    ]


def _nadam(o: NAdam, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Dozat 2016, algorithm 8 with a constant momentum."""
    if not o.decoupled:
        g = g + at.decay * p
    m = o.beta1 * old["m"] + (1 - o.beta1) * g
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    look = o.beta1 * m / (1 - o.beta1 ** (at.step + 1)) + (1 - o.beta1) * g / (1 - o.beta1**at.step)
    new = p - at.lr * look / (np.sqrt(v / (1 - o.beta2**at.step)) + o.epsilon)
    if o.decoupled:
        new = new - at.lr * at.decay * p
    return new, {"m": m, "v": v}


def _nadam_form(o: NAdam) -> list[str]:
    now, ahead = correction(o.beta1), correction(o.beta1, "(t + 1)")
    lines = [
        f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"look = {o.beta1!r} * kept['m'] / {ahead} + {1 - o.beta1!r} * g / {now}",
        f"new = w - lr * look / (jnp.sqrt(kept['v'] / {correction(o.beta2)}) + {o.epsilon!r})",
    ]
    return [*lines, *decoupled(o)] if o.decoupled else [*coupled(o), *lines]


OPTIMIZERS[Lion] = OptimizerReference(
    _lion,
    lambda o: ("m",),
    (
        OptimizerCase("plain", Lion()),
        OptimizerCase("decay", Lion(weight_decay=0.1)),
        OptimizerCase("decay-on-all", Lion(weight_decay=0.1), decay=(True, True, True)),
        OptimizerCase("other-betas", Lion(0.5, 0.9)),
        OptimizerCase("betas-0", Lion(0.0, 0.0)),
        OptimizerCase("zero-gradients", Lion(weight_decay=0.01), gradients="zero"),
        OptimizerCase("one-parameter", Lion(), shapes=((1,),), decay=(True,)),
    ),
    form=_lion_form,
)
OPTIMIZERS[NAdam] = OptimizerReference(
    _nadam,
    lambda o: ("m", "v"),
    (
        OptimizerCase("plain", NAdam()),
        OptimizerCase("decoupled-decay", NAdam(weight_decay=0.1)),
        OptimizerCase("l2", NAdam(weight_decay=0.1, decoupled=False)),
        OptimizerCase("other-betas", NAdam(0.5, 0.9, 1e-3)),
        OptimizerCase("betas-0", NAdam(0.0, 0.0)),
        OptimizerCase("zero-gradients", NAdam(weight_decay=0.01), gradients="zero"),
        OptimizerCase("gradients-below-epsilon", NAdam(), gradients="tiny"),
    ),
    adam_corrections,
    _nadam_form,
)
