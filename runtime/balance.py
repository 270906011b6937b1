"""How evenly a run's router spreads the tokens of a test part over experts."""

from __future__ import annotations

import numpy as np

from netc.codegen.balance import build_choices
from netc.codegen.choices import METRICS, experts_of
from netc.runtime.backends import load
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise, eval_batches, prefetch
from netc.runtime.data.dataset import AnySplit
from netc.runtime.prepare import prepare
from netc.runtime.run.config import RunConfig
from netc.runtime.trainer import Trainer


def balance(
    config: RunConfig, session: Trainer, test: AnySplit, normalise: Normalise, cache: Cache
) -> dict[str, float]:
    """The largest and the smallest share of a layer's choices that fell on one expert, over all layers; by METRICS.

    Of the weights that the session holds, on its target. Empty for a net without experts, and for a generative one,
    whose examples are made anew at each evaluation.
    """
    if config.recipe.generation.process or not experts_of(config.net, ()):
        return {}
    batch = config.training.batch
    prepared = prepare(build_choices(config.net, config.recipe, batch), session.prepared.target, cache)
    loaded, tensors = load(prepared.source, prepared.target), session.fetch()
    held = [loaded.put(np.asarray(tensors[slot.name], np.float32)) for slot in prepared.program.state]
    total: np.ndarray | None = None
    count = 0.0
    for b in prefetch(eval_batches(test, batch=batch, normalise=normalise)):
        each = loaded.get(loaded.call("choices", [*held, loaded.put(b.x)])[0])
        added = b.weight.astype(np.float64) @ each
        total, count = added if total is None else total + added, count + float(b.weight.sum())
    if total is None:
        return {}
    shares = total / count
    return dict(zip(METRICS, (float(shares.max()), float(shares.min())), strict=True))
